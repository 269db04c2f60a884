"""Loads a SavedModel into a session of TensorFlow's Python package and runs it, as TensorFlow Serving does.

A session is used instead of `tf.saved_model.load`, because it is the runtime of TensorFlow Serving: it makes the same
checks with the same messages, and a call takes less time. This is the runtime for installations without TensorFlow's C
library (`c_runtime.py`).
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
from tensorflow.python.framework import op_def_registry  # no public function tells whether an op is known
from tensorflow.python.saved_model.loader_impl import SavedModelLoader  # the public one logs a deprecation

from kerasbert_serving.server.runtimes.saved_model_file import TAG, literal_path, no_serve_graph, require_saved_model
from kerasbert_serving.server.statuses import Code, ServingError, from_tensorflow, invalid_argument

VERSION: str = tf.__version__

# How many combinations of feeds and fetches stay prepared. Only output filters can lead to more.
MAX_PREPARED_CALLS = 256

# What TensorFlow's Python loader raises for corrupt files.
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


class PythonModel:
    """A SavedModel in a session of TensorFlow's Python package.

    Args:
        path: The version folder, which contains `saved_model.pb`.
        threads: The number of threads of the session. 0 lets TensorFlow decide.

    Attributes:
        signatures: The `SignatureDef` of each signature, by name.

    Raises:
        ServingError: If the folder does not contain a SavedModel that can be loaded with the tag "serve".
    """

    def __init__(self, path: str | Path, threads: int = 0):
        self._calls: dict[tuple[tuple[str, ...], tuple[str, ...]], Any] = {}
        self._lock = threading.Lock()
        graph = tf.Graph()
        config = config_pb2.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        try:
            meta_graph = self._load(graph, str(path))
        except BaseException:
            self._session.close()
            raise
        self.signatures: dict[str, Any] = dict(meta_graph.signature_def.items())

    def _load(self, graph: tf.Graph, path: str) -> meta_graph_pb2.MetaGraphDef:
        require_saved_model(path)
        with literal_path(path) as opened:
            try:
                return self._load_serve_graph(graph, opened)
            except tf.errors.OpError as error:
                raise from_tensorflow(error) from error

    def _load_serve_graph(self, graph: tf.Graph, path: str) -> meta_graph_pb2.MetaGraphDef:
        try:
            loader = SavedModelLoader(path)
        except (OSError, *BROKEN) as error:
            raise ServingError(Code.DATA_LOSS, f"Can't parse {path}/saved_model.pb as binary proto: {error}") from error
        try:
            _import_op_libraries(loader.get_meta_graph_def_from_tags([TAG]))
        except RuntimeError as error:
            raise no_serve_graph() from error
        try:
            with graph.as_default():
                return loader.load(self._session, [TAG])
        except (OSError, *BROKEN) as error:
            raise ServingError(Code.DATA_LOSS, f"Could not load SavedModel at {path}: {error!r}") from error

    def run(self, feeds: tuple[str, ...], arrays: Sequence[np.ndarray], fetches: tuple[str, ...]) -> list[np.ndarray]:
        """Computes the fetched tensors. Blocks, without the interpreter lock while TensorFlow computes.

        Raises:
            ServingError: With TensorFlow's code and message.
        """
        try:
            outputs = self._call(feeds, fetches)(*arrays)
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        except (ValueError, TypeError) as error:
            raise invalid_argument(str(error)) from error
        except RuntimeError as error:  # the session is closed, or TensorFlow's bindings failed
            raise ServingError(Code.INTERNAL, str(error)) from error
        # TensorFlow returns a scalar string as `bytes`.
        return [np.array(output, np.object_) if type(output) is bytes else output for output in outputs]

    def dtypes(self, names: Iterable[str]) -> dict[str, int]:
        """Returns the dtype numbers of tensors by their names in the graph, without those that do not exist."""
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
            # This method is private. The public `make_callable` uses the slow `run` if there are feeds.
            call = self._session._make_callable_from_options(options)
            with self._lock:
                while len(self._calls) >= MAX_PREPARED_CALLS:
                    self._calls.pop(next(iter(self._calls)))
                self._calls[key] = call
        return call

    def close(self) -> None:
        """Frees the session. Runs that are not finished fail with CANCELLED."""
        self._calls.clear()
        self._session.close()


def _import_op_libraries(meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
    """Imports tensorflow_text if the model uses ops that are not registered in this process."""
    used = [op.name for op in meta_graph.meta_info_def.stripped_op_list.op]
    if any(op_def_registry.get(name) is None for name in used):
        with contextlib.suppress(ImportError):
            importlib.import_module("tensorflow_text")
