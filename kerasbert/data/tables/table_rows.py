"""Reads rows of named columns from CSV, TSV and JSONL files, plain or gzipped, and says where each one stands.

Does not know which column is what: see labelled.py.
"""

import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kerasbert.data.text_files import ReadReport, text_lines
from kerasbert.errors import BadInputError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson", ".json")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Row(NamedTuple):
    """One row: the values of the columns asked for, and its place in words, such as "line 7 of 'train.csv'"."""

    values: tuple[Any, ...]
    place: str


def is_table(path: Path) -> bool:
    """Whether the name ends like that of a table: .csv, .tsv or .jsonl, with or without .gz."""
    return _ending(path) in (*_DELIMITERS, *_JSON_LINES)


def table_rows(path: Path, columns: Sequence[str], report: ReadReport | None = None) -> Iterator[Row]:
    """Gives the rows of one file in order. Blank lines are passed over.

    Values from CSV and TSV are strings; those from JSONL have the type that they have there. Quotes in TSV are read as
    CSV's where all rows are well-formed that way, else as they stand. They are also read as they stand where they would
    join lines of a file whose every line is a row without them, as in GLUE's files.

    Args:
        path: its ending, before `.gz`, names the format: `.csv`, `.tsv`, or `.jsonl` (one JSON object a line).
        columns: the columns wanted, by name. The first line of CSV and TSV names the columns.
        report: counts are added to it.

    Raises:
        BadInputError: another ending; a missing column (those present are named); a row with more or fewer values than
            columns, broken quotes, a line that is no JSON object or holds an integer that is too long (the line is
            named); no row at all.
    """
    ending = _ending(path)
    if not is_table(path):
        raise BadInputError(
            f"A table must end in .csv, .tsv or .jsonl (or one of these and .gz). Received: '{path}'. Rename it."
        )
    if not path.exists():
        raise BadInputError(f"A table must exist. Received: '{path}', which does not. Check the path.")
    report = ReadReport() if report is None else report
    rows = (
        _json_rows(path, columns, report)
        if ending in _JSON_LINES
        else _delimited_rows(path, columns, _DELIMITERS[ending], report)
    )
    is_empty = True
    for row in rows:
        is_empty = False
        report.lines += 1
        yield row
    if is_empty:
        raise BadInputError(f"A table must hold at least one row. Received: '{path}', without any.")


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _json_rows(path: Path, columns: Sequence[str], report: ReadReport) -> Iterator[Row]:
    for number, line in enumerate(text_lines(path, report), start=1):
        if not line.strip():
            continue
        place = f"line {number} of '{path}'"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise BadInputError(
                f"Each line of a JSONL file must be one JSON object. Received: {place} ({error})."
            ) from error
        except ValueError as error:
            raise BadInputError(
                f"An integer in JSONL must have at most {sys.get_int_max_str_digits()} digits. "
                f"Received: more digits in {place}. Shorten the number, or put it in quotes if it is a name."
            ) from error
        if not isinstance(row, dict):
            raise BadInputError(
                f"Each line of a JSONL file must be one JSON object. Received: {place}, a {type(row).__name__}. "
                'Write for example {"text": "...", "label": "..."} on each line.'
            )
        _check_columns(columns, list(row), place)
        yield Row(tuple(_encodable(row[column]) for column in columns), place)


def _encodable(value: Any) -> Any:
    """A string of JSON, or a list of them, without half surrogate pairs, which JSON can name and no UTF-8 can hold."""
    if isinstance(value, list):
        return [_SURROGATE.sub("\ufffd", part) if isinstance(part, str) else part for part in value]
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


def _delimited_rows(path: Path, columns: Sequence[str], delimiter: str, report: ReadReport) -> Iterator[Row]:
    rows = _csv_rows(path, delimiter, report, is_quoted=delimiter != "\t" or _is_quoted(path, delimiter))
    _, header = next(rows, (0, []))
    _check_columns(columns, header, f"'{path}'")
    for column in columns:
        if header.count(column) > 1:
            raise BadInputError(
                f"A column's name must be there once. Received: {column!r} twice in '{path}'. Rename one."
            )
    indices = [header.index(column) for column in columns]
    for number, row in rows:
        place = f"line {number} of '{path}'"
        if len(row) != len(header):
            raise BadInputError(
                f"Each row must have a value for each of the {len(header)} columns. Received: {len(row)} values "
                f"in {place}. Put texts that hold a delimiter, a quote or a line break in double quotes."
            )
        yield Row(tuple(row[index] for index in indices), place)


def _is_quoted(path: Path, delimiter: str) -> bool:
    """Whether all rows are well-formed and of one length with quotes. GLUE's TSV files are meant without quotes."""
    lengths: set[int] = set()
    joins_lines = False
    try:
        for _, row in _csv_rows(path, delimiter, ReadReport(), is_quoted=True):
            lengths.add(len(row))
            joins_lines = joins_lines or any("\n" in value for value in row)
    except BadInputError:
        return False
    # In a file of one column every line is as long as a row, which tells nothing.
    if len(lengths) != 1 or not joins_lines or lengths == {1}:
        return len(lengths) == 1
    # A quote that opens one text and one that closes a later text would swallow the rows between. Line breaks that are
    # meant leave lines without the right number of columns.
    return any(len(row) not in lengths for _, row in _csv_rows(path, delimiter, ReadReport(), is_quoted=False))


def _csv_rows(path: Path, delimiter: str, report: ReadReport, is_quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, with the number of the line that each begins on."""
    # The module's own limit of 128 KiB would refuse a text of 1 MB. It is one for the whole process.
    csv.field_size_limit(sys.maxsize)
    lines = (line + "\n" for line in text_lines(path, report))
    reader = csv.reader(
        lines, delimiter=delimiter, strict=True, quoting=csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE
    )
    first_line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadInputError(
                f"Quotes must be well-formed. Received: '{path}', in the row that begins on line "
                f"{first_line} ({error}). Put texts that hold quotes in double quotes, and double those inside."
            ) from error
        if row:
            yield first_line, row
        first_line = reader.line_num + 1


def _check_columns(columns: Sequence[str], found: Sequence[str], place: str) -> None:
    missing = [column for column in columns if column not in found]
    if missing:
        raise BadInputError(
            f"A table must hold the columns asked for. Received: {place}, without {missing[0]!r}. "
            f"Columns there: {', '.join(map(repr, found)) or 'none'}. Name one of these."
        )
