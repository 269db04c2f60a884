"""The messages of TF Serving's gRPC API that the clients send and read, declared without TensorFlow.

Fields that no client needs are left out. `tests/serving` holds each against TF Serving's own.
"""

from kerasbert_serving.declared_messages import declare

_MESSAGES = {
    # tensorflow/core/framework
    "Dim": [("size", 1, "int64")],
    "TensorShapeProto": [("dim", 2, "repeated Dim"), ("unknown_rank", 3, "bool")],
    "TensorProto": [
        ("dtype", 1, "int32"),
        ("tensor_shape", 2, "TensorShapeProto"),
        ("tensor_content", 4, "bytes"),
        ("half_val", 13, "repeated int32"),
        ("float_val", 5, "repeated float"),
        ("double_val", 6, "repeated double"),
        ("int_val", 7, "repeated int32"),
        ("string_val", 8, "repeated bytes"),
        ("int64_val", 10, "repeated int64"),
        ("bool_val", 11, "repeated bool"),
        ("uint32_val", 16, "repeated uint32"),
        ("uint64_val", 17, "repeated uint64"),
    ],
    # tensorflow/core/protobuf
    "TensorInfo": [("dtype", 2, "int32"), ("tensor_shape", 3, "TensorShapeProto")],
    "SignatureDef": [("inputs", 1, "map TensorInfo"), ("outputs", 2, "map TensorInfo"), ("method_name", 3, "string")],
    # tensorflow_serving/apis
    "ModelSpec": [
        ("name", 1, "string"),
        ("version", 2, "google.protobuf.Int64Value"),
        ("version_label", 4, "string"),
        ("signature_name", 3, "string"),
    ],
    "PredictRequest": [("model_spec", 1, "ModelSpec"), ("inputs", 2, "map TensorProto")],
    "PredictResponse": [("outputs", 1, "map TensorProto")],
    "StatusProto": [("error_code", 1, "int32"), ("error_message", 2, "string")],
    "ModelVersionStatus": [("version", 1, "int64"), ("state", 2, "int32"), ("status", 3, "StatusProto")],
    "GetModelStatusRequest": [("model_spec", 1, "ModelSpec")],
    "GetModelStatusResponse": [("model_version_status", 1, "repeated ModelVersionStatus")],
    "GetModelMetadataRequest": [("model_spec", 1, "ModelSpec"), ("metadata_field", 2, "repeated string")],
    "GetModelMetadataResponse": [("model_spec", 1, "ModelSpec"), ("metadata", 2, "map google.protobuf.Any")],
    "SignatureDefMap": [("signature_def", 1, "map SignatureDef")],
}

CLASSES = declare("kerasbert.serving.clients", _MESSAGES)
STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
