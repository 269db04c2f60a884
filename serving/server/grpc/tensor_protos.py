"""TensorProto to NumPy and back, with the rules of TensorFlow's `Tensor::FromProto` and `AsProtoField`.

JSON is left to `json_tensors.py`.
"""

import math

import numpy as np
from tensorflow.core.framework import tensor_pb2

from kerasbert_serving.server.models import dtypes

# TensorFlow allows 254 dimensions, NumPy 1.x has room for 32. A model with more than 32 has not been seen.
MAX_RANK = 32
# What one tensor of a request may take once its repeated values are written out.
MAX_BYTES = 2**31


class TensorParseError(ValueError):
    """A TensorProto that TensorFlow would refuse ("tensor parsing error")."""


def to_array(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """The array of a TensorProto.

    Values come from `tensor_content`, or from the dtype's field: the last value fills what is missing, zero if there is
    none, and what is too many is ignored.

    Raises:
        TensorParseError: If shape, dtype and content do not fit together.
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
        flat = fill(_values(proto, dtype), dtype, count)
    try:
        return flat.reshape(shape)
    except ValueError as error:  # nothing in it, but more along its other axes than there are addresses
        raise TensorParseError from error


def fill(values: np.ndarray, dtype: dtypes.DType, count: int) -> np.ndarray:
    """Exactly `count` values: cut, or filled up with the last one (zero or the empty string where there is none)."""
    if len(values) >= count:
        return values[:count]
    last = values[-1] if len(values) else (b"" if dtype.numpy == np.object_ else 0)
    filled = np.empty(count, dtype.numpy)
    filled[: len(values)] = values
    filled[len(values) :] = last
    return filled


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """The TensorProto of an array, values in the dtype's own field as TensorFlow Serving sends them."""
    dtype = dtypes.of_array(array)
    proto = tensor_pb2.TensorProto(dtype=dtype.number)
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    flat = array.reshape(-1)
    if dtype.field == "half_val":
        values = flat.view(np.uint16).tolist()
    elif dtype.field in ("scomplex_val", "dcomplex_val"):
        values = flat.view(np.float32 if dtype.field == "scomplex_val" else np.float64).tolist()
    else:
        values = flat.tolist()
    getattr(proto, dtype.field).extend(values)
    return proto


def _values(proto: tensor_pb2.TensorProto, dtype: dtypes.DType) -> np.ndarray:
    field = getattr(proto, dtype.field)
    if dtype.numpy == np.object_:
        values = np.empty(len(field), np.object_)
        values[:] = list(field)
        return values
    if dtype.field == "half_val":
        return np.array(field, np.int64).astype(np.uint16).view(dtype.numpy)
    if dtype.field in ("scomplex_val", "dcomplex_val"):
        part = np.float32 if dtype.field == "scomplex_val" else np.float64
        return np.array(field[: len(field) // 2 * 2], part).view(dtype.numpy)
    if dtype.field == "int_val" and dtype.name != "int32":
        return np.array(field, np.int32).astype(dtype.numpy)
    return np.array(field, dtype.numpy)


def _from_content(content: bytes, dtype: dtypes.DType, count: int) -> np.ndarray:
    if dtype.numpy != np.object_:
        if len(content) != count * dtype.numpy.itemsize:
            raise TensorParseError
        return np.frombuffer(content, dtype.numpy)
    values = np.empty(count, np.object_)
    values[:] = _split_strings(content, count)
    return values


def _split_strings(content: bytes, count: int) -> list[bytes]:
    """Strings in `tensor_content`: the varint lengths of all, then the bytes of all."""
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
