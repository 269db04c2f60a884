"""TensorFlow Serving's protocol buffer messages and services, without TensorFlow.

The generated modules in `tensorflow-serving-api` import TensorFlow, which a client does not need, and they lack some of
the settings files. Instead, the server, the clients and users of other languages share the `.proto` files in this
folder. They are compiled into `descriptors.binpb`:

    python -m grpc_tools.protoc -I serving/protos --include_imports \
        --descriptor_set_out=serving/protos/descriptors.binpb serving/protos/*.proto

The messages are in a separate descriptor pool, so TensorFlow's messages of the same names can be imported in the same
process. Every release of protobuf from 3.20 can load them.

Example:

>>> from kerasbert_serving import protos
>>> request = protos.PredictRequest(model_spec={"name": "model"})
>>> request.inputs["text"].string_val.append(b"a text")
>>> protos.PredictRequest.FromString(request.SerializeToString()).model_spec.name
'model'
"""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Method:
    """A method of a gRPC service.

    Attributes:
        path: The path of the method in HTTP/2 requests, e.g. `/tensorflow.serving.PredictionService/Predict`.
        request: The message class of its requests.
        response: The message class of its responses.
    """

    path: str
    request: Any
    response: Any


def _load_pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString((FOLDER / "descriptors.binpb").read_bytes()).file
    for file in files:  # each comes after the files that it imports
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _load_pool()


# The second spelling is for releases of protobuf before 4.22.
_message_class = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(_POOL).GetPrototype


def _message(name: str) -> Any:
    return _message_class(_POOL.FindMessageTypeByName(name))


def _enum(name: str) -> Any:
    return IntEnum(name.rpartition(".")[2], {v.name: v.number for v in _POOL.FindEnumTypeByName(name).values})


def _methods(service: str) -> dict[str, Method]:
    descriptor = _POOL.FindServiceByName(service)
    return {
        method.name: Method(
            f"/{service}/{method.name}", _message_class(method.input_type), _message_class(method.output_type)
        )
        for method in descriptor.methods
    }


# === tensorflow.proto ===

ConfigProto = _message("tensorflow.ConfigProto")
Example = _message("tensorflow.Example")
Feature = _message("tensorflow.Feature")
MetaGraphDef = _message("tensorflow.MetaGraphDef")
SavedModel = _message("tensorflow.SavedModel")
SignatureDef = _message("tensorflow.SignatureDef")
TensorInfo = _message("tensorflow.TensorInfo")
TensorProto = _message("tensorflow.TensorProto")
TensorShapeProto = _message("tensorflow.TensorShapeProto")
# The enum of the dtypes, e.g. `DataType.DT_FLOAT`.
DataType = _enum("tensorflow.DataType")

# === serving.proto ===

ClassificationRequest = _message("tensorflow.serving.ClassificationRequest")
ClassificationResponse = _message("tensorflow.serving.ClassificationResponse")
GetModelMetadataRequest = _message("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = _message("tensorflow.serving.GetModelMetadataResponse")
GetModelStatusRequest = _message("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse = _message("tensorflow.serving.GetModelStatusResponse")
Input = _message("tensorflow.serving.Input")
ModelSpec = _message("tensorflow.serving.ModelSpec")
ModelVersionStatus = _message("tensorflow.serving.ModelVersionStatus")
MultiInferenceRequest = _message("tensorflow.serving.MultiInferenceRequest")
MultiInferenceResponse = _message("tensorflow.serving.MultiInferenceResponse")
PredictRequest = _message("tensorflow.serving.PredictRequest")
PredictResponse = _message("tensorflow.serving.PredictResponse")
RegressionRequest = _message("tensorflow.serving.RegressionRequest")
RegressionResponse = _message("tensorflow.serving.RegressionResponse")
ReloadConfigRequest = _message("tensorflow.serving.ReloadConfigRequest")
ReloadConfigResponse = _message("tensorflow.serving.ReloadConfigResponse")
SignatureDefMap = _message("tensorflow.serving.SignatureDefMap")

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
# The methods of each service, by name.
METHODS = {service: _methods(service) for service in (PREDICTION_SERVICE, MODEL_SERVICE)}

# === serving_config.proto ===

BatchingParameters = _message("tensorflow.serving.BatchingParameters")
ModelServerConfig = _message("tensorflow.serving.ModelServerConfig")
MonitoringConfig = _message("tensorflow.serving.MonitoringConfig")

# === prediction_log.proto ===

PredictionLog = _message("tensorflow.serving.PredictionLog")
