"""NumPy arrays to TensorProto and back, without TensorFlow."""

import math

import numpy as np
from google.protobuf.message import Message

from kerasbert_serving.clients import dtypes
from kerasbert_serving.clients.errors import UnexpectedReplyError


def fill(message: Message, array: np.ndarray) -> None:
    """Writes an array into a TensorProto."""
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
    """The array of a TensorProto.

    Raises:
        UnexpectedReplyError: If it is of a dtype that NumPy has no place for, or does not fit together.
    """
    dtype = dtypes.BY_NUMBER.get(message.dtype)
    shape = tuple(dim.size for dim in message.tensor_shape.dim)
    if dtype is None:
        raise UnexpectedReplyError(f"The reply has a tensor of the unknown dtype {message.dtype}.", "UNIMPLEMENTED")
    try:
        return _flat(message, dtype, math.prod(shape)).reshape(shape)
    except ValueError as error:
        raise UnexpectedReplyError(f"The reply has a tensor that is no tensor: {error}", "DATA_LOSS") from error


def _flat(message: Message, dtype: dtypes.DType, count: int) -> np.ndarray:
    stored = np.dtype(np.uint16) if dtype.field == "half_val" else dtype.numpy
    if message.tensor_content and dtype is not dtypes.STRING:
        values = np.frombuffer(message.tensor_content, stored.newbyteorder("<")).astype(stored)
    else:
        field = getattr(message, dtype.field)
        values = np.empty(len(field), stored)
        values[:] = list(field)
        if 0 < len(values) < count:  # the last value stands for the rest
            values = np.concatenate([values, np.full(count - len(values), values[-1], stored)])
    if dtype.name == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.view(dtype.numpy) if dtype.field == "half_val" else values
