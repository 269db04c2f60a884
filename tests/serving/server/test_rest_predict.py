"""`:predict` over REST: both forms, every dtype, the layout of replies, and error messages."""

import json

import pytest


def predict(rest, body, path="/v1/models/echo:predict"):
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return rest.post(path, content=content)


def test_rows_come_back_in_tensorflow_servings_layout(rest):
    reply = predict(rest, {"instances": [1.0, 2.0, 5.0]})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.content == b'{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


def test_columns_come_back_in_tensorflow_servings_layout(rest):
    reply = predict(rest, {"inputs": [1.0, 2.0]})
    assert reply.content == b'{\n    "outputs": [\n        2.5,\n        3.0\n    ]\n}'


def test_version_in_the_path(rest):
    reply = predict(rest, {"instances": [1]}, "/v1/models/echo/versions/1:predict")
    assert reply.json() == {"predictions": [2.5]}
    reply = predict(rest, {"instances": [1]}, "/v1/models/echo/versions/7:predict")
    assert reply.status_code == 404
    assert reply.json() == {"error": "Servable not found for request: Specific(echo, 7)"}


ROWS = [
    {"text": "a", "ids": [1, 2], "pair": [0.5, 1e300], "flag": True},
    {"text": {"b64": "/wA="}, "ids": [9007199254740993, -4], "pair": [1, 2], "flag": False},
]


def test_several_inputs_row_by_row(rest):
    reply = predict(rest, {"signature_name": "many", "instances": ROWS})
    assert reply.status_code == 200, reply.text
    rows = json.loads(reply.content.decode("utf-8", "surrogateescape"))["predictions"]
    assert rows[0] == {
        "text": "a",
        "raw_bytes": {"b64": "YQ=="},
        "ids": [1, 2],
        "pair": [0.5, 1e300],
        "flag": True,
    }
    assert rows[1]["raw_bytes"] == {"b64": "/wA="}
    assert rows[1]["ids"] == [9007199254740993, -4]
    assert b'"text": "\xff\\u0000"' in reply.content


def test_several_inputs_by_column(rest):
    inputs = {
        "text": ["a", "b"],
        "ids": [[1, 2], [3, 4]],
        "pair": [[0.5, 1], [2, 3]],
        "flag": [True, False],
    }
    reply = predict(rest, {"signature_name": "many", "inputs": inputs})
    assert reply.status_code == 200, reply.text
    outputs = reply.json()["outputs"]
    assert outputs["ids"] == [[1, 2], [3, 4]]
    assert outputs["raw_bytes"] == [{"b64": "YQ=="}, {"b64": "Yg=="}]


def test_object_rows_in_tensorflow_servings_layout(rest):
    reply = predict(rest, {"signature_name": "many", "instances": [ROWS[0]]})
    expected = """{
    "predictions": [
        {
            "flag": true,
            "ids": [1, 2],
            "pair": [0.5, 1e+300],
            "raw_bytes": {
                "b64": "YQ=="
            },
            "text": "a"
        }
    ]
}"""
    assert reply.text == expected


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        (
            "float32",
            "[0.1, 3, 1e-7, 16777216, NaN, Infinity, -Infinity]",
            "[0.1, 3.0, 1e-07, 16777216.0, NaN, Infinity, -Infinity",
        ),
        (
            "float64",
            "[0.1, 123456789.123, 1e22, -0.0, 0.30000000000000004]",
            "[0.1, 123456789.123, 1e+22, -0.0, 0.30000000000000004",
        ),
        ("int8", "[-128, 127, 300]", "[-128, 127, 44"),
        ("uint8", "[0, 255, -1]", "[0, 255, 255"),
        ("int16", "[-32768, 32767]", "[-32768, 32767"),
        ("int32", "[-2147483648, 2147483647]", "[-2147483648, 2147483647"),
        ("int64", "[-9223372036854775808, 9223372036854775807]", "[-9223372036854775808, 9223372036854775807"),
        ("uint32", "[0, 4294967295]", "[0, 4294967295"),
        ("uint64", "[18446744073709551615]", "[18446744073709551615"),
        ("bool", "[true, false]", "[true, false"),
    ],
)
def test_every_dtype_is_returned_unchanged(rest, name, values, expected):
    reply = predict(rest, f'{{"signature_name": "echo_{name}", "instances": {values}}}')
    assert reply.status_code == 200, reply.text
    assert reply.text == f'{{\n    "predictions": {expected}\n    ]\n}}'


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("  ", "JSON Parse error: The document is empty. at offset: 2"),
        ("hello", "JSON Parse error: Invalid value. at offset: 0"),
        ("[1]", "JSON Value: [1] Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": [1.0,2.0', "JSON Parse error: Missing a comma or ']' after an array element. at offset: 22"),
        ('{"instances": 1}', "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
        (
            '{"instances": [1], "inputs": [1]}',
            'JSON Value: {\n    "instances": [1],\n    "inputs": [1]\n} Not formatted correctly expecting only one of '
            "'inputs' or 'instances' keys to exist ",
        ),
        (
            '{"signature_name": 1, "instances": [1]}',
            'JSON Value: {\n    "signature_name": 1,\n    "instances": [1]\n} not formatted correctly. '
            "'signature_name' key must be a string value.",
        ),
        (
            '{"signature_name": "no", "instances": [1]}',
            'Serving signature name: "no" not found in signature def',
        ),
        (
            '{"instances": ["a"]}',
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"a\" Type: String "
            "is not of expected type: float",
        ),
        (
            '{"instances": [1, [2]]}',
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [] but got: "
            "[1]",
        ),
        (
            '{"instances": [[1, 2], [3]]}',
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but "
            "got: 1",
        ),
        (
            '{"signature_name": "many", "instances": [1]}',
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            '{"signature_name": "many", "inputs": {"text": ["a"]}}',
            "Missing named input: flag in 'inputs' object.",
        ),
        ('{"signature_name": "text", "inputs": [{"b64": "*"}]}', "Unable to base64 decode"),
    ],
)
def test_invalid_bodies_get_tensorflow_servings_errors(rest, body, error):
    reply = predict(rest, body)
    assert reply.status_code == 400
    assert reply.json() == {"error": error}


