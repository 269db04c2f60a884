"""Can a server load what was written? Checks the path before the export, and loads the SavedModel before it is renamed.

TensorFlow's loader reads the path of a SavedModel's variables as a glob pattern (`RestoreV2` calls `GetMatchingPaths`),
in Python and in TF Serving alike. A folder with brackets in its name can therefore be written, but not loaded.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.python.saved_model.loader_impl import SavedModelLoader

from kerasbert.errors import BadInputError
from kerasbert.export.saved_model_file import read_saved_model, signature_definitions
from kerasbert.export.served.model import ServedModel, Signature
from kerasbert.export.warm_up import request_inputs

# What the loader reads as part of a pattern that does not match itself.
_PATTERN_CHARACTERS = "[]\\"


def check_servable_path(folder: str | os.PathLike[str]) -> None:
    """Refuse a path from which no server could load a SavedModel.

    Args:
        folder: the folder to write to. Its parent folders count too.

    Raises:
        BadInputError: the path is empty, a URL, contains `[`, `]` or a backslash, or is not valid UTF-8.

    Example:
        >>> check_servable_path("models/my model #2")
    """
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        raise BadInputError(
            f"`folder` must be the path of a folder. Received: folder={folder!r}. "
            "The order of the arguments is (model, folder, text_to_inputs, labels)."
        )
    path = os.fspath(folder)
    if "://" in path:
        raise BadInputError(
            f"`folder` must be on a local disk. Received: folder={path!r}. Export to a local folder, and copy the "
            "version's folder from there, e.g. with `gcloud storage cp -r`."
        )
    for character in os.path.abspath(path):
        if character in _PATTERN_CHARACTERS or character == "\0" or "\ud800" <= character <= "\udfff":
            raise BadInputError(
                f"The path of an exported model must not contain {character!r}, because TensorFlow and TF Serving "
                f"cannot load a model from such a path. Received: {os.path.abspath(path)!r}. "
                "Export to a folder with another name or in another place."
            )


def check_loads(served: ServedModel, signatures: Mapping[str, Signature], folder: Path) -> None:
    """Load a SavedModel as a server does, into a new graph, and ask it once.

    Args:
        served: the model that was written.
        signatures: its signatures.
        folder: the folder of the SavedModel.

    Raises:
        RuntimeError: the SavedModel cannot be loaded, or does not answer.
    """
    inputs = request_inputs(served, signatures["serving_default"], length=8, batch=1)
    definition = signature_definitions(read_saved_model(folder))["serving_default"]
    fed = {definition.inputs[name].name: values for name, values in inputs.items()}
    fetched = {name: info.name for name, info in definition.outputs.items()}
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session(config=_without_optimization()) as session:
            SavedModelLoader(str(folder)).load(session, [tf.saved_model.SERVING])
            session.run(fetched, fed)
    except (tf.errors.OpError, ValueError, OSError) as error:
        raise RuntimeError(
            f"An exported model must load and answer before it is published. Received: {error} No version was written."
        ) from error


def _without_optimization() -> tf.compat.v1.ConfigProto:
    """A session that answers its first request sooner: optimizing the graph takes longer than one small request."""
    options = tf.compat.v1.GraphOptions()
    options.rewrite_options.disable_meta_optimizer = True
    options.optimizer_options.opt_level = tf.compat.v1.OptimizerOptions.L0
    return tf.compat.v1.ConfigProto(graph_options=options)
