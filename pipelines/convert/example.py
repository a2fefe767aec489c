"""From the bytes of a record to a note: tf.train.Example without TensorFlow or Python floats.

On the wire a packed list of floats is one length-delimited field, the same as a `bytes` field. A
message type that declares it so parses the same record and hands the audio over as one buffer.

Source: tensorflow/core/example/example.proto and feature.proto of TensorFlow.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet
from numpy.typing import NDArray

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

_KINDS: Final = ("bytes_list", "float_list", "int64_list")


class Example(NamedTuple):
    """A parsed note.

    Attributes:
      scalars: NSynth's features but the audio, by name.
      audio: float32 [64000], a read-only view of the record; finite.
      peak: the largest magnitude in the audio.
    """

    scalars: dict[str, Any]
    audio: NDArray[np.float32]
    peak: float


def decode(payload: bytes) -> Example:
    """Parses a record's payload.

    Raises:
      RecordError: it cannot become a note; the reason is one of `REASONS`.
    """
    if len(payload) > MAX_NOTE_BYTES:
        raise RecordError(
            WRONG_LENGTH, f"the payload has {len(payload)} bytes, expected {MAX_NOTE_BYTES} at most"
        )
    features = _parse(_FastExample, payload)
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
    audio = _floats(features, "audio", payload)
    _exactly("audio", audio, NUM_SOURCE_SAMPLES)
    # Both ends of the range, since NaN and infinity pass through them and no copy is made.
    peak = float(np.maximum(audio.max(), -audio.min()))
    if not np.isfinite(peak):
        raise RecordError(NOT_FINITE, "the audio holds a value that is not finite")
    if peak > MAX_PEAK:
        raise RecordError(OUT_OF_RANGE, f"the audio reaches {peak:g}, expected values in [-1, 1]")
    return Example(scalars, audio, peak)


def _parse(kind: type[message.Message], payload: bytes) -> Any:
    try:
        parsed: Any = kind.FromString(payload)
    except message.DecodeError as err:
        raise RecordError(UNPARSABLE, "the payload is no tf.train.Example") from err
    return parsed.features.feature


def _values(features: Any, name: str, kind: str, *, may_be_unset: bool = False) -> Any:
    if name not in features:
        raise RecordError(MISSING_FEATURE, f"there is no feature {name!r}")
    found = features[name].WhichOneof("kind")
    if found is None and may_be_unset:
        return ()
    if found != kind:
        raise RecordError(WRONG_TYPE, f"feature {name!r} is {found or 'unset'}, expected {kind}")
    return getattr(features[name], kind).value


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


def _floats(features: Any, name: str, payload: bytes) -> NDArray[np.float32]:
    # Each access to an element copies it.
    chunks = list(_values(features, name, "float_list"))
    # Values that are not packed, legal but rare, stand outside the declared field.
    unpacked = len(UnknownFieldSet(features[name].float_list)) > 0
    if unpacked or any(len(chunk) % 4 for chunk in chunks):
        ordinary = _values(_parse(_OrdinaryExample, payload), name, "float_list")
        return np.array(ordinary, np.float32)
    return np.frombuffer(chunks[0] if len(chunks) == 1 else b"".join(chunks), "<f4")


def _example_type(package: str, *, packed_floats_as_bytes: bool) -> type[message.Message]:
    """tf.train.Example, with the list of floats declared as it is or as raw chunks."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    float_type = field.TYPE_BYTES if packed_floats_as_bytes else field.TYPE_FLOAT
    for list_name, type_ in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", float_type),
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
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Example"))


_FastExample: Final = _example_type("nsynth.fast", packed_floats_as_bytes=True)
_OrdinaryExample: Final = _example_type("nsynth.ordinary", packed_floats_as_bytes=False)
