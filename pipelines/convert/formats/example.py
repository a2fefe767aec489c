"""A serialized tf.train.Example becomes a note, without TensorFlow.

The audio, almost all of a record, is one packed list of floats. It is a view of the record if every
known writer's layout is found; only the rest is parsed as a message.

Source: tensorflow/core/example/example.proto and feature.proto of TensorFlow.
"""

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory, text_format
from numpy.typing import NDArray

from pipelines.convert.formats.features import (
    AUDIO,
    FLOAT,
    INTEGER,
    NSYNTH,
    TEXT,
    TFDS,
    UNSET,
    Feature,
    check_features,
    is_tfds,
    tfds_scalars,
)
from pipelines.convert.formats.reasons import Reason
from pipelines.convert.formats.wire import find_audio
from pipelines.errors import RecordError

_PROTO: Final = """
name: "nsynth.proto" package: "nsynth" syntax: "proto3"
message_type {
  name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES }
}
message_type {
  name: "FloatList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT }
}
message_type {
  name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 }
}
message_type {
  name: "Feature"
  field { name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: "BytesList" oneof_index: 0 }
  field { name: "float_list" number: 2 type: TYPE_MESSAGE type_name: "FloatList" oneof_index: 0 }
  field { name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: "Int64List" oneof_index: 0 }
  oneof_decl { name: "kind" }
}
message_type {
  name: "Features"
  field {
    name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: "FeatureEntry"
  }
  nested_type {
    name: "FeatureEntry"
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: "Feature" }
    options { map_entry: true }
  }
}
message_type {
  name: "Example"
  field { name: "features" number: 1 type: TYPE_MESSAGE type_name: "Features" }
}
"""


def _message_types() -> tuple[type[message.Message], type[message.Message]]:
    """Return the types of tf.train.Example and of the tf.train.Features in it."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_PROTO, descriptor_pb2.FileDescriptorProto()))
    example, features = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"nsynth.{name}"))
        for name in ("Example", "Features")
    )
    return example, features


EXAMPLE, FEATURES = _message_types()

_TYPES: Final = {"bytes_list": TEXT, "int64_list": INTEGER, "float_list": FLOAT, None: UNSET}

# Audio is in [-1, 1]; a larger magnitude is not audio, and its energy may overflow.
MAX_PEAK: Final = 1000.0

# Four times the size of a note. Parsing a message of many empty parts takes thirty times its
# bytes, so that longer ones are not parsed at all.
MAX_NOTE_BYTES: Final = 2**20


class Example(NamedTuple):
    """A parsed note.

    Attributes:
      scalars: NSynth's features but the audio, by name; also of a record of TensorFlow Datasets.
      audio: float32 [64000], of any values.
    """

    scalars: dict[str, Any]
    audio: NDArray[np.float32]


def decode(payload: bytes) -> Example:
    """Parse a record's payload.

    Raises:
      RecordError: it cannot become a note; the reason is a `Reason`.
    """
    if len(payload) > MAX_NOTE_BYTES:
        raise RecordError(
            Reason.WRONG_LENGTH,
            f"the payload has {len(payload)} bytes, expected {MAX_NOTE_BYTES} at most",
        )
    features, audio = _features(payload)
    is_of_tfds = is_tfds(features)
    expected = dict(TFDS if is_of_tfds else NSYNTH)
    if audio is None:
        expected["audio"] = AUDIO
    names = features if audio is None else chain(features, ["audio"])
    values = check_features(_named(features, expected), expected, names=names)
    if audio is None:
        audio = np.array(values.pop("audio"), np.float32)
    return Example(tfds_scalars(values) if is_of_tfds else values, audio)


def check_peak(peak: float) -> None:
    """Check the largest magnitude of a note's audio.

    Raises:
      RecordError: it is not finite, or beyond the range of audio.
    """
    if not math.isfinite(peak):
        raise RecordError(Reason.NOT_FINITE, "the audio holds a value that is not finite")
    if peak > MAX_PEAK:
        raise RecordError(
            Reason.OUT_OF_RANGE, f"the audio reaches {peak:g}, expected values in [-1, 1]"
        )


def _features(payload: bytes) -> tuple[Any, NDArray[np.float32] | None]:
    """Return the features of a message, without the audio if it is a view of the payload."""
    scan = find_audio(payload)
    if scan is not None:
        features = _parse(FEATURES, scan.rest).feature
        # If a feature occurs twice, the last one counts, which the scan may have missed.
        if "audio" not in features:
            return features, scan.audio
    return _parse(EXAMPLE, payload).features.feature, None


def _parse(kind: type[message.Message], payload: bytes) -> Any:
    try:
        return kind.FromString(payload)
    except message.DecodeError as err:
        raise RecordError(Reason.UNPARSABLE, "the payload is no tf.train.Example") from err


def _named(features: Any, names: Iterable[str]) -> dict[str, Feature]:
    """Return those features of a message that have these names, in the words of the checks."""
    found = {}
    for name in names:
        # Asking a map of messages for a name that it lacks would add it.
        if name in features:
            kind = (feature := features[name]).WhichOneof("kind")
            found[name] = Feature(_TYPES[kind], getattr(feature, kind).value if kind else ())
    return found
