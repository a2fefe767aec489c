"""A serialized tf.train.Example becomes a note, without TensorFlow.

The audio, almost all of a record, is one packed list of floats. It is a view of the record where it
is written as every known writer does it; only the rest is parsed as a message.

Source: tensorflow/core/example/example.proto and feature.proto of TensorFlow.
"""

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from numpy.typing import NDArray

from pipelines.convert.formats.features import (
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
    tfds_scalars,
)
from pipelines.convert.formats.wire import find_audio
from pipelines.errors import RecordError

_KINDS: Final = ("bytes_list", "float_list", "int64_list")


def _message_types() -> tuple[type[message.Message], type[message.Message]]:
    """tf.train.Example and the tf.train.Features in it."""
    package = "nsynth"
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for list_name, type_ in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ):
        file.message_type.add(name=list_name).field.add(
            name="value", number=1, label=field.LABEL_REPEATED, type=type_
        )
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (kind, list_name) in enumerate(
        zip(_KINDS, ("BytesList", "FloatList", "Int64List"), strict=True), start=1
    ):
        feature.field.add(
            name=kind,
            number=number,
            label=field.LABEL_OPTIONAL,
            type=field.TYPE_MESSAGE,
            type_name=f".{package}.{list_name}",
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    features.field.add(
        name="feature",
        number=1,
        label=field.LABEL_REPEATED,
        type=field.TYPE_MESSAGE,
        type_name=f".{package}.Features.FeatureEntry",
    )
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_STRING)
    entry.field.add(
        name="value",
        number=2,
        label=field.LABEL_OPTIONAL,
        type=field.TYPE_MESSAGE,
        type_name=f".{package}.Feature",
    )
    file.message_type.add(name="Example").field.add(
        name="features",
        number=1,
        label=field.LABEL_OPTIONAL,
        type=field.TYPE_MESSAGE,
        type_name=f".{package}.Features",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = ("Example", "Features")
    types = [pool.FindMessageTypeByName(f"{package}.{name}") for name in names]
    return message_factory.GetMessageClass(types[0]), message_factory.GetMessageClass(types[1])


EXAMPLE, FEATURES = _message_types()


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
    return Example(tfds_scalars(values) if of_tfds else values, audio)


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
