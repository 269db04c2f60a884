"""A JSON object that keeps what a dict would lose: the order, and names that come twice (the first one counts)."""

from typing import Any

MISSING = object()


class JsonObject(list):
    """The members of a JSON object, `(name, value)` in the order of the text."""

    __slots__ = ()

    def find(self, name: str) -> Any:
        """The value of the first member of this name, or `MISSING`."""
        for key, value in self:
            if key == name:
                return value
        return MISSING


def is_base64_object(value: Any) -> bool:
    """Whether the value is `{"b64": "..."}`: one member of that name, and a string."""
    return type(value) is JsonObject and len(value) == 1 and value[0][0] == "b64" and type(value[0][1]) is str


def is_plain_object(value: Any) -> bool:
    """Whether the value is an object that stands for named values and not for bytes."""
    return type(value) is JsonObject and not is_base64_object(value)


def type_name(value: Any) -> str:
    """What TensorFlow Serving's errors call the type of a JSON value."""
    if value is None:
        return "Null"
    if value is True:
        return "True"
    if value is False:
        return "False"
    return {list: "Array", JsonObject: "Object", str: "String"}.get(type(value), "Number")
