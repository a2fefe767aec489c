"""The messages tf.train.Example and tf.train.Features, without TensorFlow.

Source: tensorflow/core/example/example.proto and feature.proto of TensorFlow.
"""

from typing import Final

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

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
