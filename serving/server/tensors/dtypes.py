"""The dtypes of TensorFlow: their names in errors, NumPy dtypes, and places in TensorProto and JSON."""

from dataclasses import dataclass

import ml_dtypes
import numpy as np

from kerasbert_serving.protos import DataType


@dataclass(frozen=True)
class DType:
    """How values of one TensorFlow dtype are transferred.

    Attributes:
        number: The number in the `DataType` enum.
        name: The name in TensorFlow's error messages (`DataTypeString`).
        numpy: The NumPy dtype of its arrays. For strings, `object`; the elements are `bytes`.
        field: The repeated field of a TensorProto that contains its values.
        json: The JSON type of its values, or None if TensorFlow Serving does not support the dtype in JSON.
    """

    number: int
    name: str
    numpy: np.dtype
    field: str
    json: str | None = None


_ROWS: list[tuple] = [
    (DataType.DT_FLOAT, "float", np.float32, "float_val", "float"),
    (DataType.DT_DOUBLE, "double", np.float64, "double_val", "float"),
    (DataType.DT_INT32, "int32", np.int32, "int_val", "int32"),
    (DataType.DT_UINT8, "uint8", np.uint8, "int_val", "int32"),
    (DataType.DT_INT16, "int16", np.int16, "int_val", "int32"),
    (DataType.DT_INT8, "int8", np.int8, "int_val", "int32"),
    (DataType.DT_STRING, "string", np.object_, "string_val", "string"),
    (DataType.DT_COMPLEX64, "complex64", np.complex64, "scomplex_val", None),
    (DataType.DT_INT64, "int64", np.int64, "int64_val", "int64"),
    (DataType.DT_BOOL, "bool", np.bool_, "bool_val", "bool"),
    (DataType.DT_BFLOAT16, "bfloat16", ml_dtypes.bfloat16, "half_val", None),
    (DataType.DT_UINT16, "uint16", np.uint16, "int_val", None),
    (DataType.DT_COMPLEX128, "complex128", np.complex128, "dcomplex_val", None),
    (DataType.DT_HALF, "half", np.float16, "half_val", None),
    (DataType.DT_UINT32, "uint32", np.uint32, "uint32_val", "uint32"),
    (DataType.DT_UINT64, "uint64", np.uint64, "uint64_val", "uint64"),
]

BY_NUMBER = {int(row[0]): DType(int(row[0]), row[1], np.dtype(row[2]), row[3], row[4]) for row in _ROWS}
BY_NUMPY = {dtype.numpy: dtype for dtype in BY_NUMBER.values()}
STRING = BY_NUMBER[DataType.DT_STRING]


def name_of(number: int) -> str:
    """Returns the name of a dtype in TensorFlow's error messages. The dtype need not be in the table."""
    if number in BY_NUMBER:
        return BY_NUMBER[number].name
    if number > 100:
        return f"{name_of(number - 100)}_ref"
    return DataType(number).name.removeprefix("DT_").lower() if number in set(DataType) else ""


def of_array(array: np.ndarray) -> DType:
    """Returns the dtype of an array that a session returned."""
    return BY_NUMPY.get(array.dtype) or STRING
