"""How fast does a server answer, and how late under load? `python -m kerasbert_serving.load_test --help`.

Works against TensorFlow Serving and the local server, over REST and gRPC; loads no TensorFlow.
"""

from kerasbert_serving.load_test.load import Load, run_load
from kerasbert_serving.load_test.report import Report

__all__ = ["Load", "Report", "run_load"]
