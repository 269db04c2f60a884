"""Classify, regress and multi-inference, over REST and gRPC."""

import json

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)


def post(rest, method, body):
    content = body if isinstance(body, str) else json.dumps(body)
    return rest.post(f"/v1/models/echo:{method}", content=content)


def example(x):
    return tf.train.Example(
        features=tf.train.Features(feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=[x]))})
    )


def test_classify_in_tensorflow_servings_layout(rest):
    reply = post(rest, "classify", {"signature_name": "classify", "examples": [{"x": 0.25}, {"x": [1.0]}]})
    assert reply.status_code == 200, reply.text
    assert reply.text == ('{\n    "results": [[["low", 0.75], ["high", 0.25]], [["low", 0.0], ["high", 1.0]]\n    ]\n}')


def test_regress_in_tensorflow_servings_layout(rest):
    reply = post(rest, "regress", {"signature_name": "regress", "examples": [{"x": 1.0}, {"x": 2.0}]})
    assert reply.status_code == 200, reply.text
    assert reply.text == '{\n    "results": [3.5, 4.0]\n}'


def test_every_example_gets_the_context(rest):
    body = {"signature_name": "regress", "context": {"x": 4.0}, "examples": [{}, {"y": "more"}]}
    assert post(rest, "regress", body).json() == {"results": [5.0, 5.0]}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        ('{"examples": 1}', "JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
        ('{"examples": [1]}', "Example must be JSON object but got JSON Number"),
        ('{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null"),
        ('{"examples": [{"x": [[1]]}]}', "Feature: x has element with unexpected JSON type: Array"),
        ('{"examples": [{"x": {"y": 1}}]}', "Feature: x has element with unexpected JSON type: Object"),
        ('{"examples": [{"x": [1, "a"]}]}', "Unexpected element type in feature: x expecting type: int64"),
        ('{"examples": [{"x": [1.5, 1]}]}', "Unexpected element type in feature: x expecting type: float"),
        ('{"examples": [{"x": ["a", 1]}]}', "Unexpected element type in feature: x expecting type: bytes"),
        (
            '{"examples": [{"x": 18446744073709551615}]}',
            "Feature: x has uint64_t element. Only int64_t is supported.",
        ),
        ('{"context": 1, "examples": []}', "Example must be JSON object but got JSON Number"),
        ('{"signature_name": "no", "examples": [{"x": 1.0}]}', "No signature was found with the name: no"),
        ('{"signature_name": "many", "examples": [{"x": 1.0}]}', "Expected one input Tensor."),
        ('{"signature_name": "regress", "examples": [{"x": 1}]}', None),
    ],
)
def test_invalid_bodies_get_tensorflow_servings_errors(rest, body, error):
    reply = post(rest, "classify", body)
    assert reply.status_code == 400
    if error:
        assert reply.json() == {"error": error}
    else:
        assert "at least one of" in reply.json()["error"]


def test_a_wrong_feature_gets_the_error_of_the_graph(rest):
    reply = post(rest, "regress", {"signature_name": "regress", "examples": [{"x": 1}]})
    assert reply.status_code == 400
    assert "x" in reply.json()["error"]


def test_every_kind_of_feature_value():
    from kerasbert_serving.server.rest.json_examples import examples_input

    body = b"""{"examples": [{"flags": [true, false], "ids": [1, -9223372036854775808], "text": ["a", {"b64": "/wA="}],
        "numbers": [1.5, NaN, -Infinity, 1e2], "none": []}]}"""
    _, request_input = examples_input(body)
    features = request_input.example_list.examples[0].features.feature
    assert list(features["flags"].int64_list.value) == [1, 0]
    assert list(features["ids"].int64_list.value) == [1, -(2**63)]
    assert list(features["text"].bytes_list.value) == [b"a", b"\xff\x00"]
    numbers = list(features["numbers"].float_list.value)
    assert numbers[0] == 1.5
    assert np.isnan(numbers[1])
    assert numbers[2:] == [-np.inf, 100.0]
    assert features["none"].WhichOneof("kind") is None


