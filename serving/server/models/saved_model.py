"""Loads a SavedModel into a session and runs it, as TensorFlow Serving does.

A session is used instead of `tf.saved_model.load`, because it is the runtime of TensorFlow Serving: it makes the same
checks with the same messages, and a call takes less time. Names of signatures are left to `signatures.py`.
"""

import contextlib
import importlib
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework import op_def_registry  # no public function tells whether an op is known
from tensorflow.python.saved_model.loader_impl import SavedModelLoader  # the public one logs a deprecation

from kerasbert_serving.server.statuses import Code, ServingError, from_tensorflow, invalid_argument

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


class SavedModel:
    """A loaded SavedModel.

    Args:
        path: The version folder, which contains `saved_model.pb`.
        session_config: The `ConfigProto` of the session, or None for TensorFlow's defaults.

    Raises:
        ServingError: If the folder does not contain a SavedModel that can be loaded with the tag "serve".
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
        with _path_for_tensorflow(path) as opened:
            try:
                return self._load_serve_graph(graph, opened)
            except tf.errors.OpError as error:
                raise _with_path(from_tensorflow(error), opened, path) from error
            except ServingError as error:
                raise _with_path(error, opened, path) from error

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


# TensorFlow uses the path of a checkpoint as a glob pattern, and requires valid UTF-8.
_NOT_LITERAL = re.compile(r"[*?\[\]{}\\\udc80-\udcff]")


@contextlib.contextmanager
def _path_for_tensorflow(path: str) -> Iterator[str]:
    """Yields a path under which TensorFlow can load the model: the path itself, or a temporary link to it."""
    if not _NOT_LITERAL.search(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "model"
        link.symlink_to(Path(path).absolute(), target_is_directory=True)
        yield str(link)


def _with_path(error: ServingError, opened: str, path: str) -> ServingError:
    return ServingError(error.code, error.message.replace(opened, path))
