"""The JSON bodies of replies, byte for byte in TensorFlow Serving's layout and number formats.

Floats have six digits if these read back as the same value, otherwise as many as the type needs. `.0` is appended to
numbers with neither a point nor an exponent; NaN and Infinity are not quoted. Strings in outputs named `*_bytes` are
written as `{"b64": ...}`.

Each reply is an iterator over pieces of text, each with a few thousand values at most. The caller can thus write a
reply of any size in a thread without keeping the other threads waiting, and stop at a limit.
"""

import base64
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from kerasbert_serving.server.inference import Classes
from kerasbert_serving.server.rest.json_printer import INDENT, quote
from kerasbert_serving.server.statuses import invalid_argument
from kerasbert_serving.server.tensors import dtypes

# The number of values in a piece.
PIECE = 2**11


def predictions(outputs: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Formats the reply to "instances": `{"predictions": [...]}`, with one element per row.

    Raises:
        ServingError: INVALID_ARGUMENT if an output has no rows or another number of rows than the other outputs.
    """
    _require_outputs(outputs)
    rows = _row_count(outputs)
    if len(outputs) == 1:
        [(name, array)] = outputs.items()
        return _document("predictions", _one_line(_groups(name, array, 2, one_line=True), rows))
    return _document("predictions", _objects(outputs, rows) if rows else iter(["[]"]))


def outputs_reply(outputs: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Formats the reply to "inputs": `{"outputs": ...}`, a value, or an object if there are several outputs."""
    _require_outputs(outputs)
    if len(outputs) == 1:
        [(name, array)] = outputs.items()
        return _document("outputs", _array(name, array, 1, one_line=False))
    return _document("outputs", _named_arrays(outputs))


def classifications(classes: Classes) -> Iterator[str]:
    """Formats the reply to `:classify`: `{"results": [[["label", score], ...], ...]}`."""
    if not len(classes.scores):
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    return _document("results", _one_line(_classified_rows(classes), len(classes.scores)))


def regressions(values: np.ndarray) -> Iterator[str]:
    """Formats the reply to `:regress`: `{"results": [value, ...]}`."""
    if not len(values):
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    return _document("results", _array("", values, 1, one_line=True))


def float_tokens(array: np.ndarray) -> list[str]:
    """Formats each value of a float32 or float64 array, flattened.

    Example:

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


# === Layout ===


def _document(key: str, value: Iterable[str]) -> Iterator[str]:
    return itertools.chain([f'{{\n{INDENT}"{key}": '], value, ["\n}"])


def _one_line(pieces: Iterable[str], rows: int) -> Iterator[str]:
    # The elements are on one line, the closing bracket is on the next.
    return itertools.chain(["["], pieces, [f"\n{INDENT}]"]) if rows else iter(["[]"])


def _named_arrays(outputs: Mapping[str, np.ndarray]) -> Iterator[str]:
    opening = "{\n"
    for name, array in outputs.items():
        yield f"{opening}{INDENT * 2}{quote(name)}: "
        yield from _array(name, array, 2, one_line=False)
        opening = ",\n"
    yield f"\n{INDENT}}}"


def _objects(outputs: Mapping[str, np.ndarray], rows: int) -> Iterator[str]:
    """One object per row. As many rows as fit in a piece are formatted together."""
    step = max(1, PIECE // max(1, sum(array[:1].size for array in outputs.values())))
    separator = "["
    for start in range(0, rows, step):
        columns = {name: array[start : start + step] for name, array in outputs.items()}
        if step > 1:
            yield separator + ",".join(_small_objects(columns, min(step, rows - start)))
        else:
            yield separator
            yield from _large_object(columns)
        separator = ","
    yield f"\n{INDENT}]"


def _small_objects(columns: Mapping[str, np.ndarray], rows: int) -> list[str]:
    texts = {name: _texts(name, array, 3, one_line=True) for name, array in columns.items()}
    objects = []
    for row in range(rows):
        members = ",\n".join(f"{INDENT * 3}{quote(name)}: {column[row]}" for name, column in texts.items())
        objects.append(f"\n{INDENT * 2}{{\n{members}\n{INDENT * 2}}}")
    return objects


def _large_object(columns: Mapping[str, np.ndarray]) -> Iterator[str]:
    opening = f"\n{INDENT * 2}{{\n"
    for name, array in columns.items():
        yield f"{opening}{INDENT * 3}{quote(name)}: "
        yield from _array(name, array[0, ...], 3, one_line=True)
        opening = ",\n"
    yield f"\n{INDENT * 2}}}"


def _classified_rows(classes: Classes) -> Iterator[str]:
    step = max(1, PIECE // max(1, classes.scores.shape[1]))
    separator = ""
    for start in range(0, len(classes.scores), step):
        scores = iter(float_tokens(classes.scores[start : start + step]))
        labels = classes.labels[start : start + step].tolist()
        rows = ["[" + ", ".join(f"[{_string(label)}, {next(scores)}]" for label in row) + "]" for row in labels]
        yield separator + ", ".join(rows)
        separator = ", "


# === Arrays ===


def _array(name: str, array: np.ndarray, depth: int, one_line: bool) -> Iterator[str]:
    """Formats an array as nested lists. `depth` is the number of open brackets around it."""
    if array.ndim == 0 or array.size <= PIECE:
        yield _texts(name, array[np.newaxis], depth, one_line)[0]
        return
    opening, _, closing = _brackets(depth, one_line)
    yield opening
    yield from _groups(name, array, depth + 1, one_line)
    yield closing


def _groups(name: str, array: np.ndarray, depth: int, one_line: bool) -> Iterator[str]:
    """Formats the elements of an array with separators between them. `depth` counts the open brackets around each."""
    between = _brackets(depth - 1, one_line)[1]
    size = max(1, math.prod(array.shape[1:]))
    step = max(1, PIECE // size)
    for start in range(0, len(array), step):
        if start:
            yield between
        if size > PIECE:
            yield from _array(name, array[start], depth, one_line)
        else:
            yield between.join(_texts(name, array[start : start + step], depth, one_line))


def _brackets(depth: int, one_line: bool) -> tuple[str, str, str]:
    if one_line:
        return "[", ", ", "]"
    inner = INDENT * (depth + 1)
    return f"[\n{inner}", f",\n{inner}", f"\n{INDENT * depth}]"


def _texts(name: str, array: np.ndarray, depth: int, one_line: bool) -> list[str]:
    """Formats each element of an array as nested lists."""
    shape = array.shape[1:]
    texts = _tokens(name, array, depth + len(shape))
    for axis in range(len(shape) - 1, -1, -1):
        size = shape[axis]
        groups = len(array) * math.prod(shape[:axis])
        if size == 0:
            texts = ["[]"] * groups
            continue
        opening, between, closing = _brackets(depth + axis, one_line)
        texts = [opening + between.join(texts[at : at + size]) + closing for at in range(0, groups * size, size)]
    return texts


def _require_outputs(outputs: Mapping[str, np.ndarray]) -> None:
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


# === Values ===


def _tokens(name: str, array: np.ndarray, depth: int) -> list[str]:
    """Formats each value of an output. `depth` is the number of open brackets around a value."""
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