@pytest.fixture
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code(), caught.value.details()


def test_grpc_classify(prediction):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "echo"
    request.model_spec.signature_name = "classify"
    code, details = refusal(prediction.Classify, request)
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "Input is empty.")
    request.input.example_list.examples.append(example(0.25))
    response = prediction.Classify(request, timeout=30)
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "classify"
    [row] = response.result.classifications
    assert [(c.label, c.score) for c in row.classes] == [("low", 0.75), ("high", 0.25)]


def test_grpc_regress(prediction):
    request = regression_pb2.RegressionRequest()
    assert refusal(prediction.Regress, request) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
    request.model_spec.name = "echo"
    request.model_spec.signature_name = "regress"
    request.input.example_list_with_context.context.CopyFrom(example(2.0))
    request.input.example_list_with_context.examples.add()
    response = prediction.Regress(request, timeout=30)
    assert [r.value for r in response.result.regressions] == [4.0]


def multi_request(*tasks):
    request = inference_pb2.MultiInferenceRequest()
    request.input.example_list.examples.append(example(0.5))
    for name, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = "echo"
        task.model_spec.signature_name = name
    return request


def test_grpc_multi_inference(prediction):
    request = multi_request(("regress", "regress"), ("classify", "classify"))
    response = prediction.MultiInference(request, timeout=30)
    assert [result.model_spec.signature_name for result in response.results] == ["regress", "classify"]
    assert [r.value for r in response.results[0].regression_result.regressions] == [3.25]
    assert response.results[1].classification_result.classifications[0].classes[0].label == "low"


@pytest.mark.parametrize(
    ("request_", "code", "details"),
    [
        (inference_pb2.MultiInferenceRequest(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            multi_request(("regress", "regress"), ("regress", "regress")),
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature: regress",
        ),
        (
            multi_request(("no", "regress")),
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: no",
        ),
        (
            multi_request(("regress", "predict")),
            "UNIMPLEMENTED",
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
    ],
)
def test_grpc_multi_inference_errors(prediction, request_, code, details):
    assert refusal(prediction.MultiInference, request_) == (grpc.StatusCode[code], details)


def test_a_signature_with_a_wrong_dtype_still_runs(tmp_path):
    # TensorFlow Serving's own half_plus_three declares its serialized examples as floats. Only the graph's dtypes
    # count.
    from kerasbert_serving.server import LocalServer

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, name="tf_example")
        parsed = v1.io.parse_example(examples, {"x": v1.io.FixedLenFeature([1], tf.float32)})
        result = tf.identity(parsed["x"] / 2 + 3, name="y")
        wrong = v1.saved_model.build_tensor_info(examples)
        wrong.dtype = tf.float32.as_datatype_enum
        signature = v1.saved_model.signature_def_utils.build_signature_def(
            {"inputs": wrong}, {"outputs": v1.saved_model.build_tensor_info(result)}, "tensorflow/serving/regress"
        )
        builder = v1.saved_model.Builder(str(tmp_path / "model" / "00000123"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    with LocalServer(model_dir=tmp_path / "model") as server:
        reply = httpx.post(f"{server.rest_url}/v1/models/model:regress", content='{"examples": [{"x": 1.0}]}')
        # The signature's dtype still decides how JSON is converted.
        wrong = httpx.post(f"{server.rest_url}/v1/models/model:predict", content='{"instances": [1.0]}')
    assert (reply.status_code, reply.json()) == (200, {"results": [3.5]})
    assert (wrong.status_code, wrong.json()) == (400, {"error": "Expects arg[0] to be string but float is provided"})


def test_of_two_invalid_tasks_the_first_is_reported(channel):
    request = inference_pb2.MultiInferenceRequest()
    for name, method in (("text", "tensorflow/serving/classify"), ("nothing", "tensorflow/serving/regress")):
        task = request.tasks.add(method_name=method)
        task.model_spec.name = "echo"
        task.model_spec.signature_name = name
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with pytest.raises(grpc.RpcError, match="No classification inputs found in SignatureDef"):
        stub.MultiInference(request, timeout=30)
