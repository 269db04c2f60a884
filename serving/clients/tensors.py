"""Converts the inputs of `predict` to arrays that can be sent."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasbert_serving.clients import dtypes
from kerasbert_serving.clients.typed_replies import TensorInfo
from kerasbert_serving.clients.typed_requests import to_bytes

# For each kind of dtype, in NumPy's letters, the kinds of numbers that are converted to it.
_TAKEN = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}


def as_arrays(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the inputs as arrays. Strings become arrays of `bytes` objects.

    Raises:
        ValueError: If a value is not a tensor: its lists have different lengths, or no dtype has its type.
    """
    return {name: _as_array(name, value) for name, value in inputs.items()}


def needs_dtypes(inputs: Mapping[str, Any]) -> bool:
    """Return whether the dtype of an input depends on the signature, because Python numbers have no dtype."""
    return any(not isinstance(value, (np.ndarray, np.generic)) and not _holds_text(value) for value in inputs.values())


def with_dtypes(
    inputs: Mapping[str, Any], arrays: Mapping[str, np.ndarray], infos: Mapping[str, TensorInfo]
) -> dict[str, np.ndarray]:
    """Return the arrays, with those from Python numbers in the dtype of the signature.

    Raises:
        ValueError: If the dtype cannot represent a number exactly.
    """
    cast = dict(arrays)
    for name, array in arrays.items():
        dtype = dtypes.BY_NAME.get(infos[name].dtype) if name in infos else None
        if dtype and array.dtype != np.object_ and not isinstance(inputs[name], (np.ndarray, np.generic)):
            cast[name] = _cast(name, array, dtype)
    return cast


def _cast(name: str, array: np.ndarray, dtype: dtypes.DType) -> np.ndarray:
    """Python numbers in a dtype. Integers and booleans must not change; floats are rounded."""
    if array.size == 0:
        return np.empty(array.shape, dtype.numpy)
    if dtype is dtypes.STRING:
        return array  # the server answers with an error that says what it expects
    cast = array.astype(dtype.numpy)
    is_rounded = dtype.numpy.kind == "f"
    if array.dtype.kind not in _TAKEN[dtype.numpy.kind] or not (is_rounded or np.array_equal(cast, array)):
        raise ValueError(
            f"Input `{name}` must contain numbers that {dtype.name} can represent. Received: {array.tolist()!s:.200}."
        )
    return cast


def _as_array(name: str, value: Any) -> np.ndarray:
    if _holds_text(value):
        array = np.array(value, np.object_)
        flat = array.reshape(-1)
        for text in flat:
            if not isinstance(text, (str, bytes)):
                raise ValueError(
                    f"Input `{name}` must be strings in lists of equal lengths. Received an element {text!r}."
                )
        texts = np.empty(flat.shape, np.object_)
        texts[:] = [to_bytes(text) for text in flat]
        return texts.reshape(array.shape)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"The lists in input `{name}` must have equal lengths. Received: different lengths."
        ) from error
    if array.dtype not in dtypes.BY_NUMPY or array.dtype == np.object_:
        raise ValueError(f"Input `{name}` must consist of numbers, booleans or strings. Received: {array.dtype}.")
    return array


def _holds_text(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "OSU"
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, bytes))
