"""The JSON bodies of replies, byte for byte in TensorFlow Serving's layout and number formats.

Floats: six digits if they read back as the same value, else as many as the type needs; `.0` where neither point nor
exponent stands; NaN and Infinity bare. Strings of outputs named `*_bytes` go out as `{"b64": ...}`.
"""

import base64
import math
from collections.abc import Mapping, Sequence

import numpy as np

from kerasbert_serving.server.models import dtypes
from kerasbert_serving.server.rest.json_printer import INDENT, quote, to_bytes
from kerasbert_serving.server.statuses import invalid_argument


def predictions(outputs: Mapping[str, np.ndarray]) -> bytes:
    """The reply to "instances": `{"predictions": [...]}`, one element a row.

    Raises:
        ServingError: INVALID_ARGUMENT if an output has no rows, or another number of rows than the others.
    """
    _require_some(outputs)
    rows = _row_count(outputs)
    if len(outputs) == 1:
        [(name, array)] = outputs.items()
        return _document("predictions", _array_text(_row_tokens(name, array, 2), INDENT))
    columns = {name: _row_tokens(name, array, 3) for name, array in outputs.items()}
    items = []
    for row in range(rows):
        members = ",\n".join(f"{INDENT * 3}{quote(name)}: {tokens[row]}" for name, tokens in columns.items())
        items.append(f"\n{INDENT * 2}{{\n{members}\n{INDENT * 2}}}")
    return _document("predictions", f"[{','.join(items)}\n{INDENT}]" if items else "[]")


def outputs_reply(outputs: Mapping[str, np.ndarray]) -> bytes:
    """The reply to "inputs": `{"outputs": ...}`, a value, or an object where there are several outputs."""
    _require_some(outputs)
    if len(outputs) == 1:
        [(name, array)] = outputs.items()
        return _document("outputs", _nest(_tokens(name, array, 1 + array.ndim), array.shape, 1, one_line=False)[0])
    members = ",\n".join(
        f"{INDENT * 2}{quote(name)}: {_nest(_tokens(name, array, 2 + array.ndim), array.shape, 2, one_line=False)[0]}"
        for name, array in outputs.items()
    )
    return _document("outputs", f"{{\n{members}\n{INDENT}}}")


def classifications(results: Sequence[Sequence[tuple[bytes, float]]]) -> bytes:
    """The reply to `:classify`: `{"results": [[["label", score], ...], ...]}`."""
    if not results:
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    flat = np.array([score for classes in results for _, score in classes], np.float32)
    scores = iter(float_tokens(flat))
    rows = ["[" + ", ".join(f"[{_string(label)}, {next(scores)}]" for label, _ in classes) + "]" for classes in results]
    return _document("results", _array_text(rows, INDENT))


def regressions(values: np.ndarray) -> bytes:
    """The reply to `:regress`: `{"results": [value, ...]}`."""
    if not len(values):
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    return _document("results", f"[{', '.join(float_tokens(values))}]")


def float_tokens(array: np.ndarray) -> list[str]:
    """The decimal texts of a float32 or float64 array, flattened.

    >>> float_tokens(np.array([0.2, 3, 9e6, 1 / 3, np.nan, -np.inf], np.float32))
    ['0.2', '3.0', '9e+06', '0.333333343', 'NaN', '-Infinity']
    """
    flat = array.reshape(-1)
    values = flat.tolist()
    tokens = [f"{value:g}" for value in values]
    with np.errstate(over="ignore"):
        inexact = np.flatnonzero(np.array(tokens, np.float64).astype(flat.dtype) != flat)
    digits = 9 if flat.dtype == np.float32 else 17
    for index in inexact:
        tokens[index] = _NOT_FINITE.get(tokens[index]) or f"{values[index]:.{digits}g}"
    return [
        token if "." in token or "e" in token or "N" in token else _NOT_FINITE.get(token) or f"{token}.0"
        for token in tokens
    ]


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _document(key: str, value: str) -> bytes:
    return to_bytes(f'{{\n{INDENT}"{key}": {value}\n}}')


def _array_text(items: list[str], indent: str) -> str:
    # The elements stand on one line, and the bracket that closes them does not.
    return f"[{', '.join(items)}\n{indent}]" if items else "[]"


def _require_some(outputs: Mapping[str, np.ndarray]) -> None:
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")


def _row_count(outputs: Mapping[str, np.ndarray]) -> int:
    rows = -1
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if rows not in (-1, len(array)):
            raise invalid_argument(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {rows}")
        rows = len(array)
    return rows


def _row_tokens(name: str, array: np.ndarray, depth: int) -> list[str]:
    """One text per row; `depth` counts the brackets that are open around a row."""
    rank = array.ndim - 1
    return _nest(_tokens(name, array, depth + rank), array.shape[1:], depth, one_line=True, count=len(array))


def _nest(tokens: list[str], shape: tuple[int, ...], depth: int, one_line: bool, count: int = 1) -> list[str]:
    """Joins the texts of single values into `count` nested arrays of `shape`."""
    for axis in range(len(shape) - 1, -1, -1):
        size = shape[axis]
        groups = count * math.prod(shape[:axis])
        if size == 0:
            tokens = ["[]"] * groups
            continue
        if one_line:
            first, between, last = "[", ", ", "]"
        else:
            inner = INDENT * (depth + axis + 1)
            first, between, last = f"[\n{inner}", f",\n{inner}", f"\n{INDENT * (depth + axis)}]"
        tokens = [first + between.join(tokens[start : start + size]) + last for start in range(0, groups * size, size)]
    return tokens


def _tokens(name: str, array: np.ndarray, depth: int) -> list[str]:
    """The texts of the values of an output; `depth` counts the brackets that are open around a value."""
    dtype = dtypes.of_array(array)
    if dtype.json == "float":
        return float_tokens(array)
    if dtype.json == "bool":
        return ["true" if value else "false" for value in array.reshape(-1).tolist()]
    if dtype.json == "string":
        if name.endswith("_bytes"):
            return [_base64_text(value, depth) for value in array.reshape(-1).tolist()]
        return [_string(value) for value in array.reshape(-1).tolist()]
    if dtype.json is None and array.size:
        raise invalid_argument(f"Failed to write JSON value for tensor type: {dtype.name}")
    return list(map(str, array.reshape(-1).tolist()))


def _string(value: bytes) -> str:
    return quote(value.decode("utf-8", "surrogateescape"))


def _base64_text(value: bytes, depth: int) -> str:
    encoded = base64.b64encode(value).decode("ascii")
    return f'{{\n{INDENT * (depth + 1)}"b64": "{encoded}"\n{INDENT * depth}}}'
