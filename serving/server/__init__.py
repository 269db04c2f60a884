"""How does a SavedModel on disk answer TensorFlow Serving's requests on this machine?

A server for laptops and tests that a client cannot tell from TensorFlow Serving: REST and gRPC, versions, labels, hot
loading, batching, metrics. Production runs `tensorflow/serving` itself.
"""

from kerasbert_serving.server.local_server import LocalServer, serve
from kerasbert_serving.server.options import ServerOptions
from kerasbert_serving.server.statuses import Code, ServingError

__all__ = ["Code", "LocalServer", "ServerOptions", "ServingError", "serve"]
