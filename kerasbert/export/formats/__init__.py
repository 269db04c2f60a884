"""Writes a model's graph from token ids to answers as ONNX, OpenVINO IR or LiteRT, for machines without TensorFlow."""

from kerasbert.export.formats.writing import FORMATS, check_available, write_graph

__all__ = ["FORMATS", "check_available", "write_graph"]
