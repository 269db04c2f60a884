"""ONNX: `onnx/model.onnx`, the place where sentence-transformers, FastEmbed and text-embeddings-inference look for it.

Keras' exporter calls tf2onnx, which needs three corrections:

* The newest opset that tf2onnx writes, 18. In older ones it turns the means of layer norms into average pooling, which
  other tools do not expect in a BERT.
* TensorFlow 2.21 computes the exact GELU with `Erfc`, which tf2onnx leaves in the graph, and ONNX does not have.
* The names of axes. tf2onnx gives each one a different name, so a runtime cannot tell that all inputs have the same
  batch, nor know the shape of an output in advance.
"""

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasbert.export.formats.graph_format import GraphFormat, Runtime, input_signature

# Protocol Buffers limits a message to 2 GiB.
_LARGEST_SIZE = 2**31 - 2**20
_OPSET = 18


def _check_available() -> None:
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import tf2onnx  # noqa: F401


def _write(model: keras.Model, path: Path) -> None:
    import onnx

    _teach_erfc()
    signature = input_signature(model)
    with warnings.catch_warnings():
        # Keras asks whether NumPy has it.
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        model.export(str(path), format="onnx", verbose=False, input_signature=signature, opset_version=_OPSET)
    written = onnx.load(str(path))
    _name_axes(written.graph, model)
    onnx.save(written, str(path))


def _teach_erfc() -> None:
    """Register the conversion of TensorFlow's `Erfc`: erfc(x) = 1 - erf(x)."""
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, ctx: Any, node: Any, **kwargs: Any) -> None:
            """Return the two nodes that replace the node. tf2onnx finds this method by its name."""
            dtype, shape = ctx.get_dtype(node.output[0]), ctx.get_shape(node.output[0])
            output = node.output[0]
            ctx.remove_node(node.name)
            erf = ctx.make_node("Erf", node.input, dtypes=[dtype], shapes=[shape]).output[0]
            one = ctx.make_const(f"{node.name}/one", np.ones((), np.float32)).output[0]
            ctx.make_node("Sub", [one, erf], name=node.name, outputs=[output], dtypes=[dtype], shapes=[shape])


def _name_axes(graph: Any, model: keras.Model) -> None:
    """Give the open axes of inputs and outputs the names that Hugging Face's exporter uses."""
    rank = len(model.input["input_ids"].shape)
    axes = ("batch_size", "num_choices", "sequence_length") if rank == 3 else ("batch_size", "sequence_length")
    for tensor in (*graph.input, *graph.output):
        for axis, name in zip(tensor.type.tensor_type.shape.dim, axes, strict=False):
            if not axis.dim_value:
                axis.dim_param = name


def _load(path: Path) -> Runtime:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


ONNX = GraphFormat("ONNX", "onnx", "model.onnx", "int64", _LARGEST_SIZE, _check_available, _write, _load)
