"""Loads a SavedModel into a session of TensorFlow's C library and runs it, as TensorFlow Serving does."""

import contextlib
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from ctypes import c_char_p, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert_serving import protos
from kerasbert_serving.server.runtimes import c_tensors
from kerasbert_serving.server.runtimes.c_library import CLibrary, Output
from kerasbert_serving.server.runtimes.saved_model_file import TAG, literal_path, read_meta_graph, used_ops
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument

# The name of an operation, and the number of one of its outputs.
_NUMBERED = re.compile("(.+):([0-9]{1,9})", re.DOTALL)


class CModel:
    """A SavedModel in a session of TensorFlow's C library.

    Args:
        library: The library.
        path: The version folder, which contains `saved_model.pb`.
        threads: The number of threads of the session. 0 lets TensorFlow decide.

    Attributes:
        signatures: The `SignatureDef` of each signature, by name.

    Raises:
        ServingError: If the folder does not contain a SavedModel that can be loaded with the tag "serve".
    """

    def __init__(self, library: CLibrary, path: str | Path, threads: int = 0):
        self._library = library
        self._graph = library.TF_NewGraph()
        self._lock = threading.Lock()  # guards the next two attributes
        self._runs = 0
        self._closed = False
        try:
            with literal_path(str(path)) as opened:
                meta_graph = read_meta_graph(opened)
                self._load_ops(meta_graph)
                self._session = self._load(opened, threads)
        except BaseException:
            library.TF_DeleteGraph(self._graph)
            raise
        self.signatures: dict[str, Any] = dict(meta_graph.signature_def.items())

    def _load_ops(self, meta_graph: Any) -> None:
        """Loads the libraries of the ops that are not registered in this process."""
        if unknown := {name for name in used_ops(meta_graph) if not self._is_registered(name)}:
            self._library.load_ops(unknown)

    def _is_registered(self, op_name: str) -> bool:
        buffer = self._library.TF_NewBuffer()
        try:
            with self._library.status() as status:
                self._library.TF_GraphGetOpDef(self._graph, op_name.encode(), buffer, status)
        except ServingError:
            return False
        finally:
            self._library.TF_DeleteBuffer(buffer)
        return True

    def _load(self, path: str, threads: int) -> int:
        library = self._library
        options = library.TF_NewSessionOptions()
        try:
            config = protos.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
            with library.status() as status:
                encoded = config.SerializeToString()
                library.TF_SetConfig(options, encoded, len(encoded), status)
            with library.status() as status:
                tags = (c_char_p * 1)(TAG.encode())
                session: int = library.TF_LoadSessionFromSavedModel(
                    options, None, os.fsencode(path), tags, 1, self._graph, None, status
                )
            return session
        finally:
            library.TF_DeleteSessionOptions(options)

    def dtypes(self, names: Iterable[str]) -> dict[str, int]:
        """Returns the dtype numbers of tensors by their names in the graph, without those that do not exist."""
        found = {}
        for name in names:
            output = self._output(name)
            if output is not None and output.index < self._library.TF_OperationNumOutputs(output.operation):
                number = self._library.TF_OperationOutputType(output)
                found[name] = number - 100 if number > 100 else number  # of the value, not of a reference to it
        return found

    def run(self, feeds: tuple[str, ...], arrays: Sequence[np.ndarray], fetches: tuple[str, ...]) -> list[np.ndarray]:
        """Computes the fetched tensors. Blocks, without the interpreter lock while TensorFlow computes.

        Raises:
            ServingError: With TensorFlow's code and message.
        """
        library = self._library
        with self._running():
            inputs, outputs = self._outputs(feeds), self._outputs(fetches)
            fed = (c_void_p * len(feeds))()
            fetched = (c_void_p * len(fetches))()
            try:
                for position, array in enumerate(arrays):
                    fed[position] = c_tensors.to_tensor(library, array)
                with library.status() as status:
                    library.TF_SessionRun(
                        *(self._session, None, inputs, fed, len(fed), outputs, fetched, len(fetched)),
                        *(None, 0, None, status),
                    )
                return self._arrays(fetched)
            finally:
                for tensor in [*fed, *fetched]:
                    if tensor:
                        library.TF_DeleteTensor(tensor)

    def _arrays(self, tensors: Any) -> list[np.ndarray]:
        """Converts the fetched tensors, and sets each to None when it belongs to its array."""
        arrays = []
        for position, tensor in enumerate(tensors):
            tensors[position] = None
            arrays.append(c_tensors.to_array(self._library, tensor))
        return arrays

    def _outputs(self, names: Sequence[str]) -> Any:
        outputs = (Output * len(names))()
        for position, name in enumerate(names):
            output = self._output(name)
            if output is None:
                known = name if _NUMBERED.fullmatch(name) else f"{name}:0"  # as TensorFlow reads the name
                raise invalid_argument(
                    f"Tensor {known}, specified in either feed_devices or fetch_devices was not found in the Graph"
                )
            outputs[position] = output
        return outputs

    def _output(self, name: str) -> Output | None:
        """Returns an output, or None if the graph does not have the operation. The number is not checked."""
        numbered = _NUMBERED.fullmatch(name)
        operation_name, number = numbered.groups() if numbered else (name, "0")
        operation = self._library.TF_GraphOperationByName(self._graph, operation_name.encode())
        return Output(operation, int(number)) if operation else None

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        """Keeps the session until the block ends."""
        with self._lock:
            if self._closed:
                raise ServingError(Code.INTERNAL, "Attempted to use a closed Session.")
            self._runs += 1
        try:
            yield
        finally:
            with self._lock:
                self._runs -= 1
                last = self._closed and not self._runs
            if last:
                self._free()

    def close(self) -> None:
        """Frees the session. Runs that are not finished fail with CANCELLED."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._runs += 1  # so that the session is not freed before it is closed
        with contextlib.suppress(ServingError), self._library.status() as status:
            self._library.TF_CloseSession(self._session, status)
        with self._lock:
            self._runs -= 1
            unused = not self._runs
        if unused:
            self._free()

    def _free(self) -> None:
        with contextlib.suppress(ServingError), self._library.status() as status:
            self._library.TF_DeleteSession(self._session, status)
        self._library.TF_DeleteGraph(self._graph)
