"""A JSON parser with the grammar and errors of RapidJSON 1.1.0 as TensorFlow Serving configures it.

It accepts NaN and Inf, and stops at the end of the first value. It does not recurse, so deep documents only take
memory. Strings become `str`; bytes that are not valid UTF-8 are kept with `surrogateescape`.
"""

import math
import re
from typing import Any

from kerasbert_serving.server.rest.json_objects import JsonObject
from kerasbert_serving.server.statuses import invalid_argument

EMPTY = "The document is empty."
INVALID_VALUE = "Invalid value."
NO_NAME = "Missing a name for object member."
NO_COLON = "Missing a colon after a name of object member."
NO_COMMA_IN_OBJECT = "Missing a comma or '}' after an object member."
NO_COMMA_IN_ARRAY = "Missing a comma or ']' after an array element."
BAD_HEX = "Incorrect hex digit after \\u escape in string."
BAD_SURROGATE = "The surrogate pair in string is invalid."
BAD_ESCAPE = "Invalid escape character in string."
NO_QUOTE = "Missing a closing quotation mark in string."
TOO_BIG = "Number too big to be stored in double."
NO_FRACTION = "Miss fraction part in number."
NO_EXPONENT = "Miss exponent in number."

_SPACE = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX = re.compile(rb"[0-9a-fA-F]{4}")
_INTEGER = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_DIGITS = re.compile(rb"[0-9]+")
_ESCAPES = {ord(k): v for k, v in zip('"/\\bfnrt', b'"/\\\b\f\n\r\t', strict=True)}
_LITERALS = {ord("n"): (b"null", None), ord("t"): (b"true", True), ord("f"): (b"false", False)}


