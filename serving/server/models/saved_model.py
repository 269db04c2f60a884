"""Loads a SavedModel's graph into a session and runs tensors through it, as TensorFlow Serving does.

A session, not `tf.saved_model.load`: the same runtime that TensorFlow Serving uses checks (and does not check) the same
things with the same messages, and a call costs less. Names of signatures are left to `signatures.py`.
"""

import contextlib
import importlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework import op_def_registry  # there is no public way to ask whether an op is known
from tensorflow.python.saved_model.loader_impl import SavedModelLoader  # the public one logs a deprecation

from kerasbert_serving.server.statuses import Code, ServingError, from_tensorflow, invalid_argument

# Combinations of feeds and fetches that stay prepared; more than these come from output filters alone.
MAX_PREPARED_CALLS = 256

# What TensorFlow's Python loader raises on files that lie about what they hold.
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class SavedModel:
    """One loaded version.

    Args:
        path: The version folder, with `saved_model.pb` in it.
        session_config: A `ConfigProto` for the session, or None for TensorFlow's own choice.

    Raises:
        ServingError: If the folder holds no SavedModel that can be loaded with the tag "serve".
    """

    def __init__(self, path: str | Path, session_config: config_pb2.ConfigProto | None = None):
        self._calls: dict[tuple[tuple[str, ...], tuple[str, ...]], Any] = {}
        self._lock = threading.Lock()
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=session_config)
        try:
            self.meta_graph = self._load(graph, str(path))
        except BaseException:
            self._session.close()
            raise
        self.signatures: dict[str, meta_graph_pb2.SignatureDef] = dict(self.meta_graph.signature_def.items())

    def _load(self, graph: tf.Graph, path: str) -> meta_graph_pb2.MetaGraphDef:
        if not any((Path(path) / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
            raise ServingError(
                Code.NOT_FOUND,
                f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. Check that the "
                "directory exists and that you have the right permissions for accessing it.",
            )
        try:
            return self._load_serve_graph(graph, path)
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error

    def _load_serve_graph(self, graph: tf.Graph, path: str) -> meta_graph_pb2.MetaGraphDef:
        try:
            loader = SavedModelLoader(path)
        except (OSError, *BROKEN) as error:
            raise ServingError(Code.DATA_LOSS, f"Can't parse {path}/saved_model.pb as binary proto: {error}") from error
        try:
            _import_op_libraries(loader.get_meta_graph_def_from_tags(["serve"]))
        except RuntimeError as error:
            raise ServingError(
                Code.NOT_FOUND,
                "Could not find meta graph def matching supplied tags: { serve }. To inspect available tag-sets in the "
                "SavedModel, please use the SavedModel CLI: `saved_model_cli`",
            ) from error
        try:
            with graph.as_default():
                return loader.load(self._session, ["serve"])
        except (OSError, *BROKEN) as error:
            raise ServingError(Code.DATA_LOSS, f"Could not load SavedModel at {path}: {error!r}") from error

    def run(self, feeds: tuple[str, ...], arrays: Sequence[np.ndarray], fetches: tuple[str, ...]) -> list[np.ndarray]:
        """The fetched tensors for the fed arrays; blocks, without the GIL while TensorFlow computes.

        Raises:
            ServingError: With TensorFlow's code and message.
        """
        try:
            outputs = self._call(feeds, fetches)(*arrays)
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        except (ValueError, TypeError) as error:
            raise invalid_argument(str(error)) from error
        except RuntimeError as error:  # the session was closed, or TensorFlow's bindings gave up
            raise ServingError(Code.INTERNAL, str(error)) from error
        # TensorFlow hands a scalar string over as it is.
        return [np.array(output, np.object_) if type(output) is bytes else output for output in outputs]

    def dtypes(self, names: Iterable[str]) -> dict[str, int]:
        """The dtypes of tensors by their names in the graph; without those that are not there."""
        found = {}
        for name in names:
            with contextlib.suppress(KeyError, ValueError):
                found[name] = self._session.graph.get_tensor_by_name(name).dtype.base_dtype.as_datatype_enum
        return found

    def _call(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Any:
        key = (feeds, fetches)
        call = self._calls.get(key)
        if call is None:
            options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
            # Private, and without a public peer: `make_callable` with feeds goes through the slow `run`.
            call = self._session._make_callable_from_options(options)
            with self._lock:
                while len(self._calls) >= MAX_PREPARED_CALLS:
                    self._calls.pop(next(iter(self._calls)))
                self._calls[key] = call
        return call

    def close(self) -> None:
        """Frees the session. No run may be under way."""
        self._calls.clear()
        self._session.close()


def _import_op_libraries(meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
    """Imports tensorflow_text where the model uses ops that this process does not know yet."""
    used = [op.name for op in meta_graph.meta_info_def.stripped_op_list.op]
    if any(op_def_registry.get(name) is None for name in used):
        with contextlib.suppress(ImportError):
            importlib.import_module("tensorflow_text")
