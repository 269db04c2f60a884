"""Reads a request body as TensorFlow Serving's JSON parser (RapidJSON 1.1.0) does, and shows JSON values in errors.

The usual body takes Python's C scanner. What that scanner refuses, or reads differently (`Inf`, `-NaN`, nesting beyond
Python's recursion limit, invalid UTF-8, lone surrogates, numbers beyond a double), takes the exact parser of
`json_parser.py`, which also words the errors. Turning values into tensors is left to `json_tensors.py`.
"""

import json
import math
import re
from typing import Any

from kerasbert_serving.server.json_objects import JsonObject
from kerasbert_serving.server.json_parser import INFINITY, MINUS_INFINITY, JsonParser
from kerasbert_serving.server.json_printer import debug_string
from kerasbert_serving.server.statuses import invalid_argument

_CONSTANTS = {"NaN": math.nan, "Infinity": INFINITY, "-Infinity": MINUS_INFINITY}
_DECODER = json.JSONDecoder(object_pairs_hook=JsonObject, parse_constant=_CONSTANTS.__getitem__)
_SPACE = re.compile(r"[ \t\n\r]*")
# A high surrogate escape without its low one, or a low one alone. An escaped backslash before it costs only time.
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]", re.DOTALL
)


class NumberTooBigError(Exception):
    """Raised where a value shows that the fast scanner let a number beyond a double pass."""


def parse_object(body: bytes) -> JsonObject:
    """The JSON object of a request body.

    Args:
        body: The body as it came, decompressed. What follows the object is ignored, as TensorFlow Serving does.

    Raises:
        ServingError: INVALID_ARGUMENT if the body is no JSON object.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    document = _scan(body)
    if document is None:
        return parse_object_exactly(body)
    return _require_object(document[0])


def parse_object_exactly(body: bytes) -> JsonObject:
    """`parse_object` by the exact parser alone: slower, and the source of all error texts."""
    return _require_object(JsonParser(body).parse())


def refuse_overflow(values: list[Any]) -> None:
    """Raises `NumberTooBigError` if an infinity among the parsed numbers was not written as one."""
    for value in values:
        if type(value) is float and math.isinf(value) and value is not INFINITY and value is not MINUS_INFINITY:
            raise NumberTooBigError


def _scan(body: bytes) -> tuple[Any] | None:
    if b"\\u" in body and _LONE_SURROGATE.search(body):
        return None
    try:
        text = body.decode("utf-8-sig")
        value, _ = _DECODER.raw_decode(text, _SPACE.match(text).end())
    except (ValueError, RecursionError):
        return None
    return (value,)


def _require_object(document: Any) -> JsonObject:
    if type(document) is not JsonObject:
        raise invalid_argument(f"JSON Value: {debug_string(document)} Is not object")
    return document
