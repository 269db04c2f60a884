"""The tensors and examples in requests and responses of the gRPC API and in warm-up records."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasbert_serving.server.statuses import invalid_argument
from kerasbert_serving.server.tensors import tensor_protos


class ProtoInputs(Mapping):
    """The inputs of a `PredictRequest` by name. Each tensor is parsed when it is first read.

    As in TensorFlow Serving, a wrong model, signature or set of names is thus reported before an invalid tensor. An
    invalid tensor raises `ServingError` with INVALID_ARGUMENT.

    Args:
        request: The `PredictRequest`.
    """

    def __init__(self, request: Any):
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


def serialized_examples(request_input: Any) -> np.ndarray:
    """Returns the serialized `tf.Example`s of a classify or regress request, a string tensor of shape [examples].

    In an `ExampleListWithContext`, each example gets the features of the context. The serialized messages are
    concatenated, as in TensorFlow Serving; protobuf merges them when it parses the result.

    Args:
        request_input: The `Input` of the request.

    Raises:
        ServingError: INVALID_ARGUMENT if there are no examples.
    """
    kind = request_input.WhichOneof("kind")
    context, examples = b"", ()
    if kind == "example_list":
        examples = request_input.example_list.examples
    elif kind == "example_list_with_context":
        context = request_input.example_list_with_context.context.SerializeToString()
        examples = request_input.example_list_with_context.examples
    if not examples:
        raise invalid_argument("Input is empty.")
    rows = np.empty(len(examples), np.object_)
    rows[:] = [context + example.SerializeToString() for example in examples]
    return rows
