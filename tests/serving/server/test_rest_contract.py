"""Requests and replies of the REST API, according to TensorFlow Serving's documentation and source code."""

import pytest

PREDICT = "/v1/models/echo:predict"


def element(position, error, key=""):
    """Returns the error message for an invalid instance."""
    return f"Failed to process element: {position}{key} of 'instances' list. Error: INVALID_ARGUMENT: {error}"


def wrong_type(value, kind, dtype):
    return f"JSON Value: {value} Type: {kind} is not of expected type: {dtype}"


def outputs(text):
    return f'{{\n    "outputs": {text}\n}}'


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/v1/models/echo", 400, "Malformed request: POST /v1/models/echo"),
        ("GET", "/v1/models/echo:predict", 400, "Malformed request: GET /v1/models/echo:predict"),
        ("DELETE", "/v1/models/echo", 400, "Malformed request: DELETE /v1/models/echo"),
        ("PATCH", PREDICT, 400, f"Malformed request: PATCH {PREDICT}"),
        ("POST", "/v1/models/echo:Predict", 400, "Malformed request: POST /v1/models/echo:Predict"),
        ("POST", "/v1/models/echo:predict/", 400, "Malformed request: POST /v1/models/echo:predict/"),
        ("POST", "/v1/models/echo:predict?x=1", 400, "Malformed request: POST /v1/models/echo:predict?x=1"),
        ("POST", "/v1/models/:predict", 400, "Malformed request: POST /v1/models/:predict"),
        (
            "POST",
            "/v1/models/echo/versions/1.0:predict",
            400,
            "Malformed request: POST /v1/models/echo/versions/1.0:predict",
        ),
        (
            "POST",
            "/v1/models/echo/versions/-1:predict",
            400,
            "Malformed request: POST /v1/models/echo/versions/-1:predict",
        ),
        ("POST", "/v1/models/echo/versions/:predict", 400, "Malformed request: POST /v1/models/echo/versions/:predict"),
        (
            "POST",
            "/v1/models/echo/versions/1/labels/a:predict",
            400,
            "Malformed request: POST /v1/models/echo/versions/1/labels/a:predict",
        ),
        (
            "POST",
            "/v1/models/echo/versions/9223372036854775808:predict",
            400,
            "Failed to convert version: 9223372036854775808 to numeric.",
        ),
        (
            "POST",
            "/v1/models/echo/versions/9223372036854775807:predict",
            404,
            "Servable not found for request: Specific(echo, 9223372036854775807)",
        ),
        ("POST", "/v1/models/echo/labels/a%20b:predict", 400, "Unrecognized servable version label: a b"),
        ("POST", "/v1/models/a%2Fb:predict", 404, "Servable not found for request: Latest(a/b)"),
        ("GET", "/v1/", 400, "Malformed request: GET /v1/"),
        ("GET", "/v1/models/", 400, "Malformed request: GET /v1/models/"),
        ("GET", "/v1/models/echo/", 400, "Malformed request: GET /v1/models/echo/"),
        ("GET", "/v1/models/echo/metadata/x", 400, "Malformed request: GET /v1/models/echo/metadata/x"),
        ("GET", "/v1/models/versions/1", 400, "Missing model name in request."),
        ("GET", "/v1/models/metadata", 404, "Could not find any versions of model metadata"),
        ("GET", "/v1/models/other/metadata", 404, "Servable not found for request: Latest(other)"),
        ("GET", "/v1/models/echo/versions/007/metadata", 404, "Servable not found for request: Specific(echo, 7)"),
    ],
)
def test_invalid_paths(rest, method, path, status, error):
    reply = rest.request(method, path, content=b'{"instances": [1]}' if method == "POST" else None)
    assert (reply.status_code, reply.json()) == (status, {"error": error})
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/V1/Models/echo:predict"),
        ("POST", "/v1/models/echo/versions/001:predict"),
        ("GET", "/v1/MODELS/echo"),
        ("GET", "/v1/models/echo/labels/any"),
        ("GET", "/v1/models/echo/versions/1/metadata"),
    ],
)
def test_valid_paths(rest, method, path):
    assert rest.request(method, path, content=b'{"instances": [1]}' if method == "POST" else None).status_code == 200


