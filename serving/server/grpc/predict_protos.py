"""The tensors of a gRPC `PredictRequest` and of its response."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from tensorflow_serving.apis import predict_pb2

from kerasbert_serving.server.grpc import tensor_protos
from kerasbert_serving.server.statuses import invalid_argument


class ProtoInputs(Mapping):
    """The inputs of a request by name, each parsed when it is asked for.

    So a wrong model, signature or set of names is told before a wrong tensor, as in TensorFlow Serving. A tensor that
    does not fit together raises `ServingError` with INVALID_ARGUMENT.
    """

    def __init__(self, request: predict_pb2.PredictRequest):
        self._protos = dict(request.inputs.items())

    def __getitem__(self, alias: str) -> np.ndarray:
        proto = self._protos[alias]
        try:
            return tensor_protos.to_array(proto)
        except tensor_protos.TensorParseError as error:
            raise invalid_argument(f"tensor parsing error: {alias}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._protos)

    def __len__(self) -> int:
        return len(self._protos)


def fill_outputs(response: predict_pb2.PredictResponse, names: Iterable[str], outputs: Iterable[np.ndarray]) -> None:
    """Writes the outputs of a run into a response."""
    for name, output in zip(names, outputs, strict=True):
        response.outputs[name].CopyFrom(tensor_protos.to_proto(output))