class JsonParser:
    """Parses one body.

    Args:
        body: The body.

    Example:

    >>> JsonParser(b'{"x": [1, NaN, "a"]} rest').parse()
    [('x', [1, nan, 'a'])]
    """

    def __init__(self, body: bytes):
        # As in a C string, a zero byte ends the text.
        self._text = body[: body.find(b"\0")] if b"\0" in body else body
        self._at = 0

    def parse(self) -> Any:
        """Parses the first JSON value of the body.

        Raises:
            ServingError: INVALID_ARGUMENT with RapidJSON's message and byte offset.
        """
        for byte in (b"\xef", b"\xbb", b"\xbf"):
            self._consumes(byte)
        if self._next() is None:
            raise self._error(EMPTY)
        if self._text[self._at] in b"]},:":
            raise self._error(EMPTY)
        return self._document()

    def _document(self) -> Any:
        value, opened = self._value_or_open()
        if not opened:
            return value
        stack: list[tuple[Any, str | None]] = []  # the open containers around this one, and its name in each
        container = value
        while True:
            name, value, opened, closed = self._member(container)
            if opened:
                stack.append((container, name))
                container = value
                continue
            if not closed:
                self._append(container, name, value)
            while closed or self._closes(container):
                self._at += 1
                if not stack:
                    return container
                (outer, name), inner = stack.pop(), container
                self._append(outer, name, inner)
                container, closed = outer, False

    def _member(self, container: Any) -> tuple[str | None, Any, bool, bool]:
        """Returns the name and value of the next member, whether it opens a container, and whether this one closes."""
        is_object = type(container) is JsonObject
        char = self._next()
        if not container and char == (0x7D if is_object else 0x5D):
            return None, None, False, True
        name = None
        if is_object:
            if char != 0x22:
                raise self._error(NO_NAME)
            name = self._string()
            if self._next() != 0x3A:
                raise self._error(NO_COLON)
            self._at += 1
            char = self._next()
        if char is None or char in b"]},:":
            raise self._error(INVALID_VALUE)
        value, opened = self._value_or_open()
        return name, value, opened, False

    def _closes(self, container: Any) -> bool:
        """Whether the container closes after a member. Skips a comma."""
        is_object = type(container) is JsonObject
        char = self._next()
        if char == (0x7D if is_object else 0x5D):
            return True
        if char != 0x2C:
            raise self._error(NO_COMMA_IN_OBJECT if is_object else NO_COMMA_IN_ARRAY)
        self._at += 1
        if not is_object and self._next() == 0x5D:
            raise self._error(INVALID_VALUE)
        if is_object and self._next() == 0x7D:
            raise self._error(NO_NAME)
        return False

    @staticmethod
    def _append(container: Any, name: str | None, value: Any) -> None:
        container.append((name, value) if type(container) is JsonObject else value)

    def _value_or_open(self) -> tuple[Any, bool]:
        char = self._peek()
        if char == 0x7B:
            self._at += 1
            return JsonObject(), True
        if char == 0x5B:
            self._at += 1
            return [], True
        if char == 0x22:
            return self._string(), False
        if char in _LITERALS:
            return self._literal(*_LITERALS[char]), False
        return self._number(), False

    def _literal(self, word: bytes, value: Any) -> Any:
        if not self._consumes(word):
            raise self._error(INVALID_VALUE)
        return value

    # === Strings ===

    def _string(self) -> str:
        self._at += 1
        parts: list[bytes] = []
        while True:
            end = _end(_PLAIN, self._text, self._at)
            parts.append(self._text[self._at : end])
            self._at = end
            char = self._peek()
            if char == 0x22:
                self._at += 1
                return b"".join(parts).decode("utf-8", "surrogateescape")
            if char is None:
                raise self._error(NO_QUOTE)
            if char != 0x5C:
                raise self._error(BAD_ESCAPE)
            parts.append(self._escape())

    def _escape(self) -> bytes:
        start = self._at
        self._at += 1
        char = self._peek()
        if char in _ESCAPES:
            self._at += 1
            return bytes([_ESCAPES[char]])
        if char != 0x75:
            raise self._error(BAD_ESCAPE, start)
        self._at += 1
        code = self._hex(start)
        if 0xD800 <= code <= 0xDBFF:
            if self._text[self._at : self._at + 2] != b"\\u":
                raise self._error(BAD_SURROGATE, start)
            self._at += 2
            low = self._hex(start)
            if not 0xDC00 <= low <= 0xDFFF:
                raise self._error(BAD_SURROGATE, start)
            code = (((code - 0xD800) << 10) | (low - 0xDC00)) + 0x10000
        return chr(code).encode("utf-8", "surrogatepass")

    def _hex(self, start: int) -> int:
        match = _HEX.match(self._text, self._at)
        if match is None:
            raise self._error(BAD_HEX, start)
        self._at = match.end()
        return int(match.group(), 16)

    # === Numbers ===

    def _number(self) -> int | float:
        start = self._at
        match = _INTEGER.match(self._text, start)
        if match is None:
            return self._not_a_number()
        self._at = match.end()
        if math.isinf(float(match.group())):
            raise self._error(TOO_BIG, start)
        fraction = exponent = b""
        if self._peek() == 0x2E:
            self._at += 1
            fraction = self._digits(NO_FRACTION)
        is_exponential = self._peek() in (0x65, 0x45)
        sign = b""
        if is_exponential:
            self._at += 1
            if self._peek() in (0x2B, 0x2D):
                sign = self._text[self._at : self._at + 1]
                self._at += 1
            exponent = self._digits(NO_EXPONENT)
        digits = match.group()
        if not fraction and not is_exponential and len(digits) <= 20:
            value = int(digits)
            if -(2**63) <= value < 2**64:
                return value
        return self._double(start, digits, fraction, sign, exponent)

    def _double(self, start: int, digits: bytes, fraction: bytes, sign: bytes, exponent: bytes) -> float:
        # RapidJSON compares the exponent with the number of digits after the point, whatever comes before it.
        if exponent and sign != b"-" and len(exponent.lstrip(b"0")) > 1:
            counted = exponent.lstrip(b"0")
            if len(counted) > 9 or int(counted) > 308 + min(len(fraction), 17):
                raise self._error(TOO_BIG, start)
        if sign == b"-" and len(exponent.lstrip(b"0")) > 9:
            return -0.0 if digits.startswith(b"-") else 0.0
        return float(b"%s.%se%s%s" % (digits, fraction or b"0", sign, exponent or b"0"))

    def _digits(self, error: str) -> bytes:
        match = _DIGITS.match(self._text, self._at)
        if match is None:
            raise self._error(error)
        self._at = match.end()
        return match.group()

    def _not_a_number(self) -> float:
        is_negative = self._consumes(b"-")
        if self._peek() not in (0x49, 0x4E):
            raise self._error(INVALID_VALUE)
        if self._consumes(b"NaN"):
            return math.nan
        # The consumed part of the first word stays consumed, so "NaInf" is infinity.
        if not self._consumes(b"Inf") or (self._peek() == 0x69 and not self._consumes(b"inity")):
            raise self._error(INVALID_VALUE)
        return -math.inf if is_negative else math.inf

    # === Position ===

    def _consumes(self, word: bytes) -> bool:
        """Consumes a word, or as much of it as there is."""
        for byte in word:
            if self._peek() != byte:
                return False
            self._at += 1
        return True

    def _peek(self) -> int | None:
        return self._text[self._at] if self._at < len(self._text) else None

    def _next(self) -> int | None:
        self._at = _end(_SPACE, self._text, self._at)
        return self._peek()

    def _error(self, text: str, at: int | None = None) -> Exception:
        return invalid_argument(f"JSON Parse error: {text} at offset: {self._at if at is None else at}")


def _end(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    """The end of a match at `start`, for a pattern that also matches the empty text."""
    match = pattern.match(text, start)
    return match.end() if match else start
