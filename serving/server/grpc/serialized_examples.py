"""The serialized `tf.Example`s of a classify or regress request, one per row.

An `ExampleListWithContext` gives each example the context's features by gluing the serialized messages together, as
TensorFlow Serving does: protobuf merges them when it parses.
"""

import numpy as np
from tensorflow_serving.apis import input_pb2

from kerasbert_serving.server.statuses import invalid_argument


def serialized_examples(request_input: input_pb2.Input) -> np.ndarray:
    """The examples of a request as a string tensor of shape [examples].

    Raises:
        ServingError: INVALID_ARGUMENT if there is none.
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