def test_a_head_request_is_malformed_and_has_no_body(rest):
    reply = rest.head("/v1/models/echo")
    assert (reply.status_code, reply.content) == (400, b"")


@pytest.mark.parametrize(("origin", "status"), [("https://example.org", 200), ("example.org", 400), (None, 400)])
def test_preflight_requests_need_an_origin(rest, origin, status):
    reply = rest.options(PREDICT, headers={"origin": origin} if origin else {})
    assert (reply.status_code, reply.content) == (status, b"")


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models/echo", "/favicon.ico", "//v1/models/echo"])
def test_other_paths_are_libevents_404(rest, path):
    reply = rest.post(path)
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "text/html"
    assert "<H1>Not Found</H1>" in reply.text


@pytest.mark.parametrize(
    "content",
    [
        b'{"instances": [1]}',
        b'\xef\xbb\xbf \r\n\t{"instances":[1]} what follows is not read',
        b'{"instances": [1], "instances": [2], "else": {"a": [null]}}',
        b'{"signature_name": "", "instances": [{"x": 1}]}',
        b'{"signature_name": "serving_default", "signature_name": "no", "instances": [1.0]}',
        b'{"\\u0069nstances": [1e0]}',
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_equivalent_requests(rest, content, content_type):
    reply = rest.post(PREDICT, content=content, headers={"content-type": content_type})
    assert reply.content == b'{\n    "predictions": [2.5\n    ]\n}'


@pytest.mark.parametrize(
    ("signature", "inputs", "reply"),
    [
        ("any_shape", "1", outputs("1.0")),
        ("any_shape", "[]", outputs("[]")),
        ("any_shape", "[[], []]", outputs("[\n        [],\n        []\n    ]")),
        ("any_shape", "[1e39, -1e39, 1e-50]", outputs("[\n        Infinity,\n        -Infinity,\n        0.0\n    ]")),
        ("any_shape", '{"x": 2, "unknown": 3}', outputs("2.0")),
        (
            "total",
            "[1, 2]",
            outputs('{\n        "rows": [\n            1.0,\n            2.0\n        ],\n        "total": 3.0\n    }'),
        ),
        (
            "text",
            '[{"b64": "YQ=="}, {"b64": "YQ"}, {"b64": " Y Q = = "}]',
            outputs('[\n        "a",\n        "a",\n        "a"\n    ]'),
        ),
        ("binary", '["a"]', outputs('[\n        {\n            "b64": "YQ=="\n        }\n    ]')),
        ("echo_int64", "[-0, 9007199254740993]", outputs("[\n        0,\n        9007199254740993\n    ]")),
        ("text", '["\\u00e9\\ud83d\\ude00/\\/\\u007f\\u001f"]', outputs('[\n        "é😀//\x7f\\u001F"\n    ]')),
    ],
)
def test_columns(rest, signature, inputs, reply):
    body = f'{{"signature_name": "{signature}", "inputs": {inputs}}}'
    assert rest.post(PREDICT, content=body).text == reply


@pytest.mark.parametrize(
    ("signature", "instances", "error"),
    [
        ("serving_default", '[{"y": 1}]', element(0, "JSON object: does not have named input: y", " key: y")),
        ("serving_default", '[{"x": "a"}]', element(0, wrong_type('"a"', "String", "float"), " key: x")),
        (
            "serving_default",
            '[{"x": 1}, {}]',
            "Failed to process element: 1 of 'instances' list. JSON object: {} keys must be equal to: x",
        ),
        ("serving_default", '[{"x": 1}, 2]', "Expecting object but got list at item 1 of input list"),
        ("serving_default", '[1, {"x": 2}]', "Expecting value/list but got object at item 1 of input list"),
        ("any_shape", "[[1, [2]]]", element(0, "Encountered list at unexpected level: 1 expected < 1")),
        (
            "any_shape",
            "[[[1], 2]]",
            element(0, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ),
        (
            "any_shape",
            "[[[1, 2], [3]]]",
            element(0, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ),
        ("any_shape", "[[1, 2], [[3], [4]]]", element(1, "Expecting shape [2] but got: [2,1]")),
        ("any_shape", "[null]", element(0, wrong_type("null", "Null", "float"))),
        ("any_shape", "[true]", element(0, wrong_type("true", "True", "float"))),
        (
            "any_shape",
            '[{"b64": "YQ=="}]',
            element(0, wrong_type('{\n    "b64": "YQ=="\n}', "Object", "float")),
        ),
        ("text", "[1]", element(0, wrong_type("1", "Number", "string"))),
        ("text", '[{"b64": "Y"}]', element(0, "Unable to base64 decode")),
        ("text", '[{"b64": 1}]', element(0, "JSON object: does not have named input: b64", " key: b64")),
        (
            "text",
            '[["a", {"b64": 1}]]',
            element(0, 'JSON Value: {\n    "b64": 1\n} not formatted correctly for base64 data'),
        ),
        ("echo_int32", "[2147483648]", element(0, wrong_type("2147483648", "Number", "int32"))),
        ("echo_int32", "[1.0]", element(0, wrong_type("1.0", "Number", "int32"))),
        ("echo_int64", "[9223372036854775808]", element(0, wrong_type("9223372036854775808", "Number", "int64"))),
        ("echo_int64", "[1e3]", element(0, wrong_type("1000.0", "Number", "int64"))),
        ("echo_uint32", "[-1]", element(0, wrong_type("-1", "Number", "uint32"))),
        ("echo_uint64", "[-1]", element(0, wrong_type("-1", "Number", "uint64"))),
        (
            "echo_uint64",
            "[18446744073709551616]",
            element(0, wrong_type("18446744073709552000.0", "Number", "uint64")),
        ),
        ("echo_bool", "[1]", element(0, wrong_type("1", "Number", "bool"))),
        ("echo_float64", "[1e400]", "JSON Parse error: Number too big to be stored in double. at offset: 49"),
        (
            "many",
            '[{"text": "a"}]',
            'Failed to process element: 0 of \'instances\' list. JSON object: {\n    "text": "a"\n} keys must be equal '
            "to: flag,ids,pair,text",
        ),
        ("total", "[1, 2]", "Tensor name: total has no shape information "),
    ],
)
def test_invalid_instances_are_refused(rest, signature, instances, error):
    reply = rest.post(PREDICT, content=f'{{"signature_name": "{signature}", "instances": {instances}}}')
    assert (reply.status_code, reply.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    ("signature", "inputs", "error"),
    [
        ("serving_default", "null", wrong_type("null", "Null", "float")),
        ("serving_default", "false", wrong_type("false", "False", "float")),
        ("serving_default", "{}", "Missing named input: x in 'inputs' object."),
        ("serving_default", '{"x": [1, "a"]}', wrong_type('"a"', "String", "float")),
        ("serving_default", "[[1], [2, 3]]", "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
        (
            "many",
            "[1]",
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        ("text", '{"b64": "*"}', "Unable to base64 decode"),
        (
            "text",
            '[{"b64": "YQ==", "more": 1}]',
            'JSON Value: {\n    "b64": "YQ==",\n    "more": 1\n} not formatted correctly for base64 data',
        ),
    ],
)
def test_invalid_inputs_are_refused(rest, signature, inputs, error):
    reply = rest.post(PREDICT, content=f'{{"signature_name": "{signature}", "inputs": {inputs}}}')
    assert (reply.status_code, reply.json()) == (400, {"error": error})


def test_an_error_in_the_body_is_reported_before_an_unknown_model(rest):
    for path, errors in (
        ("/v1/models/other:predict", ["JSON Parse error: Invalid value. at offset: 1", "Latest(other)"]),
        ("/v1/models/other:classify", ["JSON Parse error: Invalid value. at offset: 1", "Latest(other)"]),
    ):
        replies = [rest.post(path, content=body).json()["error"] for body in ("no", '{"examples": [{}]}')]
        assert replies == [errors[0], f"Servable not found for request: {errors[1]}"]


def test_the_metrics_have_one_path(rest):
    path = "/monitoring/prometheus/metrics"
    reply = rest.get(f"{path}?name=x")
    assert (reply.status_code, reply.text) == (400, f"Unexpected path: {path}?name=x. Should be {path}")
    assert {rest.request(method, path).status_code for method in ("GET", "POST", "PUT", "HEAD")} == {200}
