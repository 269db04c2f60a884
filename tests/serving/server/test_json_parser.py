"""The JSON parser: RapidJSON's grammar, offsets and messages, at any depth."""

import contextlib
import json
import math
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kerasbert_serving.server import ServingError
from kerasbert_serving.server.rest.json_document import parse_object
from kerasbert_serving.server.rest.json_objects import JsonObject
from kerasbert_serving.server.rest.json_parser import JsonParser
from kerasbert_serving.server.rest.json_printer import debug_string, to_bytes


@pytest.mark.parametrize(
    ("body", "error", "offset"),
    [
        (b" ", "The document is empty.", 1),
        (b"}", "The document is empty.", 0),
        (b"tru", "Invalid value.", 3),
        (b"nil", "Invalid value.", 1),
        (b"-", "Invalid value.", 1),
        (b"[1,]", "Invalid value.", 3),
        (b"[,1]", "Invalid value.", 1),
        (b'{"a":}', "Invalid value.", 5),
        (b"{,}", "Missing a name for object member.", 1),
        (b'{"a":1,}', "Missing a name for object member.", 7),
        (b"{1:2}", "Missing a name for object member.", 1),
        (b'{"a" 1}', "Missing a colon after a name of object member.", 5),
        (b'{"a"', "Missing a colon after a name of object member.", 4),
        (b'{"a":1 "b"', "Missing a comma or '}' after an object member.", 7),
        (b"[1 2]", "Missing a comma or ']' after an array element.", 3),
        (b"[01]", "Missing a comma or ']' after an array element.", 2),
        (b'["\\u12x4"]', "Incorrect hex digit after \\u escape in string.", 2),
        (b'["\\ud800"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\ud800\\u0041"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\x"]', "Invalid escape character in string.", 2),
        (b'["a\nb"]', "Invalid escape character in string.", 3),
        (b'["abc', "Missing a closing quotation mark in string.", 5),
        (b'["a\0"]', "Missing a closing quotation mark in string.", 3),
        (b"[1e309]", "Number too big to be stored in double.", 1),
        (b"[1.]", "Miss fraction part in number.", 3),
        (b"[1e+]", "Miss exponent in number.", 4),
    ],
)
def test_errors_are_rapidjsons(body, error, offset):
    with pytest.raises(ServingError, match="JSON Parse error") as caught:
        parse_object(body)
    assert caught.value.message == f"JSON Parse error: {error} at offset: {offset}"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"\xef\xbb\xbf [1]", [1]),
        (b"[1] and more", [1]),
        (b"[Inf, -Inf, Infinity, -Infinity]", [math.inf, -math.inf, math.inf, -math.inf]),
        (b"[18446744073709551615, -9223372036854775808]", [2**64 - 1, -(2**63)]),
        (b"[18446744073709551616]", [float(2**64)]),
        (b"[1e-400, -0, 1E+2]", [0.0, 0, 100.0]),
        (b'["\\ud83d\\ude00\\/\\b"]', ["\U0001f600/\b"]),
    ],
)
def test_values(body, value):
    parsed = JsonParser(body).parse()
    assert parsed == value
    assert [type(v) for v in parsed] == [type(v) for v in value]


def test_invalid_utf8_is_kept():
    [value] = JsonParser(b'["a\xff\xc3\xa9\\ude00"]').parse()
    assert to_bytes(value) == b"a\xff\xc3\xa9\xed\xb8\x80"


def test_the_first_of_two_members_with_the_same_name_counts():
    document = parse_object(b'{"a": 1, "a": 2}')
    assert document.find("a") == 1
    assert len(document) == 2


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_hundred_thousand_levels(opening):
    closing = b"]" if opening == b"[" else b"}"
    body = opening * 100_000 + b"1" + closing * 100_000
    value, depth = JsonParser(body).parse(), 0
    while type(value) in (list, JsonObject):
        value = value[0][1] if type(value) is JsonObject else value[0]
        depth += 1
    assert depth == 100_000
    with pytest.raises(ServingError, match=r"Invalid value|Missing a name"):
        JsonParser(opening * 100_000).parse()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(width=64)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(string.ascii_letters, max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(string.ascii_letters, max_size=3), json_values, max_size=4), st.booleans())
def test_both_parsers_agree(document, ascii_only):
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert debug_string(parse_object(body)) == debug_string(JsonParser(body).parse())


def value_or_error(parse, body):
    try:
        return [(type(value), repr(value)) for _, value in parse(body)]
    except ServingError as error:
        return error.message


@settings(max_examples=60, deadline=None)
@given(st.from_regex(r"-?(0|[1-9][0-9]{0,330})(\.[0-9]{1,330})?([eE][+-]?[0-9]{1,4})?", fullmatch=True))
@example("1" + "0" * 400)
@example("9e308")
@example("1e309")
@example("1E+0400")
@example("9" * 210 + "e99")
@example("1" * 4301)
def test_both_parsers_agree_on_numbers(number):
    body = f'{{"a": {number}}}'.encode()
    fast, exact = (value_or_error(parse, body) for parse in (parse_object, lambda body: JsonParser(body).parse()))
    if isinstance(exact, list) and exact[0][0] is float and isinstance(fast, list) and fast[0][0] is int:
        assert repr(float(int(fast[0][1]))) == exact[0][1]  # beyond 64 bits; converted to a double later
    else:
        assert fast == exact


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40) | st.text('{}[]",:\\u0019.eE+-NaInftrue \n', max_size=30).map(str.encode))
def test_any_bytes_give_a_value_or_a_serving_error(body):
    with contextlib.suppress(ServingError):
        assert type(parse_object(body)) is JsonObject


def test_debug_strings_stop_after_256_bytes():
    text = debug_string([100] * 1000)
    assert 256 <= len(text) < 262
    assert text.startswith("[100, 100, ")
    assert debug_string([[]] * 3) == "[[], [], []]"
    assert debug_string([math.nan, 1]) == "["


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (1.5e-7, "1.5e-7"),
        (0.00001, "0.00001"),
        (-0.0, "-0.0"),
        (123456789.125, "123456789.125"),
        (5e-324, "5e-324"),
        ("é\x1f\x7f\\", '"é\\u001F\x7f\\\\"'),
        (None, "null"),
        (JsonObject(), "{}"),
        (JsonObject([("a", JsonObject([("b", [1])]))]), '{\n    "a": {\n        "b": [1]\n    }\n}'),
    ],
)
def test_debug_strings_of_values(value, text):
    assert debug_string(value) == text
