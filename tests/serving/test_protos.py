"""The `.proto` files: up to date when compiled, and the same on the wire as TensorFlow Serving's own."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from kerasbert_serving import protos


def test_the_compiled_descriptors_are_up_to_date(tmp_path):
    # `grpc_tools.protoc` itself needs `pkg_resources`, which newer releases of setuptools lack.
    compiler = pytest.importorskip("grpc_tools._protoc_compiler")
    included = Path(compiler.__file__).with_name("_proto")
    compiled = tmp_path / "descriptors.binpb"
    sources = sorted(map(str, protos.FOLDER.glob("*.proto")))
    arguments = [f"-I{protos.FOLDER}", f"-I{included}", "--include_imports", *sources]
    arguments.append(f"--descriptor_set_out={compiled}")
    # In a process of its own, because the compiler crashes beside some versions of TensorFlow.
    program = (
        "import sys; from grpc_tools import _protoc_compiler as c; sys.exit(c.run_main([a.encode() for a in sys.argv]))"
    )
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    expected = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    found = descriptor_pb2.FileDescriptorSet.FromString((protos.FOLDER / "descriptors.binpb").read_bytes())
    ours = {file.name: file for file in found.file if not file.name.startswith("google/")}
    assert ours == {file.name: file for file in expected.file if not file.name.startswith("google/")}


def messages(descriptor):
    """A message and all messages within its fields, by full name."""
    found, waiting = {}, [descriptor]
    while waiting:
        message = waiting.pop()
        if message.full_name not in found:
            found[message.full_name] = message
            waiting += [field.message_type for field in message.fields if field.message_type]
    return found


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("classification_pb2", "ClassificationRequest"),
        ("classification_pb2", "ClassificationResponse"),
        ("get_model_metadata_pb2", "GetModelMetadataRequest"),
        ("get_model_metadata_pb2", "GetModelMetadataResponse"),
        ("get_model_metadata_pb2", "SignatureDefMap"),
        ("get_model_status_pb2", "GetModelStatusRequest"),
        ("get_model_status_pb2", "GetModelStatusResponse"),
        ("inference_pb2", "MultiInferenceRequest"),
        ("inference_pb2", "MultiInferenceResponse"),
        ("model_management_pb2", "ReloadConfigRequest"),
        ("model_management_pb2", "ReloadConfigResponse"),
        ("predict_pb2", "PredictRequest"),
        ("predict_pb2", "PredictResponse"),
        ("prediction_log_pb2", "PredictionLog"),
        ("regression_pb2", "RegressionRequest"),
        ("regression_pb2", "RegressionResponse"),
    ],
)
def test_every_field_is_tensorflow_servings(module, name):
    import importlib

    theirs = messages(getattr(importlib.import_module(f"tensorflow_serving.apis.{module}"), name).DESCRIPTOR)
    ours = messages(getattr(protos, name).DESCRIPTOR)
    assert len(ours) > 0
    for full_name, message in ours.items():
        for field in message.fields:
            their_field = theirs[full_name].fields_by_name.get(field.name)
            if their_field is None:  # newer than the installed release
                assert full_name in NEWER_FIELDS
                assert field.name in NEWER_FIELDS[full_name]
                continue
            assert (field.number, field.type) == (their_field.number, their_field.type), field.full_name
            assert is_repeated(field) == is_repeated(their_field), field.full_name
            for enum, their_enum in [(field.enum_type, their_field.enum_type)] if field.enum_type else []:
                their_numbers = {value.name: value.number for value in their_enum.values}
                assert all(their_numbers.get(v.name, v.number) == v.number for v in enum.values), enum.full_name


def is_repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


NEWER_FIELDS = {
    "tensorflow.SignatureDef": {"defaults"},
    "tensorflow.TensorProto": {"float8_val"},
    "tensorflow.serving.PredictRequest": {"predict_streamed_options", "client_id"},
}
