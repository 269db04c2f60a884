"""Reads rows from JSON: one object per line, one array of objects, or one object of columns."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbert.data.read_report import ReadReport
from kerasbert.data.text_files import text_lines
from kerasbert.errors import BadInputError

_SURROGATE = re.compile("[\ud800-\udfff]")
_EXAMPLE = 'For example {"text": "...", "label": "..."} on each line.'

PlacedRow = tuple[dict[str, Any], str]


def json_rows(
    path: Path, columns: Sequence[str], encoding: str | None, report: ReadReport, text_is_list: bool = False
) -> Iterator[PlacedRow]:
    """Yields the rows of one file as dictionaries, each with its position as text.

    The layout is detected from the first characters. JSON Lines are streamed. Everything else is one document and is
    loaded as a whole. Such a document is an array of objects, an object with one such array (`{"data": [...]}`), an
    object of columns (lists, or pandas' dictionaries of rows), an object of rows, or pandas' `orient="split"`.

    Args:
        path: the file.
        columns: the requested columns, which distinguish an object of columns from a row.
        encoding: its encoding; None for UTF-8.
        report: receives counts.
        text_is_list: whether the first column contains lists, as in files of tagged words.

    Raises:
        BadInputError: the file is not JSON of one of these layouts, or has an integer that is too long.
    """
    lines = text_lines(path, report, encoding=encoding)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"line {number} of '{path}'"
        first = _parsed(line, place, may_be_document=True)
        if isinstance(first, dict) and not _may_be_document(first, columns, text_is_list):
            yield first, place
            yield from _rows_of_lines(lines, number, path)
            return
        rest = list(lines)
        try:
            document = json.loads("\n".join([line, *rest]))
        except json.JSONDecodeError as error:
            if isinstance(first, dict):
                yield first, place
                yield from _rows_of_lines(iter(rest), number, path)
                return
            raise BadInputError(
                "JSON must be one object per line, or one array of objects. "
                f"Received: line {number - 1 + error.lineno} of '{path}' ({error}). {_EXAMPLE}"
            ) from error
        yield from _rows_of_document(document, path, columns, text_is_list)
        return


_NOT_A_ROW = object()


def _parsed(line: str, place: str, may_be_document: bool) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        if may_be_document and line.lstrip().startswith(("[", "{")) and not isinstance(error, RecursionError):
            return _NOT_A_ROW
        raise BadInputError(
            f"Each line of a JSONL file must be one JSON object. Received: {place} ({error}). {_EXAMPLE}"
        ) from error
    except ValueError as error:
        raise BadInputError(
            f"An integer in JSON must have at most {sys.get_int_max_str_digits()} digits. "
            f"Received: more digits in {place}. Shorten the number, or put it in quotes if it is a name."
        ) from error


def _rows_of_lines(lines: Iterator[str], number: int, path: Path) -> Iterator[PlacedRow]:
    """Yields the rows of JSON Lines after the first one, which was on line `number`."""
    for later, line in enumerate(lines, start=number + 1):
        if not line.strip():
            continue
        place = f"line {later} of '{path}'"
        row = _parsed(line, place, may_be_document=False)
        if not isinstance(row, dict):
            raise BadInputError(
                f"Each line of a JSONL file must be one JSON object. Received: {place}, a {type(row).__name__}. "
                f"{_EXAMPLE}"
            )
        yield row, place


def _may_be_document(value: Mapping[str, Any], columns: Sequence[str], text_is_list: bool) -> bool:
    """Returns whether the object on the first line may be the whole table, and not its first row."""
    if set(columns) <= value.keys():
        return _is_of_columns(value, columns, text_is_list)
    return any(isinstance(part, dict | list) for part in value.values())


def _is_of_columns(value: Mapping[str, Any], columns: Sequence[str], text_is_list: bool) -> bool:
    """Returns whether an object with all columns is a table, and not a row."""
    wanted = [value[column] for column in columns]
    if all(isinstance(part, dict) for part in wanted):
        return True
    text = wanted[0]
    if not all(isinstance(part, list) and len(part) == len(text) for part in wanted):
        return False
    return not text_is_list or any(isinstance(part, list) for part in text)


def _rows_of_document(value: Any, path: Path, columns: Sequence[str], text_is_list: bool) -> Iterator[PlacedRow]:
    for number, row in enumerate(_rows_of_value(value, columns, text_is_list), start=1):
        place = f"row {number} of '{path}'"
        if not isinstance(row, dict):
            raise BadInputError(
                f"Each row of JSON must be an object. Received: {place}, a {type(row).__name__}. {_EXAMPLE}"
            )
        yield row, place


def _rows_of_value(value: Any, columns: Sequence[str], text_is_list: bool) -> list[Any]:
    """Yields the rows of a document according to its layout."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return [value]
    if {"columns", "data"} <= value.keys() and isinstance(value["columns"], list):  # pandas' orient="split"
        return [dict(zip(value["columns"], row, strict=False)) for row in value["data"]]
    if set(columns) <= value.keys():
        if not _is_of_columns(value, columns, text_is_list):
            return [value]
        parts = {name: part for name, part in value.items() if name in columns}
        # In pandas' format, the dictionaries of all columns have the same keys, the names of the rows.
        keys = list(parts[columns[0]]) if isinstance(parts[columns[0]], dict) else range(len(parts[columns[0]]))
        missing = [name for name in parts for key in keys if isinstance(parts[name], dict) and key not in parts[name]]
        if missing:
            raise BadInputError(
                f"Columns in JSON must have the same rows. Received: column {missing[0]!r} without some of them. "
                f"Add them, or write one object per line. {_EXAMPLE}"
            )
        return [{name: part[key] for name, part in parts.items()} for key in keys]
    lists = [part for part in value.values() if isinstance(part, list) and part and isinstance(part[0], dict)]
    if len(lists) == 1:
        return lists[0]
    if value and all(isinstance(part, dict) for part in value.values()):  # pandas' orient="index"
        return list(value.values())
    return [value]


def encodable(value: Any) -> Any:
    """Returns a string, or a list of strings, without lone surrogates, which JSON can contain but UTF-8 cannot."""
    if isinstance(value, list):
        return [_SURROGATE.sub("\ufffd", part) if isinstance(part, str) else part for part in value]
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value
