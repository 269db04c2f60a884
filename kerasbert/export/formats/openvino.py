"""OpenVINO IR: `openvino/openvino_model.xml` with the weights beside it, where sentence-transformers looks for it.

Keras' exporter writes it as it is needed. OpenVINO computes in bfloat16 by default on processors that can, so the file
is checked with `INFERENCE_PRECISION_HINT=f32`; who loads it chooses.
"""

from pathlib import Path

import keras

from kerasbert.export.formats.graph_format import GraphFormat, Runtime, input_signature


def _check_available() -> None:
    import openvino  # noqa: F401


def _write(model: keras.Model, path: Path) -> None:
    model.export(str(path), format="openvino", verbose=False, input_signature=input_signature(model))


def _load(path: Path) -> Runtime:
    import openvino

    return openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


OPENVINO = GraphFormat("OpenVINO", "openvino", "openvino_model.xml", "int64", None, _check_available, _write, _load)
