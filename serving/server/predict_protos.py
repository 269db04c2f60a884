"""The tensors of a gRPC `PredictRequest` and of its response."""

from collections.abc import Iterable

import numpy as np
from tensorflow_serving.apis import predict_pb2

from kerasbert_serving.server import tensor_protos
from kerasbert_serving.server.statuses import invalid_argument


def predict_inputs(request: predict_pb2.PredictRequest) -> dict[str, np.ndarray]:
    """The inputs of a request by name.

    Raises:
        ServingError: INVALID_ARGUMENT for a tensor that does not fit together.
    """
    arrays = {}
    for alias in sorted(request.inputs):
        try:
            arrays[alias] = tensor_protos.to_array(request.inputs[alias])
        except tensor_protos.TensorParseError as error:
            raise invalid_argument(f"tensor parsing error: {alias}") from error
    return arrays


def fill_outputs(response: predict_pb2.PredictResponse, names: Iterable[str], outputs: Iterable[np.ndarray]) -> None:
    """Writes the outputs of a run into a response."""
    for name, output in zip(names, outputs, strict=True):
        response.outputs[name].CopyFrom(tensor_protos.to_proto(output))
