"""Converts between NumPy arrays and the tensors of TensorFlow's C library.

Numbers in results are not copied: the array keeps the tensor. Strings are copied in both directions.
"""

import ctypes
import itertools
from ctypes import c_int64, c_void_p
from typing import Any

import numpy as np

from kerasbert_serving.server.runtimes.c_library import CLibrary, Deallocator
from kerasbert_serving.server.statuses import Code, ServingError
from kerasbert_serving.server.tensors import dtypes

# The size of a `TF_TString`. Its layout is part of TensorFlow's ABI since release 2.4 (`ctstring_internal.h`): the
# lowest two bits tell the kind. A small string has its length in the other six bits of the first byte, then its bytes.
# Otherwise, the length is in the other 62 bits of the first word. The third word of a large string and the second one
# of a view are the address of the bytes; the second half word of an offset string is their distance from the string.
STRING_BYTES = 24
_SMALL, _LARGE, _OFFSET, _VIEW = range(4)


def to_tensor(library: CLibrary, array: np.ndarray) -> int:
    """Copies an array to a new `TF_Tensor`.

    Args:
        library: TensorFlow's C library.
        array: The array. Arrays of dtype `object` contain `bytes` objects.

    Returns:
        The address of the tensor, which the caller deletes.
    """
    shape = (c_int64 * array.ndim)(*array.shape)
    if array.dtype == np.object_:
        return _string_tensor(library, array, shape)
    array = np.asarray(array, order="C")  # `ascontiguousarray` would give a scalar a dimension
    number = dtypes.of_array(array).number
    tensor: int = library.TF_AllocateTensor(number, shape, array.ndim, array.nbytes)
    if array.nbytes:
        ctypes.memmove(library.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
    return tensor


def to_array(library: CLibrary, tensor: int) -> np.ndarray:
    """Converts a `TF_Tensor` to an array, which cannot be written to.

    Args:
        library: TensorFlow's C library.
        tensor: The address of the tensor, which is deleted by this function or with the array.

    Raises:
        ServingError: UNIMPLEMENTED if NumPy does not have the dtype.
    """
    number = library.TF_TensorType(tensor)
    dtype = dtypes.BY_NUMBER.get(number)
    if dtype is None:
        library.TF_DeleteTensor(tensor)
        raise ServingError(Code.UNIMPLEMENTED, f"Outputs of dtype {dtypes.name_of(number)} are not supported.")
    shape = tuple(library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor)))
    if dtype is dtypes.STRING:
        try:
            return _strings(library, tensor, shape)
        finally:
            library.TF_DeleteTensor(tensor)
    size = library.TF_TensorByteSize(tensor)
    if not size:
        library.TF_DeleteTensor(tensor)
        return np.empty(shape, dtype.numpy)
    # A plain dtype of the same size, because the interface knows no bfloat16.
    memory = _Memory(library, tensor, size)
    return np.asarray(memory).view(dtype.numpy).reshape(shape)


class _Memory:
    """The bytes of a tensor, which is deleted with the last array that uses them."""

    def __init__(self, library: CLibrary, tensor: int, size: int):
        self._delete = library.TF_DeleteTensor
        self._tensor = tensor
        data = library.TF_TensorData(tensor)
        self.__array_interface__ = {"data": (data, True), "shape": (size,), "typestr": "|u1", "version": 3}

    def __del__(self) -> None:
        self._delete(self._tensor)


# === Strings ===


# The memory of the string tensors that TensorFlow still uses, by a number.
_in_use: dict[int, tuple[CLibrary, Any, int]] = {}
_numbers = itertools.count(1)


@Deallocator
def _free_strings(data: int, size: int, number: int) -> None:
    """Called by TensorFlow, in any thread, when nothing uses the memory any more."""
    library, _, count = _in_use.pop(number)
    _free(library, data, count)


def _free(library: CLibrary, data: int, count: int) -> None:
    for position in range(count):
        library.TF_StringDealloc(data + position * STRING_BYTES)


def _string_tensor(library: CLibrary, array: np.ndarray, shape: Any) -> int:
    memory = ctypes.create_string_buffer(STRING_BYTES * array.size + STRING_BYTES)
    data = ctypes.addressof(memory)
    for position, text in enumerate(array.reshape(-1).tolist()):
        string = data + position * STRING_BYTES
        library.TF_StringInit(string)
        library.TF_StringCopy(string, text, len(text))
    number = next(_numbers)
    _in_use[number] = (library, memory, array.size)
    size = STRING_BYTES * array.size
    tensor: int = library.TF_NewTensor(
        dtypes.STRING.number, shape, array.ndim, data, size, _free_strings, c_void_p(number)
    )
    return tensor


def _strings(library: CLibrary, tensor: int, shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(shape, np.object_)
    if array.size:
        array.reshape(-1)[:] = read_strings(library.TF_TensorData(tensor), array.size)
    return array


def read_strings(data: int, count: int) -> list[bytes]:
    """Returns the strings of an array of `TF_TString`s at an address."""
    # Reading the memory takes a tenth of the time of two calls per string, and a reply may have many word pieces.
    raw = ctypes.string_at(data, count * STRING_BYTES)
    words = np.frombuffer(raw, "<u8").reshape(count, 3).tolist()
    strings = []
    for position, (first, second, third) in enumerate(words):
        kind = first & 3
        if kind == _SMALL:
            start = position * STRING_BYTES + 1
            strings.append(raw[start : start + (first >> 2 & 63)])
        elif kind == _OFFSET:
            distance, size = first >> 32, (first & 0xFFFFFFFF) >> 2
            strings.append(ctypes.string_at(data + position * STRING_BYTES + distance, size))
        else:
            strings.append(ctypes.string_at(third if kind == _LARGE else second, first >> 2))
    return strings
