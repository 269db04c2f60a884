"""TensorFlow's dtypes without TensorFlow: number, name, NumPy dtype, and the field of a TensorProto for the values."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DType:
    """A dtype.

    Attributes:
        number: Its number in messages.
        name: TensorFlow's name.
        numpy: The NumPy dtype of its arrays. Strings are arrays of `bytes` objects.
        field: The field of a TensorProto that contains its values.
    """

    number: int
    name: str
    numpy: np.dtype
    field: str


_ROWS = [
    (1, "float", np.float32, "float_val"),
    (2, "double", np.float64, "double_val"),
    (3, "int32", np.int32, "int_val"),
    (4, "uint8", np.uint8, "int_val"),
    (5, "int16", np.int16, "int_val"),
    (6, "int8", np.int8, "int_val"),
    (7, "string", np.object_, "string_val"),
    (9, "int64", np.int64, "int64_val"),
    (10, "bool", np.bool_, "bool_val"),
    # NumPy has no bfloat16. Its values become float32, which can represent them all.
    (14, "bfloat16", np.float32, "half_val"),
    (17, "uint16", np.uint16, "int_val"),
    (19, "half", np.float16, "half_val"),
    (22, "uint32", np.uint32, "uint32_val"),
    (23, "uint64", np.uint64, "uint64_val"),
]

BY_NUMBER = {number: DType(number, name, np.dtype(kind), field) for number, name, kind, field in _ROWS}
BY_NAME = {dtype.name: dtype for dtype in BY_NUMBER.values()}
BY_NUMPY = {dtype.numpy: dtype for dtype in BY_NUMBER.values() if dtype.name != "bfloat16"}
STRING = BY_NAME["string"]
