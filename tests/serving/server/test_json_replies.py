"""The layout and the number formats of JSON replies, and the size of their pieces."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from kerasbert_serving.server import ServingError
from kerasbert_serving.server.inference import Classes
from kerasbert_serving.server.rest import json_replies
from kerasbert_serving.server.rest.json_printer import to_bytes


def predictions(outputs):
    return to_bytes("".join(json_replies.predictions(outputs)))


def outputs_reply(outputs):
    return to_bytes("".join(json_replies.outputs_reply(outputs)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.2, "0.2"),
        (1.0, "1.0"),
        (9000000, "9e+06"),
        (0.00003, "3e-05"),
        (1234567.0, "1234567.0"),
        (0.1234567, "0.123456702"),
        (1e-45, "1.4013e-45"),
        (3.4028235e38, "3.40282347e+38"),
        (-0.0, "-0.0"),
        (16777217, "16777216.0"),
    ],
)
def test_float32(value, text):
    assert json_replies.float_tokens(np.float32([value])) == [text]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1 / 3, "0.33333333333333331"),
        (1e100, "1e+100"),
        (1234567.0, "1234567.0"),
        (2.0**53, "9007199254740992.0"),
        (5e-324, "4.94066e-324"),
    ],
)
def test_float64(value, text):
    assert json_replies.float_tokens(np.float64([value])) == [text]


@settings(max_examples=100, deadline=None)
@given(numpy_strategies.arrays(np.float32, 3) | numpy_strategies.arrays(np.float64, 3))
def test_floats_read_back_as_the_same_values(values):
    tokens = json_replies.float_tokens(values)
    back = np.array([float(token) for token in tokens]).astype(values.dtype)
    np.testing.assert_array_equal(back, values)
    assert all(("." in t) or ("e" in t) or t in ("NaN", "Infinity", "-Infinity") for t in tokens)


def test_nested_rows_are_on_one_line():
    reply = predictions({"y": np.arange(8, dtype=np.int32).reshape(2, 2, 2)})
    assert reply == b'{\n    "predictions": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]\n    ]\n}'


def test_nested_columns_have_one_value_per_line():
    reply = outputs_reply({"y": np.int64([[1, 2]]), "z_bytes": np.array([b"a"], object)})
    assert reply.decode() == (
        '{\n    "outputs": {\n        "y": [\n            [\n                1,\n                2\n            ]\n'
        '        ],\n        "z_bytes": [\n            {\n                "b64": "YQ=="\n            }\n        ]\n'
        "    }\n}"
    )


def test_scalars_and_empty_outputs():
    assert outputs_reply({"y": np.float32(3)}) == b'{\n    "outputs": 3.0\n}'
    assert outputs_reply({"y": np.zeros([0, 2], np.float32)}) == b'{\n    "outputs": []\n}'
    assert predictions({"y": np.zeros([0, 2], np.float32)}) == b'{\n    "predictions": []\n}'
    assert json.loads(predictions({"y": np.zeros([2, 0], np.float32)})) == {"predictions": [[], []]}


def test_bytes_rows_in_tensorflow_servings_layout():
    reply = predictions({"y_bytes": np.array([b"a", b"b"], object)})
    assert reply.decode() == (
        '{\n    "predictions": [{\n            "b64": "YQ=="\n        }, {\n            "b64": "Yg=="\n        }\n'
        "    ]\n}"
    )


@pytest.mark.parametrize(
    ("outputs", "error"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"y": np.float32(1)}, "Tensor name: y has no shape information "),
        (
            {"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)},
            "Tensor name: b has inconsistent batch size: 3 expecting: 2",
        ),
        ({"y": np.zeros(1, np.float16)}, "Failed to write JSON value for tensor type: half"),
    ],
)
def test_invalid_outputs_are_refused(outputs, error):
    with pytest.raises(ServingError) as caught:
        predictions(outputs)
    assert caught.value.message == error


@settings(max_examples=100, deadline=None)
@given(
    numpy_strategies.arrays(
        st.sampled_from([np.int8, np.uint64, np.int64, np.bool_]),
        numpy_strategies.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3),
    )
)
def test_any_array_reads_back_as_the_same_values(array):
    assert json.loads(predictions({"y": array}))["predictions"] == array.tolist()
    assert json.loads(outputs_reply({"y": array, "z": array}))["outputs"]["y"] == array.tolist()


SHAPES = [[7000], [3, 5000], [5000, 3], [2, 3, 1500], [1, 2, 2, 3000], [4000, 1, 1]]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", ["predictions", "outputs_reply"])
def test_large_replies_come_in_small_pieces_of_the_same_text(shape, layout, monkeypatch):
    numbers = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    for outputs in (
        {"y": numbers},
        {"y": numbers, "half": numbers / np.float32(2), "z_bytes": text_rows(len(numbers))},
    ):
        pieces = list(getattr(json_replies, layout)(outputs))
        assert max(piece.count(",") for piece in pieces) <= 2 * json_replies.PIECE
        with monkeypatch.context() as patch:
            patch.setattr(json_replies, "PIECE", 10**9)
            assert "".join(pieces) == "".join(getattr(json_replies, layout)(outputs))


def text_rows(count):
    rows = np.empty(count, object)
    rows[:] = [b"%d" % row for row in range(count)]
    return rows


def test_large_classifications_come_in_small_pieces():
    scores = np.linspace(0, 1, 9000, dtype=np.float32).reshape(3000, 3)
    classes = Classes(text_rows(9000).reshape(3000, 3), scores)
    pieces = list(json_replies.classifications(classes))
    assert max(map(len, pieces)) < 100_000
    results = json.loads("".join(pieces))["results"]
    assert results[2999][2] == ["8999", 1.0]
    assert len(results) == 3000
    assert json.loads("".join(json_replies.regressions(scores.reshape(-1))))["results"][-1] == 1.0
