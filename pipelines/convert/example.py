"""From the bytes of a record to a note: tf.train.Example without TensorFlow or Python floats.

The audio, all but a thousandth of a record, is one packed list: where it stands as every writer
known puts it, it is a view of the record, and only the rest is parsed as a message.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf import message
from numpy.typing import NDArray

from pipelines.convert.messages import EXAMPLE, FEATURES
from pipelines.convert.wire import find_audio
from pipelines.errors import RecordError
from pipelines.notes import NUM_SOURCE_SAMPLES, QUALITIES

UNPARSABLE: Final = "unparsable"
MISSING_FEATURE: Final = "missing_feature"
WRONG_TYPE: Final = "wrong_type"
WRONG_LENGTH: Final = "wrong_length"
NOT_TEXT: Final = "not_text"
NOT_FINITE: Final = "not_finite"
OUT_OF_RANGE: Final = "out_of_range"
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

TEXTS: Final = ("note_str", "instrument_str", "instrument_family_str", "instrument_source_str")
NUMBERS: Final = (
    "note",
    "instrument",
    "pitch",
    "velocity",
    "sample_rate",
    "instrument_family",
    "instrument_source",
)

MAX_PEAK: Final = 1000.0
"""Audio lies in [-1, 1]; a magnitude beyond this is no audio, and its energy may overflow."""

MAX_NOTE_BYTES: Final = 2**20
"""Four times what a note takes. Parsing a message of many empty parts takes thirty times its bytes,
so that longer ones are not parsed at all."""


class Example(NamedTuple):
    """A parsed note.

    Attributes:
      scalars: NSynth's features but the audio, by name.
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
    scalars: dict[str, Any] = {
        name: _text(name, _one(features, name, "bytes_list")) for name in TEXTS
    }
    scalars |= {name: int(_one(features, name, "int64_list")) for name in NUMBERS}
    scalars["qualities"] = _exactly(
        "qualities", [int(v) for v in _values(features, "qualities", "int64_list")], len(QUALITIES)
    )
    scalars["qualities_str"] = [
        _text("qualities_str", v)
        for v in _values(features, "qualities_str", "bytes_list", may_be_unset=True)
    ]
    if audio is None:
        floats = _exactly("audio", _values(features, "audio", "float_list"), NUM_SOURCE_SAMPLES)
        audio = np.array(floats, np.float32)
    return Example(scalars, audio)


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


def _values(features: Any, name: str, kind: str, *, may_be_unset: bool = False) -> Any:
    feature = features.get(name)
    if feature is None:
        raise RecordError(MISSING_FEATURE, f"there is no feature {name!r}")
    found = feature.WhichOneof("kind")
    if found is None and may_be_unset:
        return ()
    if found != kind:
        raise RecordError(WRONG_TYPE, f"feature {name!r} is {found or 'unset'}, expected {kind}")
    return getattr(feature, kind).value


def _one(features: Any, name: str, kind: str) -> Any:
    return _exactly(name, _values(features, name, kind), 1)[0]


def _exactly(name: str, values: Any, num: int) -> Any:
    if len(values) != num:
        raise RecordError(
            WRONG_LENGTH, f"feature {name!r} has {len(values)} values, expected {num}"
        )
    return values


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as err:
        raise RecordError(NOT_TEXT, f"feature {name!r} is not UTF-8") from err
