"""Converts between TensorProto and NumPy, by the rules of TensorFlow's `Tensor::FromProto` and `AsProtoField`.

A tensor can have millions of values. They are converted in pieces, because converting them in a single call keeps the
other threads of this process, and with them the other clients, waiting.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasbert_serving import protos
from kerasbert_serving.server.tensors import dtypes

# TensorFlow allows 254 dimensions, NumPy 1.x 32. We know of no model with more than 32.
MAX_RANK = 32
# The size limit of a tensor in a request, with repeated values written out.
MAX_BYTES = 2**31
# The number of values to convert in a single call.
PIECE = 2**13


class TensorParseError(ValueError):
    """Raised for a TensorProto that TensorFlow refuses with "tensor parsing error"."""


def to_array(proto: Any) -> np.ndarray:
    """Converts a TensorProto to an array.

    The values come from `tensor_content` or from the field of the dtype. If there are too few values, the last one is
    repeated (zero if there is none). Surplus values are ignored.

    Args:
        proto: A TensorProto, ours or TensorFlow's.

    Raises:
        TensorParseError: If shape, dtype and content contradict each other.
    """
    dtype = dtypes.BY_NUMBER.get(proto.dtype)
    if dtype is None or proto.tensor_shape.unknown_rank:
        raise TensorParseError
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if len(shape) > MAX_RANK or any(size < 0 for size in shape):
        raise TensorParseError
    count = math.prod(shape)
    if count * max(dtype.numpy.itemsize, 1) > MAX_BYTES:
        raise TensorParseError
    if proto.tensor_content and count:
        flat = _from_content(proto.tensor_content, dtype, count)
    else:
        flat = fill(_from_field(getattr(proto, dtype.field), dtype), dtype, count)
    try:
        return flat.reshape(shape)
    except ValueError as error:  # an empty tensor whose other dimensions exceed NumPy's address range
        raise TensorParseError from error


def fill(values: np.ndarray, dtype: dtypes.DType, count: int) -> np.ndarray:
    """Returns exactly `count` values. Cuts the surplus or repeats the last one (zero or empty if there are none)."""
    if len(values) >= count:
        return values[:count]
    last = values[-1] if len(values) else (b"" if dtype.numpy == np.object_ else 0)
    filled = np.empty(count, dtype.numpy)
    filled[: len(values)] = values
    filled[len(values) :] = last
    return filled


def encoded(array: np.ndarray) -> Iterator[bytes]:
    """Yields the parts of an encoded TensorProto, with the values in the field of the dtype as in TensorFlow Serving.

    A parser reads the parts together as one message, because it appends repeated values. `SerializeToString` of the
    whole message would hold the interpreter lock for a tenth of a second per 10 million values.
    """
    dtype = dtypes.of_array(array)
    proto = protos.TensorProto(dtype=dtype.number)
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    flat = array.reshape(-1)
    if dtype.field == "half_val":
        flat = flat.view(np.uint16)
    elif dtype.field in _PARTS:
        flat = flat.view(_PARTS[dtype.field])
    for start in range(0, max(len(flat), 1), PIECE):
        if start:
            proto = protos.TensorProto()
        getattr(proto, dtype.field).extend(flat[start : start + PIECE].tolist())
        yield proto.SerializeToString()


# The real and imaginary parts of complex numbers are separate values.
_PARTS = {"scomplex_val": np.float32, "dcomplex_val": np.float64}


def _from_field(field: Any, dtype: dtypes.DType) -> np.ndarray:
    if dtype.field == "half_val":
        return _copied(field, np.int64).astype(np.uint16).view(dtype.numpy)
    if dtype.field in _PARTS:
        return _copied(field, _PARTS[dtype.field], len(field) // 2 * 2).view(dtype.numpy)
    if dtype.field == "int_val" and dtype.name != "int32":
        return _copied(field, np.int32).astype(dtype.numpy)
    return _copied(field, dtype.numpy)


def _copied(field: Any, numpy_dtype: Any, count: int | None = None) -> np.ndarray:
    count = len(field) if count is None else count
    values = np.empty(count, numpy_dtype)
    for start in range(0, count, PIECE):
        end = min(start + PIECE, count)
        values[start:end] = field[start:end]
    return values


def _from_content(content: bytes, dtype: dtypes.DType, count: int) -> np.ndarray:
    if dtype.numpy != np.object_:
        if len(content) != count * dtype.numpy.itemsize:
            raise TensorParseError
        return np.frombuffer(content, dtype.numpy)
    values = np.empty(count, np.object_)
    values[:] = _split_strings(content, count)
    return values


def _split_strings(content: bytes, count: int) -> list[bytes]:
    """Splits the strings in `tensor_content`: the lengths of all strings as varints, then the bytes of all strings."""
    lengths, at = [], 0
    if count > len(content):
        raise TensorParseError
    for _ in range(count):
        length = shift = 0
        while True:
            if at >= len(content) or shift > 28:
                raise TensorParseError
            byte = content[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise TensorParseError
    strings = []
    for length in lengths:
        strings.append(content[at : at + length])
        at += length
    return strings
