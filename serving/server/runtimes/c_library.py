"""Finds TensorFlow's C library in the installed package `tensorflow`, without importing it, and declares its functions.

The functions are those of `tensorflow/c/c_api.h` and `tf_tensor.h`, which TensorFlow keeps compatible between releases.
Tensors are left to `c_tensors.py`, sessions to `c_runtime.py`.
"""

import ctypes
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from kerasbert_serving.server.statuses import Code, ServingError

# The names of the library in the package, by `sys.platform`. On Windows, the package has no C library.
_FILES = {"linux": "libtensorflow_cc.so.2", "darwin": "libtensorflow_cc.2.dylib"}


class LibraryError(Exception):
    """Raised if TensorFlow's C library cannot be found or loaded."""


class Output(ctypes.Structure):
    """`TF_Output`: an operation of a graph, and which of its outputs."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


# void (*deallocator)(void* data, size_t length, void* argument)
Deallocator = ctypes.CFUNCTYPE(None, c_void_p, c_size_t, c_void_p)

_STATUS = c_void_p

# The functions that return immediately: the result and the arguments. They keep Python's interpreter lock, because
# releasing it takes longer than the call, and other threads would get it in between.
_SHORT: dict[str, tuple[Any, list[Any]]] = {
    "TF_Version": (c_char_p, []),
    "TF_NewStatus": (_STATUS, []),
    "TF_DeleteStatus": (None, [_STATUS]),
    "TF_GetCode": (c_int, [_STATUS]),
    "TF_Message": (c_char_p, [_STATUS]),
    "TF_NewBuffer": (c_void_p, []),
    "TF_DeleteBuffer": (None, [c_void_p]),
    "TF_NewGraph": (c_void_p, []),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_GraphGetOpDef": (None, [c_void_p, c_char_p, c_void_p, _STATUS]),
    "TF_OperationNumOutputs": (c_int, [c_void_p]),
    "TF_OperationOutputType": (c_int, [Output]),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_SetConfig": (None, [c_void_p, c_char_p, c_size_t, _STATUS]),
    "TF_DeleteSessionOptions": (None, [c_void_p]),
    "TF_AllocateTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_NewTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_void_p, c_size_t, Deallocator, c_void_p]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_StringInit": (None, [c_void_p]),
    "TF_StringCopy": (None, [c_void_p, c_char_p, c_size_t]),
    "TF_StringDealloc": (None, [c_void_p]),
}
# The functions that may take long. Other threads run in the meantime.
_LONG: dict[str, tuple[Any, list[Any]]] = {
    "TF_LoadLibrary": (c_void_p, [c_char_p, _STATUS]),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        [c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, c_void_p, _STATUS],
    ),
    "TF_SessionRun": (
        None,
        [
            *(c_void_p, c_void_p),  # the session and the options of the run
            *(POINTER(Output), POINTER(c_void_p), c_int),  # inputs
            *(POINTER(Output), POINTER(c_void_p), c_int),  # outputs
            *(c_void_p, c_int, c_void_p, _STATUS),  # operations without outputs, and the metadata of the run
        ],
    ),
    "TF_CloseSession": (None, [c_void_p, _STATUS]),
    "TF_DeleteSession": (None, [c_void_p, _STATUS]),
    "TF_DeleteGraph": (None, [c_void_p]),
}


class CLibrary:
    """TensorFlow's C library. Its functions are attributes, e.g. `library.TF_NewGraph()`.

    Args:
        path: The file of the library.

    Attributes:
        version: TensorFlow's version.

    Raises:
        LibraryError: If the library cannot be loaded or lacks a function.
    """

    def __init__(self, path: Path):
        try:
            # Its symbols stay local, so its copy of protobuf does not meet another one in this process.
            self._declare(ctypes.PyDLL(str(path), ctypes.RTLD_LOCAL), _SHORT)
            self._declare(ctypes.CDLL(str(path), ctypes.RTLD_LOCAL), _LONG)
        except (OSError, AttributeError) as error:
            raise LibraryError(f"{path}: {error}") from error
        self.version: str = self.TF_Version().decode()
        self._op_libraries: set[Path] = set()
        self._lock = threading.Lock()

    def _declare(self, library: ctypes.CDLL, functions: dict[str, tuple[Any, list[Any]]]) -> None:
        for name, (result, arguments) in functions.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no function {name}")

    @contextmanager
    def status(self) -> Iterator[c_void_p]:
        """Yields a `TF_Status` for one call. Raises `ServingError` with its code and message if it is not OK."""
        status = self.TF_NewStatus()
        try:
            yield status
            code = self.TF_GetCode(status)
            if code:
                message = self.TF_Message(status).decode("utf-8", "surrogateescape")
                raise ServingError(Code(code) if code in set(Code) else Code.UNKNOWN, message)
        finally:
            self.TF_DeleteStatus(status)

    def load_ops(self, names: set[str]) -> None:
        """Loads those op libraries of tensorflow_text that may have the ops with these names.

        Each library takes time and memory, so those without any of the names are left out.
        """
        with self._lock:
            for path in _op_libraries():
                if path not in self._op_libraries and _contains_any(path, names):
                    with self.status() as status:
                        # As tensorflow_text writes the path: TensorFlow lists the ops of a path only once.
                        self.TF_LoadLibrary(str(path).encode(), status)
                    self._op_libraries.add(path)


def find() -> Path | None:
    """Returns the file of TensorFlow's C library, or None if it is not installed."""
    folder = _package_folder("tensorflow")
    if folder is None or sys.platform not in _FILES or sys.byteorder != "little":
        return None
    path = folder / _FILES[sys.platform]
    return path if path.exists() else None


_lock = threading.Lock()
_loaded: dict[Path, CLibrary] = {}


def load() -> CLibrary:
    """Loads TensorFlow's C library, once per process.

    Raises:
        LibraryError: If it is not installed or cannot be loaded.
    """
    path = find()
    if path is None:
        raise LibraryError("the installed package `tensorflow` has no C library")
    with _lock:
        if path not in _loaded:
            _loaded[path] = CLibrary(path)
        return _loaded[path]


def _op_libraries() -> list[Path]:
    folder = _package_folder("tensorflow_text")
    return sorted((folder / "python" / "ops").glob("*.so")) if folder else []


def _package_folder(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a stand-in in `sys.modules` has no spec
        return None
    return Path(spec.origin).parent if spec and spec.origin else None


def _contains_any(path: Path, names: set[str]) -> bool:
    content = path.read_bytes()
    return any(name.encode() in content for name in names)