def test_a_dtype_without_a_json_type_is_unimplemented(rest):
    reply = predict(rest, '{"signature_name": "echo_half", "inputs": [1]}')
    assert (reply.status_code, reply.json()) == (501, {"error": "Conversion of JSON Value: 1 to type: half"})
    reply = predict(rest, '{"signature_name": "echo_half", "instances": [1]}')
    assert (reply.status_code, reply.json()) == (
        400,
        {
            "error": "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: Conversion of JSON "
            "Value: 1 to type: half"
        },
    )


def test_scalar_strings(rest):
    reply = predict(rest, {"signature_name": "named", "inputs": ["a", "b"]})
    assert (reply.status_code, reply.json()) == (200, {"outputs": {"y": ["a", "b"], "name": "echo \u00e4"}})
    assert predict(rest, {"signature_name": "text", "inputs": "a"}).json() == {"outputs": "a"}
    reply = predict(rest, {"signature_name": "named", "instances": ["a"]})
    assert (reply.status_code, reply.json()) == (400, {"error": "Tensor name: name has no shape information "})


@pytest.mark.parametrize("number", ["1" + "0" * 400, "-" + "9" * 4000, "1e400", "1E+0309"])
@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("predict", '{"instances": [1, %s]}'),
        ("predict", '{"inputs": [[%s]]}'),
        ("predict", '{"signature_name": "echo_int64", "inputs": %s}'),
        ("predict", '{"signature_name": "text", "instances": ["a", %s]}'),
        ("predict", '{"instances": [1], "unknown": %s}'),
        ("predict", '{"signature_name": %s, "instances": [1]}'),
        ("predict", "%s"),
        ("predict", "[[%s]]"),
        ("regress", '{"signature_name": "regress", "examples": [{"x": %s}]}'),
        ("classify", '{"signature_name": "classify", "context": {"x": [%s]}, "examples": [{}]}'),
    ],
)
def test_a_number_beyond_a_double_is_reported_anywhere(rest, method, body, number):
    reply = predict(rest, body % number, f"/v1/models/echo:{method}")
    error = f"JSON Parse error: Number too big to be stored in double. at offset: {body.index('%')}"
    assert (reply.status_code, reply.json()) == (400, {"error": error})


def test_errors_of_the_graph_keep_their_code(rest):
    reply = predict(rest, {"signature_name": "positive", "instances": [-1.0]})
    assert reply.status_code == 400
    assert "x must be positive" in reply.json()["error"]


def test_a_defect_of_the_server_is_reported_to_the_client(rest, monkeypatch, caplog):
    monkeypatch.setattr("kerasbert_serving.server.rest.json_replies.predictions", lambda outputs: outputs["no such"])
    reply = predict(rest, {"instances": [1]})
    assert (reply.status_code, reply.json()) == (500, {"error": "KeyError: 'no such'"})
    assert "POST /v1/models/echo:predict failed" in caplog.text
    assert predict(rest, {"inputs": [1]}).status_code == 200


def test_unknown_models_and_paths(rest):
    reply = predict(rest, {"instances": [1]}, "/v1/models/other:predict")
    assert (reply.status_code, reply.json()) == (404, {"error": "Servable not found for request: Latest(other)"})
    reply = predict(rest, {"instances": [1]}, "/v1/models/echo:explain")
    assert (reply.status_code, reply.json()) == (
        400,
        {"error": "Malformed request: POST /v1/models/echo:explain"},
    )
    assert rest.get("/v2/models/echo").status_code == 404
    assert rest.put("/v1/models/echo").json() == {"error": "Malformed request: PUT /v1/models/echo"}
