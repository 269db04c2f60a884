"""JSON objects that keep what a dict loses: the order of members, and repeated names (the first member counts)."""

from typing import Any

MISSING = object()


class JsonObject(list):
    """The members of a JSON object: `(name, value)` pairs in the order of the text."""

    __slots__ = ()

    def find(self, name: str) -> Any:
        """Returns the value of the first member with this name, or `MISSING`."""
        for key, value in self:
            if key == name:
                return value
        return MISSING


def is_base64_object(value: Any) -> bool:
    """Whether the value is `{"b64": "..."}`: a single member with this name and a string."""
    return type(value) is JsonObject and len(value) == 1 and value[0][0] == "b64" and type(value[0][1]) is str


def is_plain_object(value: Any) -> bool:
    """Whether the value is an object with named values, as opposed to base64-encoded bytes."""
    return type(value) is JsonObject and not is_base64_object(value)


def type_name(value: Any) -> str:
    """Returns the name of a JSON value's type in TensorFlow Serving's error messages."""
    if value is None:
        return "Null"
    if value is True:
        return "True"
    if value is False:
        return "False"
    names: dict[type, str] = {list: "Array", JsonObject: "Object", str: "String"}
    return names.get(type(value), "Number")
