"""Converts NumPy arrays to TensorProto messages and back, without TensorFlow."""

import math

import numpy as np
from google.protobuf.message import Message

from kerasbert_serving.clients import dtypes
from kerasbert_serving.clients.errors import UnexpectedReplyError


def fill(message: Message, array: np.ndarray) -> None:
    """Write an array into a TensorProto."""
    dtype = dtypes.BY_NUMPY[array.dtype]
    message.dtype = dtype.number
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    if dtype is dtypes.STRING:
        message.string_val.extend(array.reshape(-1).tolist())
    else:
        little = array.dtype.newbyteorder("<")
        message.tensor_content = np.ascontiguousarray(array, little).tobytes()


def to_array(message: Message) -> np.ndarray:
    """Return the array of a TensorProto.

    Raises:
        UnexpectedReplyError: If NumPy has no such dtype, or if the values do not fit the shape.
    """
    dtype = dtypes.BY_NUMBER.get(message.dtype)
    shape = tuple(dim.size for dim in message.tensor_shape.dim)
    if dtype is None:
        raise UnexpectedReplyError(
            f"A tensor in the reply must have a dtype that NumPy has. Received: dtype {message.dtype}.", "UNIMPLEMENTED"
        )
    try:
        return _flat(message, dtype, math.prod(shape)).reshape(shape)
    except ValueError as error:
        raise UnexpectedReplyError(
            f"The values of a tensor in the reply must fit its shape. Received: {error}.", "DATA_LOSS"
        ) from error


def _flat(message: Message, dtype: dtypes.DType, count: int) -> np.ndarray:
    stored = np.dtype(np.uint16) if dtype.field == "half_val" else dtype.numpy
    if message.tensor_content and dtype is not dtypes.STRING:
        values = np.frombuffer(message.tensor_content, stored.newbyteorder("<")).astype(stored)
    else:
        field = getattr(message, dtype.field)
        values = np.empty(len(field), stored)
        values[:] = list(field)
        if 0 < len(values) < count:  # the last value is repeated
            values = np.concatenate([values, np.full(count - len(values), values[-1], stored)])
    if dtype.name == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.view(dtype.numpy) if dtype.field == "half_val" else values
