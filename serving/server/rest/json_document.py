"""Parses request bodies with the results and errors of TensorFlow Serving's JSON parser (RapidJSON 1.1.0).

Python's C scanner parses the usual body. The exact parser in `json_parser.py` takes over where the scanner fails or
would give another result (`Inf`, `-NaN`, nesting beyond Python's recursion limit, invalid UTF-8, lone surrogates,
numbers that may exceed a double), and it produces the error messages. Converting the values to tensors is left to
`json_tensors.py`.
"""

import json
import math
import re
from typing import Any

from kerasbert_serving.server.rest.json_objects import JsonObject
from kerasbert_serving.server.rest.json_parser import JsonParser
from kerasbert_serving.server.rest.json_printer import debug_string
from kerasbert_serving.server.statuses import invalid_argument

_CONSTANTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DECODER = json.JSONDecoder(object_pairs_hook=JsonObject, parse_constant=_CONSTANTS.__getitem__)
# A high surrogate escape without a low one after it, or a low one alone. If an escaped backslash comes before it, the
# exact parser is used without need, which only takes time.
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]", re.DOTALL
)
# A number that exceeds a double (309 digits) contains one of these once each digit is replaced by zero: many digits or
# a long exponent.
_AS_ZEROS = bytes.maketrans(b"123456789E", b"000000000e")
_BIG = (b"0" * 200, b"e000", b"e+000")


def parse_object(body: bytes) -> JsonObject:
    """Parses the JSON object in a request body.

    Args:
        body: The body, decompressed. As in TensorFlow Serving, anything after the object is ignored.

    Raises:
        ServingError: INVALID_ARGUMENT if the body is not a JSON object.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    document = _scan(body)
    if document is None:
        document = (JsonParser(body).parse(),)
    return _require_object(document[0])


def _scan(body: bytes) -> tuple[Any] | None:
    """Returns the first value of the body in a tuple, or None if only the exact parser can parse it."""
    if b"\\u" in body and _LONE_SURROGATE.search(body):
        return None
    as_zeros = body.translate(_AS_ZEROS)
    if any(part in as_zeros for part in _BIG):
        return None
    try:
        text = body.decode("utf-8-sig")
        value, _ = _DECODER.raw_decode(text, len(text) - len(text.lstrip(" \t\n\r")))
    except (ValueError, RecursionError):
        return None
    return (value,)


def _require_object(document: Any) -> JsonObject:
    if type(document) is not JsonObject:
        raise invalid_argument(f"JSON Value: {debug_string(document)} Is not object")
    return document
