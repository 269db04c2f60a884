"""Protobuf messages declared field by field: TF Serving's wire without its generated modules.

Those modules import TensorFlow (about 9 s), or are not shipped at all. A message declared here has its own name and the
same field numbers and types, so the bytes are the same; fields that are left out are skipped when a message is read.
"""

from collections.abc import Mapping, Sequence

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2
from google.protobuf.message import Message

_Field = descriptor_pb2.FieldDescriptorProto

_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
}

# Name, number and type of each field. A type is a scalar's name or a message's, after "repeated " or "map " (from
# strings) where there are many; a message with a dot in its name is protobuf's own.
Fields = Sequence[tuple[str, int, str]]


def declare(package: str, messages: Mapping[str, Fields]) -> dict[str, type[Message]]:
    """The classes of the declared messages, by name.

    Args:
        package: The protobuf package of the messages; a name of our own, since TF Serving's may be loaded too.
        messages: The fields of each message by its name.

    Example:

    >>> classes = declare("example", {"Point": [("x", 1, "int32"), ("names", 2, "repeated string")]})
    >>> classes["Point"](x=1, names=["a"]).SerializeToString()
    b'\\x08\\x01\\x12\\x01a'
    """
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for module in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        file.dependency.append(module.DESCRIPTOR.name)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            _add_field(message, package, field_name, number, kind)
    pool.AddSerializedFile(file.SerializeToString())
    return {name: _message_class(pool, f"{package}.{name}") for name in messages}


def _add_field(
    message: descriptor_pb2.DescriptorProto, package: str, name: str, number: int, kind: str
) -> descriptor_pb2.FieldDescriptorProto:
    label = _Field.LABEL_OPTIONAL
    if kind.startswith("map "):
        # A map on the wire is a list of small messages with a key and a value.
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, package, "key", 1, "string")
        _add_field(entry, package, "value", 2, kind.removeprefix("map "))
        kind, label = f"{message.name}.{entry.name}", _Field.LABEL_REPEATED
        type_name = f".{package}.{kind}"
    else:
        if kind.startswith("repeated "):
            kind, label = kind.removeprefix("repeated "), _Field.LABEL_REPEATED
        type_name = f".{kind}" if "." in kind else f".{package}.{kind}"
    if kind in _SCALARS:
        return message.field.add(name=name, number=number, type=_SCALARS[kind], label=label)
    return message.field.add(name=name, number=number, type=_Field.TYPE_MESSAGE, type_name=type_name, label=label)


def _message_class(pool: descriptor_pool.DescriptorPool, name: str) -> type[Message]:
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)
