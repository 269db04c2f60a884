"""LiteRT (TensorFlow Lite): `litert/model.tflite`, for phones and small devices.

Keras' exporter writes it as it is needed, since Keras 3.13. Its inputs are int32, as usual there. Only the ops of
LiteRT itself are allowed, because its runtime does not contain TensorFlow's.
"""

import contextlib
import io
from pathlib import Path

import keras

from kerasbert.errors import BadInputError
from kerasbert.export.formats.graph_format import GraphFormat, Runtime, input_signature

# FlatBuffers limits a file to 2 GiB.
_LARGEST_SIZE = 2**31 - 2**20
_FIRST_KERAS = (3, 13)


def _check_available() -> None:
    if tuple(map(int, keras.__version__.split(".")[:2])) < _FIRST_KERAS:
        raise BadInputError(
            f"Export to LiteRT requires Keras 3.13 or newer. Received: Keras {keras.__version__}. "
            'Run: pip install "keras>=3.13" (on Python 3.11 or newer).'
        )
    import ai_edge_litert.interpreter  # noqa: F401


def _write(model: keras.Model, path: Path) -> None:
    import tensorflow as tf

    # Keras 3.13 and 3.14 print the tensors of the graph in spite of `verbose=False`.
    with contextlib.redirect_stdout(io.StringIO()):
        model.export(
            str(path),
            format="litert",
            verbose=False,
            input_signature=input_signature(model),
            target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
        )


def _load(path: Path) -> Runtime:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(path)).get_signature_runner()
    return lambda inputs: run(**inputs)


LITERT = GraphFormat("LiteRT", "litert", "model.tflite", "int32", _LARGEST_SIZE, _check_available, _write, _load)
