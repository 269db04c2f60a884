"""Converts a cell of the label column to a label: a name, several names, or a number."""

import json
import math
from typing import Any

import numpy as np

from kerasbert.data.tables.printed_lists import looks_printed, printed_list
from kerasbert.errors import BadInputError

_SEVERAL_LABELS = (
    "For several labels a row, fine-tune with `task='multi_label_classification'` (in `read_labelled`, `problem_type`)."
)
# Regression's targets are float32.
_LARGEST_NUMBER = float(np.finfo(np.float32).max)


def label_of(value: Any, column: str, place: str, problem_type: str, separator: str) -> str | tuple[str, ...] | float:
    """Returns the label in one cell.

    Args:
        value: the cell.
        column: the column's name, for messages.
        place: the row's position, for messages.
        problem_type: the kind of labels in the column.
        separator: separates the labels of a multi-label cell.

    Raises:
        BadInputError: the cell does not contain a label of this kind.
    """
    if problem_type == "regression":
        return _number(value, column, place)
    if problem_type == "multi_label_classification" and value is not None:
        return _names(value, column, place, separator)
    name = _name(value, column, place, may_be_empty=False)
    items = printed_list(name) if not isinstance(value, bool | int | float) else None
    if items is None:
        return name
    if len(items) != 1:
        raise BadInputError(
            f"Each row must have one label in column {column!r}. Received: {name[:80]} in {place}, a list of "
            f"{len(items)}. {_SEVERAL_LABELS}"
        )
    return items[0].strip()


def _names(value: Any, column: str, place: str, separator: str) -> tuple[str, ...]:
    """Returns the distinct names of a multi-label cell."""
    parts = value
    if isinstance(value, str):
        parts = printed_list(value)
        if parts is None and looks_printed(value):
            raise BadInputError(
                f"A printed list of labels must have its items in quotes. Received: {value[:80]} in column {column!r}, "
                f"{place}. Write the labels as 'a{separator}b', or the table as JSONL with lists."
            )
    if not isinstance(parts, list):
        parts = _name(value, column, place, may_be_empty=True).split(separator)
    names = [_name(part, column, place, may_be_empty=not isinstance(value, list)) for part in parts]
    return tuple(dict.fromkeys(name for name in names if name))


def _name(value: Any, column: str, place: str, may_be_empty: bool) -> str:
    """Returns a label as a string. JSON's numbers and Boolean values are converted to their JSON text."""
    if isinstance(value, bool | int | float):
        value = json.dumps(value)
    if not isinstance(value, str) or not (value.strip() or may_be_empty):
        received = "no label" if value in (None, "") else json.dumps(value)[:80]
        raise BadInputError(
            f"Each row must have a label in column {column!r}. Received: {received} in {place}. "
            f"Add the label or remove the row.{f' {_SEVERAL_LABELS}' if isinstance(value, list) else ''}"
        )
    return value.strip()


def _number(value: Any, column: str, place: str) -> float:
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= _LARGEST_NUMBER:
        raise BadInputError(
            f"Column {column!r} must contain finite numbers up to {_LARGEST_NUMBER:.2g} in size, for regression. "
            f"Received: {repr(value)[:80]} in {place}. Correct the number or remove the row."
        )
    return number
