"""The gRPC API of TF Serving: calls as messages, replies as arrays. Sends nothing itself.

Each call is a generator, as in `rest_protocol.py`.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from kerasbert_serving.clients import dtypes, errors, tensor_messages
from kerasbert_serving.clients.serving_messages import CLASSES, STATES
from kerasbert_serving.clients.target import Target
from kerasbert_serving.clients.tensors import as_arrays, needs_dtypes, with_dtypes
from kerasbert_serving.clients.typed_replies import ModelMetadata, SignatureInfo, TensorInfo, VersionStatus

_CODES = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"]
_CODES += ["PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"]
_CODES += ["UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]


@dataclass(frozen=True)
class GrpcRequest:
    """What to send: the full name of the method and the message."""

    method: str
    message: Message


# The message that answers each method.
REPLIES = {
    "/tensorflow.serving.PredictionService/Predict": CLASSES["PredictResponse"],
    "/tensorflow.serving.PredictionService/GetModelMetadata": CLASSES["GetModelMetadataResponse"],
    "/tensorflow.serving.ModelService/GetModelStatus": CLASSES["GetModelStatusResponse"],
}
_PREDICT, _METADATA, _STATUS = REPLIES

Steps = Generator[GrpcRequest, Message, Any]


class GrpcProtocol:
    """The calls about one model."""

    def __init__(self, target: Target):
        self.target = target
        self._metadata: ModelMetadata | None = None

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> Steps:
        """The outputs of a signature by name."""
        arrays = as_arrays(inputs)
        if needs_dtypes(inputs):
            metadata = self._metadata or (yield from self.metadata())
            signature = metadata.signatures.get(signature_name)
            arrays = with_dtypes(inputs, arrays, signature.inputs if signature else {})
        request = CLASSES["PredictRequest"](model_spec=self._spec(signature_name))
        for name, array in arrays.items():
            tensor_messages.fill(request.inputs[name], array)
        reply = yield GrpcRequest(_PREDICT, request)
        return {name: tensor_messages.to_array(tensor) for name, tensor in sorted(reply.outputs.items())}

    def status(self) -> Steps:
        """The state of each version."""
        reply = yield GrpcRequest(_STATUS, CLASSES["GetModelStatusRequest"](model_spec=self._spec()))
        return [
            VersionStatus(
                version.version,
                STATES.get(version.state, str(version.state)),
                code_name(version.status.error_code),
                version.status.error_message,
            )
            for version in reply.model_version_status
        ]

    def metadata(self) -> Steps:
        """The signatures."""
        request = CLASSES["GetModelMetadataRequest"](model_spec=self._spec(), metadata_field=["signature_def"])
        reply = yield GrpcRequest(_METADATA, request)
        if "signature_def" not in reply.metadata:
            raise errors.UnexpectedReplyError("The server's reply has no signatures.", "UNKNOWN")
        signatures = CLASSES["SignatureDefMap"].FromString(reply.metadata["signature_def"].value).signature_def
        self._metadata = ModelMetadata(
            reply.model_spec.name,
            reply.model_spec.version.value,
            {
                name: SignatureInfo(
                    {key: _tensor_info(info) for key, info in sorted(definition.inputs.items())},
                    {key: _tensor_info(info) for key, info in sorted(definition.outputs.items())},
                    definition.method_name,
                )
                for name, definition in sorted(signatures.items())
            },
        )
        return self._metadata

    def _spec(self, signature_name: str = "") -> Message:
        spec = CLASSES["ModelSpec"](name=self.target.name, signature_name=signature_name)
        if self.target.version is not None:
            spec.version.value = self.target.version
        if self.target.label is not None:
            spec.version_label = self.target.label
        return spec


def code_name(number: int) -> str:
    """The name of a gRPC code."""
    return _CODES[number] if 0 <= number < len(_CODES) else "UNKNOWN"


def _tensor_info(info: Message) -> TensorInfo:
    shape = info.tensor_shape
    dtype = dtypes.BY_NUMBER.get(info.dtype)
    sizes = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
    return TensorInfo(dtype.name if dtype else str(info.dtype), sizes)
