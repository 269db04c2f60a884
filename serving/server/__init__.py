"""A local server for SavedModels that speaks TensorFlow Serving's REST and gRPC APIs.

It is for laptops and tests. For clients, it behaves like TensorFlow Serving, including versions, labels, hot loading,
batching and metrics. Use `tensorflow/serving` itself in production.
"""

from kerasbert_serving.server.local_server import LocalServer, serve
from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.ports import PortError
from kerasbert_serving.server.statuses import Code, ServingError

__all__ = ["Code", "LocalServer", "PortError", "ServerOptions", "ServingError", "serve"]
