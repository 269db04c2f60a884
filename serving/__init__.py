"""The far side of the wire: what serves an exported SavedModel, and what asks it?

`kerasbert_serving.server` is a local server that speaks TensorFlow Serving's REST and gRPC APIs. This package knows
SavedModels and the wire only; it imports nothing of `kerasbert`.
"""

__all__ = ["server"]
