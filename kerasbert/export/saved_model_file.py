"""Reads and finishes `saved_model.pb`, for what `tf.saved_model.save` has no argument for."""

from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from kerasbert.export.served.model import METHODS

NAME = "saved_model.pb"


def read_saved_model(folder: Path) -> saved_model_pb2.SavedModel:
    """The message in a SavedModel's folder."""
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / NAME).read_bytes())
    return message


def finish_saved_model(folder: Path) -> None:
    """Gives the signatures their methods, and takes out what older TF Serving complains about.

    `tf.saved_model.save` writes each signature as one for Predict. The file's fingerprint, which servers only log, goes
    on to tell one export from another.
    """
    message = read_saved_model(folder)
    graph = message.meta_graphs[0].graph_def
    for name, definition in signature_definitions(message).items():
        definition.method_name = METHODS.get(name, definition.method_name)
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            # The name for logs came with TensorFlow 2.15; servers before it print an error for each that they meet.
            if node.op == "VarHandleOp":
                node.attr.pop("debug_name", None)
    (folder / NAME).write_bytes(message.SerializeToString(deterministic=True))


def signature_definitions(message: saved_model_pb2.SavedModel) -> dict[str, meta_graph_pb2.SignatureDef]:
    """The signatures that clients can call, by name."""
    definitions = message.meta_graphs[0].signature_def
    return {name: definitions[name] for name in sorted(definitions) if not name.startswith("__")}


def tensor_text(info: meta_graph_pb2.TensorInfo) -> str:
    """Type and shape as people write them, such as "string [batch]" or "float32 [batch, ?, 5]"."""
    sizes = ["batch", *("?" if dim.size < 0 else str(dim.size) for dim in info.tensor_shape.dim[1:])]
    return f"{tf.as_dtype(info.dtype).name} [{', '.join(sizes)}]"
