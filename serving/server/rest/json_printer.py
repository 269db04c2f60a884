"""Writes JSON strings and values for error messages, in the layout of RapidJSON's PrettyWriter.

Strings may contain bytes that are not valid UTF-8. They are decoded with `surrogateescape`, and `to_bytes` restores
them.
"""

import contextlib
import math
import re
from json.encoder import encode_basestring
from typing import Any

from kerasbert_serving.server.rest.json_objects import JsonObject

INDENT = "    "
DEBUG_LIMIT = 256

_LOWER_HEX_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u(00[01][0-9a-f])")


class _LimitReachedError(Exception):
    pass


def to_bytes(text: str) -> bytes:
    """Encodes a string, restoring bytes that are not valid UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def quote(text: str) -> str:
    """Formats a JSON string. Escapes only what must be escaped, e.g. control characters as `\\u001F`."""
    quoted = encode_basestring(text)
    if "\\u00" in quoted:
        quoted = _LOWER_HEX_ESCAPE.sub(lambda m: f"{m.group(1)}\\u{m.group(2).upper()}", quoted)
    return quoted


def error_body(message: str) -> bytes:
    """Formats the body of an error reply: `{"error": "..."}`."""
    return to_bytes(f'{{\n{INDENT}"error": {quote(message)}\n}}')


def debug_string(value: Any) -> str:
    """Formats a JSON value for an error message: arrays on one line, cut after the first token beyond 256 bytes."""
    printer = _DebugPrinter()
    with contextlib.suppress(_LimitReachedError):
        printer.write(value, 0)
    return "".join(printer.parts)


class _DebugPrinter:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self._size = 0

    def write(self, value: Any, depth: int) -> None:
        """Writes a value. Each level of nesting writes at least a byte, so the limit also bounds the recursion."""
        if type(value) is JsonObject:
            self._token("{")
            for position, (name, member) in enumerate(value):
                self._token((",\n" if position else "\n") + INDENT * (depth + 1) + quote(name))
                self._prefix(": ")
                self.write(member, depth + 1)
            self._token(("\n" + INDENT * depth if value else "") + "}")
        elif type(value) is list:
            self._token("[")
            for position, element in enumerate(value):
                if position:
                    self._prefix(", ")
                self.write(element, depth + 1)
            self._token("]")
        else:
            self._scalar(value)

    def _scalar(self, value: Any) -> None:
        if type(value) is str:
            self._token(quote(value))
        elif type(value) is float and not math.isfinite(value):
            self._token("")
            raise _LimitReachedError
        elif value is None or type(value) is bool:
            self._token({None: "null", True: "true", False: "false"}[value])
        elif type(value) is int and -(2**63) <= value < 2**64:
            self._token(str(value))
        else:
            self._token(_shortest_double(float(value)))

    def _prefix(self, text: str) -> None:
        # The text before a token is written together with the token or not at all.
        if self._size >= DEBUG_LIMIT:
            raise _LimitReachedError
        self.parts.append(text)

    def _token(self, text: str) -> None:
        if self._size >= DEBUG_LIMIT:
            raise _LimitReachedError
        self.parts.append(text)
        self._size = sum(len(to_bytes(part)) for part in self.parts)


def _shortest_double(value: float) -> str:
    """Formats the shortest decimal that reads back as the same double, in RapidJSON's layout."""
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return f"{sign}{digits.ljust(point, '0')}.0"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[0]}{'.' + digits[1:] if len(digits) > 1 else ''}e{point - 1}"
