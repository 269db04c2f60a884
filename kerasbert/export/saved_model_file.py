"""Reads `saved_model.pb`, and changes in it what `tf.saved_model.save` has no argument for."""

from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from kerasbert.export.signatures import METHODS

NAME = "saved_model.pb"


def read_saved_model(folder: Path) -> saved_model_pb2.SavedModel:
    """Read the SavedModel message of a folder."""
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / NAME).read_bytes())
    return message


def finish_saved_model(folder: Path) -> None:
    """Set the method of each signature, and remove an attribute that older versions of TF Serving complain about.

    `tf.saved_model.save` writes every signature for the method Predict. fingerprint.pb, which servers only log, is left
    as it is and still identifies the export.
    """
    message = read_saved_model(folder)
    graph = message.meta_graphs[0].graph_def
    for name, definition in signature_definitions(message).items():
        definition.method_name = METHODS.get(name, definition.method_name)
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            # TensorFlow 2.15 added this name for logs. Older servers print an error for each of them.
            if node.op == "VarHandleOp":
                node.attr.pop("debug_name", None)
    (folder / NAME).write_bytes(message.SerializeToString(deterministic=True))


def signature_definitions(message: saved_model_pb2.SavedModel) -> dict[str, meta_graph_pb2.SignatureDef]:
    """The signatures that clients can call, sorted by name."""
    definitions = message.meta_graphs[0].signature_def
    return {name: definitions[name] for name in sorted(definitions) if not name.startswith("__")}


def tensor_text(info: meta_graph_pb2.TensorInfo) -> str:
    """Type and shape for people, e.g. "string [batch]" or "float32 [batch, ?, 5]"."""
    sizes = ["batch", *("?" if dim.size < 0 else str(dim.size) for dim in info.tensor_shape.dim[1:])]
    return f"{tf.as_dtype(info.dtype).name} [{', '.join(sizes)}]"
