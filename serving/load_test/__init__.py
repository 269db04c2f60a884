"""A load test for TF Serving and the local server, over REST and gRPC: `python -m kerasbert_serving.load_test --help`.

It reports throughput, latencies and errors, and does not load TensorFlow.
"""

from kerasbert_serving.load_test.load import Load, run_load
from kerasbert_serving.load_test.report import Report

__all__ = ["Load", "Report", "run_load"]
