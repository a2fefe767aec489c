"""From the bytes of a record to a note: tf.train.Example without TensorFlow or Python floats.

The audio, all but a thousandth of a record, is one packed list: where it stands as every writer
known puts it, it is a view of the record, and only the rest is parsed as a message.
"""

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf import message
from numpy.typing import NDArray

from pipelines.convert.features import (
    AUDIO,
    FLOAT,
    INTEGER,
    MISSING_FEATURE,
    NOT_TEXT,
    NSYNTH,
    OUT_OF_RANGE,
    TEXT,
    TFDS,
    UNPARSABLE,
    UNSET,
    WRONG_LENGTH,
    WRONG_TYPE,
    Feature,
    check_features,
    is_tfds,
    scalars_of_tfds,
)
from pipelines.convert.messages import EXAMPLE, FEATURES
from pipelines.convert.wire import find_audio
from pipelines.errors import RecordError

NOT_FINITE: Final = "not_finite"
REASONS: Final = (
    UNPARSABLE,
    MISSING_FEATURE,
    WRONG_TYPE,
    WRONG_LENGTH,
    NOT_TEXT,
    NOT_FINITE,
    OUT_OF_RANGE,
)
"""Why a sound record cannot become a note."""

_TYPES: Final = {"bytes_list": TEXT, "int64_list": INTEGER, "float_list": FLOAT, None: UNSET}

MAX_PEAK: Final = 1000.0
"""Audio lies in [-1, 1]; a magnitude beyond this is no audio, and its energy may overflow."""

MAX_NOTE_BYTES: Final = 2**20
"""Four times what a note takes. Parsing a message of many empty parts takes thirty times its bytes,
so that longer ones are not parsed at all."""


class Example(NamedTuple):
    """A parsed note.

    Attributes:
      scalars: NSynth's features but the audio, by name; also of a record of TensorFlow Datasets.
      audio: float32 [64000], of any values.
    """

    scalars: dict[str, Any]
    audio: NDArray[np.float32]


def decode(payload: bytes) -> Example:
    """Parses a record's payload.

    Raises:
      RecordError: it cannot become a note; the reason is one of `REASONS`.
    """
    if len(payload) > MAX_NOTE_BYTES:
        raise RecordError(
            WRONG_LENGTH, f"the payload has {len(payload)} bytes, expected {MAX_NOTE_BYTES} at most"
        )
    features, audio = _features(payload)
    of_tfds = is_tfds(features)
    expected = dict(TFDS if of_tfds else NSYNTH)
    if audio is None:
        expected["audio"] = AUDIO
    names = features if audio is None else chain(features, ["audio"])
    values = check_features(_named(features, expected), expected, names=names)
    if audio is None:
        audio = np.array(values.pop("audio"), np.float32)
    return Example(scalars_of_tfds(values) if of_tfds else values, audio)


def check_peak(peak: float) -> None:
    """Checks the largest magnitude of a note's audio.

    Raises:
      RecordError: it is not finite, or beyond what audio can be.
    """
    if not math.isfinite(peak):
        raise RecordError(NOT_FINITE, "the audio holds a value that is not finite")
    if peak > MAX_PEAK:
        raise RecordError(OUT_OF_RANGE, f"the audio reaches {peak:g}, expected values in [-1, 1]")


def _features(payload: bytes) -> tuple[Any, NDArray[np.float32] | None]:
    """The features of a message, without the audio where it could be told apart."""
    found = find_audio(payload)
    if found is not None:
        features = _parse(FEATURES, found.rest).feature
        # Of a feature that comes twice the last counts: what was found may not be it.
        if "audio" not in features:
            return features, found.audio
    return _parse(EXAMPLE, payload).features.feature, None


def _parse(kind: type[message.Message], payload: bytes) -> Any:
    try:
        return kind.FromString(payload)
    except message.DecodeError as err:
        raise RecordError(UNPARSABLE, "the payload is no tf.train.Example") from err


def _named(features: Any, names: Iterable[str]) -> dict[str, Feature]:
    """Return those features of a message that have these names, in the words of the checks."""
    found = {}
    for name in names:
        # Asking a map of messages for a name that it lacks would add it.
        if name in features:
            kind = (feature := features[name]).WhichOneof("kind")
            found[name] = Feature(_TYPES[kind], getattr(feature, kind).value if kind else ())
    return found
