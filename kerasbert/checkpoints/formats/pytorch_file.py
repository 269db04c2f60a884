"""Reads the tensors of a PyTorch checkpoint (`pytorch_model.bin`) without PyTorch and without running its pickle.

A pickle may name any function to call. This reader knows a few harmless names, builds plain records from them, and
refuses every other name before anything is called, like `torch.load(weights_only=True)`. It reads both of PyTorch's
file formats: the zip archive (since 1.6) and the older pickle stream. It knows nothing of BERT's names.
"""

import collections
import dataclasses
import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from kerasbert.checkpoints.formats.other_files import unreadable_file
from kerasbert.errors import BadInputError

_STORAGE_TYPES: dict[str, Any] = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
# The start of a pickle stream of PyTorch before 1.6.
_STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_ZIP_MAGIC = b"PK\x03\x04"
# What the unpickler raises on a damaged or malicious pickle.
_UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
    zipfile.BadZipFile,
    NotImplementedError,
    struct.error,
    OSError,
)


@dataclasses.dataclass(frozen=True)
class _Storage:
    """A range of numbers in the file, not read yet."""

    dtype: Any
    key: str
    numel: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view on a storage, as the pickle describes it."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_pytorch(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of one file by name.

    Raises:
        BadInputError: The file is damaged, contains anything but named tensors, or its pickle names a function to run.
    """
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == _ZIP_MAGIC
            file.seek(0)
            tensors, read_storage = _read_archive(file) if is_zip else _read_stream(file)
            _check_tensors(tensors)
            return {name: _array(tensor, read_storage) for name, tensor in tensors.items()}
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
    except _UNPICKLING_ERRORS as error:
        raise unreadable_file(
            path,
            "a PyTorch checkpoint must be a complete file of named tensors",
            repr(error),
            "Download or copy the file again, or use the model's safetensors file.",
        ) from error


ReadStorage = Callable[[_Storage], np.ndarray]


def _read_archive(file: BinaryIO) -> tuple[Any, ReadStorage]:
    """Reads the zip format: `<name>/data.pkl`, and one entry for each storage."""
    archive = zipfile.ZipFile(file)
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise BadInputError(
            f"A PyTorch archive must contain one data.pkl. Received: {len(pickles)}. Use the file of a model's weights."
        )
    folder = pickles[0].removesuffix("data.pkl")
    order = _entry(archive, f"{folder}byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
    if order.strip() != b"little":
        raise BadInputError(f"Byte order must be little-endian. Received: {order!r}. Save the file on another machine.")
    tensors = _TensorUnpickler(io.BytesIO(_entry(archive, pickles[0]))).load()
    return tensors, lambda storage: _numbers(_entry(archive, f"{folder}data/{storage.key}"), storage)


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """One entry's bytes. PyTorch never compresses, so a compressed entry can only be meant to fill the memory."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise BadInputError(f"A PyTorch archive must not be compressed. Received: entry {name!r}. Save the file again.")
    return archive.read(name)


def _read_stream(file: BinaryIO) -> tuple[Any, ReadStorage]:
    """Reads the older format: magic number, version, system facts and tensors as pickles, then the storages."""
    if _TensorUnpickler(file).load() != _STREAM_MAGIC:
        raise BadInputError(
            "A PyTorch file must start with its magic number. Received: another pickle. Use a model's weights."
        )
    _TensorUnpickler(file).load()  # the version of the format, 1001
    facts = _TensorUnpickler(file).load()
    if not facts.get("little_endian", True):
        raise BadInputError("Byte order must be little-endian. Received: big-endian. Save the file on another machine.")
    unpickler = _TensorUnpickler(file)
    tensors = unpickler.load()
    storages = {}
    for key in _TensorUnpickler(file).load():
        (numel,) = struct.unpack("<q", file.read(8))
        declared = unpickler.storages[key]
        storages[key] = _numbers(file.read(numel * np.dtype(declared.dtype).itemsize), declared)
    return tensors, lambda storage: storages[storage.key]


def _numbers(content: bytes, storage: _Storage) -> np.ndarray:
    """A storage's bytes as a flat array, whose length must be as the pickle declares."""
    numbers = np.frombuffer(content, storage.dtype)
    if len(numbers) != storage.numel:
        raise BadInputError(
            f"A storage must be as long as declared. Received: {len(numbers)} numbers instead of {storage.numel} in "
            f"storage {storage.key!r}. Copy or download the file again."
        )
    return numbers


def _array(tensor: _Tensor, read_storage: ReadStorage) -> np.ndarray:
    """The tensor's array, after checking that it is inside its storage."""
    numbers = read_storage(tensor.storage)
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.size, tensor.stride, strict=True))
    is_inside = min((tensor.offset, *tensor.size, *tensor.stride)) >= 0 and last < len(numbers)
    if math.prod(tensor.size) and not is_inside:
        raise BadInputError(
            f"A tensor must be inside its storage. Received: size {tensor.size}, stride {tensor.stride} from "
            f"{tensor.offset} in {len(numbers)} numbers. Copy or download the file again."
        )
    strides = [stride * numbers.itemsize for stride in tensor.stride]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.size, strides, writeable=False)


def _check_tensors(tensors: Any) -> None:
    """Refuses everything except a dict of named tensors."""
    others = None
    if not isinstance(tensors, dict):
        others = f"a {type(tensors).__name__}"
    elif not all(isinstance(name, str) and isinstance(tensor, _Tensor) for name, tensor in tensors.items()):
        others = f"entries {[name for name, tensor in tensors.items() if not isinstance(tensor, _Tensor)][:10]}"
    if others:
        raise BadInputError(
            f"A checkpoint must be a dict of named tensors, as `model.state_dict()` returns. Received: {others}. "
            "Save the state dict alone: `torch.save(model.state_dict(), path)`."
        )


class _TensorUnpickler(pickle.Unpickler):
    """Builds records instead of tensors, and refuses every unknown name."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Returns the replacement for a global name in the pickle."""
        if module == "torch" and name in _STORAGE_TYPES:
            return np.dtype(_STORAGE_TYPES[name])
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        }
        if (module, name) in known:
            return known[module, name]
        raise BadInputError(
            f"A checkpoint must contain tensors only; nothing else in it is run. Received: a pickle that names "
            f"`{module}.{name}`. Do not trust this file; use the model's safetensors file."
        )

    def persistent_load(self, saved_id: Any) -> _Storage:
        """Returns a storage by its description ("storage", type, key, location, length[, view])."""
        kind, dtype, key, _, numel = saved_id[:5]
        view = saved_id[5] if len(saved_id) > 5 else None
        if kind not in ("storage", b"storage") or not isinstance(dtype, np.dtype) or view is not None:
            raise BadInputError(
                f"A tensor must be in a storage of a known type. Received: {saved_id!r}. Save the state dict again."
            )
        storage = _Storage(dtype, str(key), int(numel))
        self.storages[storage.key] = storage
        return storage


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
    """Replaces `torch._utils._rebuild_tensor_v2`, without gradients and hooks."""
    if not isinstance(storage, _Storage) or len(size) != len(stride):
        raise BadInputError(
            "A tensor must be a view on a storage. Received: another object. Save the state dict again."
        )
    return _Tensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    """Replaces `torch._utils._rebuild_parameter`: returns the tensor inside it."""
    return tensor
