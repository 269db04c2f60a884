"""The far side of the wire: what serves an exported SavedModel, and what asks it?

`kerasbert_serving.server` is a local server that speaks TensorFlow Serving's REST and gRPC APIs,
`kerasbert_serving.clients` asks it or TensorFlow Serving itself, and `kerasbert_serving.load_test` measures either.
This package knows SavedModels and the wire only; it imports nothing of `kerasbert`.
"""

__all__ = ["clients", "load_test", "server"]
