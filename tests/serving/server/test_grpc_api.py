"""The gRPC API: predict with every dtype, metadata, status, health, and error codes."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from kerasbert_serving.server import LocalServer


@pytest.fixture
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict_request(signature, output_filter=(), **inputs):
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = "echo"
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(
            value if isinstance(value, tf.make_tensor_proto([0]).__class__) else tf.make_tensor_proto(value)
        )
    return request


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool", "half"]
)
def test_predict_returns_every_dtype(prediction, dtype):
    numpy_dtype = tf.as_dtype(dtype).as_numpy_dtype
    values = np.array([0, 1, 1], numpy_dtype) if dtype == "bool" else np.arange(3).astype(numpy_dtype)
    for proto in (tf.make_tensor_proto(values), tf.compat.v1.make_tensor_proto(values.tolist(), dtype)):
        response = prediction.Predict(predict_request(f"echo_{dtype}", x=proto), timeout=30)
        output = response.outputs["y"]
        assert not output.tensor_content
        result = tf.make_ndarray(output)
        assert result.dtype == values.dtype
        assert result.tolist() == values.tolist()


def test_predict_answers_with_the_version_and_the_signature(prediction):
    response = prediction.Predict(predict_request("", x=np.float32([1, 2])), timeout=30)
    assert response.model_spec.name == "echo"
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"
    assert list(response.outputs["y"].float_val) == [2.5, 3.0]


def test_strings_are_bytes(prediction):
    response = prediction.Predict(predict_request("text", x=np.array([b"\xff\x00", b""], object)), timeout=30)
    assert list(response.outputs["y"].string_val) == [b"\xff\x00", b""]


def test_a_scalar_string(prediction):
    response = prediction.Predict(predict_request("named", x=np.array([b"a"])), timeout=30)
    assert tf.make_ndarray(response.outputs["name"]) == "echo \u00e4".encode()
    assert response.outputs["name"].tensor_shape == tensor_shape_pb2.TensorShapeProto()


def test_output_filter(prediction):
    request = predict_request("total", ["rows"], x=np.float32([1, 2]))
    assert set(prediction.Predict(request, timeout=30).outputs) == {"rows"}
    code, details = refusal(prediction.Predict, predict_request("total", ["rows", "rows"], x=np.float32([1])))
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "duplicate output tensor alias: rows")
    code, details = refusal(prediction.Predict, predict_request("total", ["no"], x=np.float32([1])))
    assert details == ("output tensor alias not found in signature: no Outputs expected to be in the set {rows,total}.")


def test_errors_have_tensorflow_servings_codes_and_messages(prediction):
    code, details = refusal(prediction.Predict, predict_pb2.PredictRequest())
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
    code, details = refusal(prediction.Predict, predict_request("no", x=np.float32([1])))
    assert (code, details) == (grpc.StatusCode.FAILED_PRECONDITION, 'Serving signature key "no" not found.')
    code, details = refusal(prediction.Predict, predict_request("", z=np.float32([1])))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "not found in request and no default value provided" in details
    code, details = refusal(prediction.Predict, predict_request(""))
    assert details == (
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}."
    )
    code, details = refusal(prediction.Predict, predict_request("", x=np.int32([1])))
    assert details == "Expects arg[0] to be float but int32 is provided"
    broken = tf.make_tensor_proto(np.float32([1, 2, 3]))
    broken.tensor_content = b"123"
    code, details = refusal(prediction.Predict, predict_request("", x=broken))
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "tensor parsing error: x")
    vast = tensor_pb2.TensorProto(dtype=1)
    for size in (0, 2**62, 2**62):
        vast.tensor_shape.dim.add().size = size
    code, details = refusal(prediction.Predict, predict_request("any_shape", x=vast))
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "tensor parsing error: x")
    request = predict_request("", x=np.float32([1]))
    request.model_spec.name = "other"
    code, details = refusal(prediction.Predict, request)
    assert (code, details) == (grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(other)")


def test_metadata(prediction):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "echo"
    response = prediction.GetModelMetadata(request, timeout=30)
    assert response.model_spec.version.value == 1
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert "many" in signatures.signature_def
    request.metadata_field[:] = ["other"]
    assert refusal(prediction.GetModelMetadata, request)[1] == "Metadata field other is not supported"


def test_status(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    assert refusal(stub.GetModelStatus, request) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
    request.model_spec.name = "echo"
    response = stub.GetModelStatus(request, timeout=30)
    assert [(s.version, s.state) for s in response.model_version_status] == [(1, 30)]


def test_metadata_errors(prediction):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    for change, details in (
        (lambda: None, "Missing ModelSpec"),
        (lambda: request.model_spec.SetInParent(), "GetModelMetadataRequest must specify at least one metadata_field"),
        (lambda: request.metadata_field.append("signature_def"), "ModelSpec has no name specified."),
    ):
        change()
        assert refusal(prediction.GetModelMetadata, request) == (grpc.StatusCode.INVALID_ARGUMENT, details)
    request.model_spec.name = "echo"
    request.model_spec.version.value = 2
    assert refusal(prediction.GetModelMetadata, request) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(echo, 2)",
    )
    request.model_spec.version_label = "stable"
    assert refusal(prediction.GetModelMetadata, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Unrecognized servable version label: stable",
    )


def test_a_defect_of_the_server_is_reported_to_the_client(prediction, monkeypatch, caplog):
    monkeypatch.setattr("kerasbert_serving.server.grpc.grpc_replies.predict", lambda *arguments: {}["no such"])
    code, details = refusal(prediction.Predict, predict_request("", x=np.float32([1])))
    assert (code, details) == (grpc.StatusCode.INTERNAL, "KeyError: 'no such'")
    assert "A request failed" in caplog.text


def test_long_errors_are_cut(prediction):
    _, details = refusal(prediction.Predict, predict_request("n" * 2000, x=np.float32([1])))
    assert details == f'Serving signature key "{"n" * 1001}...TRUNCATED'


def test_the_deadline_is_observed(prediction):
    request = predict_request("", x=np.ones(1_000_000, np.float32))
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(request, timeout=0.001)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_other_services_are_unimplemented(channel):
    call = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_invalid_and_too_long_messages_are_refused(echo_version):
    with (
        LocalServer(model_dir=echo_version.parent, model_name="echo", max_grpc_message_bytes=1000) as server,
        grpc.insecure_channel(server.grpc_address) as own,
    ):
        call = own.unary_unary("/tensorflow.serving.PredictionService/Predict")
        for content, code in ((b"\xff\xff", "UNKNOWN"), (b"\0" * 2000, "RESOURCE_EXHAUSTED")):
            with pytest.raises(grpc.RpcError) as caught:
                call(content, timeout=30)
            assert caught.value.code() is grpc.StatusCode[code]
        stub = prediction_service_pb2_grpc.PredictionServiceStub(own)
        assert list(stub.Predict(predict_request("", x=np.float32([1])), timeout=30).outputs["y"].float_val) == [2.5]


def test_status_of_versions(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "other"
    assert refusal(stub.GetModelStatus, request) == (
        grpc.StatusCode.NOT_FOUND,
        "Could not find any versions of model other",
    )
    request.model_spec.name = "echo"
    request.model_spec.version.value = 3
    assert refusal(stub.GetModelStatus, request) == (
        grpc.StatusCode.NOT_FOUND,
        "Could not find version 3 of model echo",
    )


@pytest.mark.parametrize("service", ["", "tensorflow.serving.PredictionService"])
def test_health(channel, service):
    stub = health_pb2_grpc.HealthStub(channel)
    response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
    assert response.status == health_pb2.HealthCheckResponse.SERVING
