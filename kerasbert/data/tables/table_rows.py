"""Reads the rows of one table (CSV, TSV or JSON), each with its position for messages.

For how lines become rows, see delimited_rows.py and json_rows.py. For the meaning of the columns, see labelled.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kerasbert.data.file_kinds import check_not_web_page
from kerasbert.data.read_report import ReadReport
from kerasbert.data.tables.delimited_rows import delimited_rows
from kerasbert.data.tables.json_rows import encodable, json_rows
from kerasbert.data.tables.table_format import PLAIN, TableFormat, column_number
from kerasbert.data.text_files import text_lines
from kerasbert.errors import BadInputError

_ENDING_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".psv": "|"}
_JSON_ENDINGS = (".jsonl", ".ndjson", ".json")


class Row(NamedTuple):
    """One row.

    Attributes:
        values: the values of the requested columns.
        place: its position as text, e.g. "line 7 of 'train.csv'".
    """

    values: tuple[Any, ...]
    place: str


def is_table(path: Path) -> bool:
    """Returns whether the name has the extension of a table, e.g. .csv, .tsv or .jsonl, with or without .gz."""
    return ending_of(path) in (*_ENDING_DELIMITERS, *_JSON_ENDINGS)


def is_json(path: Path) -> bool:
    """Returns whether the name ends in .jsonl, .ndjson or .json, with or without .gz."""
    return ending_of(path) in _JSON_ENDINGS


def ending_of(path: Path) -> str:
    """Returns the extension in lower case, e.g. ".csv", without a following ".gz"."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def usual_delimiter(path: Path) -> str | None:
    """Returns the delimiter that the file's extension implies, or None."""
    return _ENDING_DELIMITERS.get(ending_of(path))


def table_rows(
    path: Path,
    columns: Mapping[str, str | int],
    report: ReadReport | None = None,
    table_format: TableFormat = PLAIN,
    text_is_list: bool = False,
) -> Iterator[Row]:
    """Yields the rows of one file in order. Blank lines are skipped.

    Values from CSV and TSV are strings. Values from JSON keep their types. Quotes in TSV are read as in CSV if all rows
    are then well-formed, and otherwise as part of the text. They are also part of the text if they would merge lines
    although every line is a row without them, as in GLUE's files.

    Args:
        path: the file. Its extension, before `.gz`, determines the format: `.csv`, `.tsv` or `.jsonl` (one JSON object
            per line; a JSON file may also be one array of objects or one object of columns). With
            `table_format.delimiter`, delimited rows may have any extension.
        columns: setting -> column, e.g. `{"text_column": "text"}`: the requested columns, by name, or by number counted
            from 1 if there is no header. Messages name the settings.
        report: receives counts and notes.
        table_format: the format of the file.
        text_is_list: whether the first column contains lists, as in files of tagged words.

    Yields:
        The rows.

    Raises:
        BadInputError: the extension is not that of a table; a column is missing (the message names the existing ones);
            a row has more or fewer values than there are columns; quotes are not well-formed; a line is not a JSON
            object or has an integer that is too long (the message names the line); or there is no row.
    """
    if not is_table(path) and table_format.delimiter is None:
        raise BadInputError(
            f"A table must end in .csv, .tsv or .jsonl (or one of these and .gz). Received: '{path}'. "
            "Rename it, or say what separates its values, for example `delimiter='comma'`."
        )
    if not path.exists():
        raise BadInputError(f"A table must exist. Received: '{path}', which does not. Check the path.")
    report = ReadReport() if report is None else report
    if is_json(path):
        rows = _json_rows(path, columns, table_format, report, text_is_list)
    else:
        rows = _delimited_rows(path, columns, table_format, report)
    is_empty = True
    for row in rows:
        is_empty = False
        report.lines += 1
        yield row
    if is_empty:
        raise BadInputError(
            f"A table must contain at least one row. Received: '{path}', which has none. "
            "Add rows, or name another file."
        )


def _json_rows(
    path: Path, columns: Mapping[str, str | int], table_format: TableFormat, report: ReadReport, text_is_list: bool
) -> Iterator[Row]:
    names = {setting: str(column) for setting, column in columns.items()}
    for row, place in json_rows(path, list(names.values()), table_format.encoding, report, text_is_list):
        _check_columns(names, list(row), place)
        yield Row(tuple(encodable(row[column]) for column in names.values()), place)


def _delimited_rows(
    path: Path, columns: Mapping[str, str | int], table_format: TableFormat, report: ReadReport
) -> Iterator[Row]:
    lines = text_lines(path, encoding=table_format.encoding, max_line_bytes=1 << 20)
    check_not_web_page(next((line for line in lines if line.strip()), ""), path)
    usual = usual_delimiter(path) or ","
    names = {setting: str(column) for setting, column in columns.items()}
    wanted = list(names.values()) if table_format.has_header else []
    rows = delimited_rows(path, usual, wanted, table_format, report)
    width = 0
    if table_format.has_header:
        _, header = next(rows, (0, []))
        indices, width = _named_columns(names, header, path), len(header)
    else:
        indices = [column_number(setting, column) for setting, column in columns.items()]
    for number, row in rows:
        place = f"line {number} of '{path}'"
        width = width or len(row)
        if len(row) != width:
            raise BadInputError(
                f"Each row must have a value for each of the {width} columns. Received: {len(row)} values "
                f"in {place}. Put texts that contain a delimiter, a quote or a line break in double quotes."
            )
        if max(indices) >= width:
            raise BadInputError(
                f"Columns are numbered from 1 to the number of values in a row. Received: column {max(indices) + 1} "
                f"of {width} in {place}. Choose another number, or set `delimiter`."
            )
        yield Row(tuple(row[index] for index in indices), place)


def _named_columns(columns: Mapping[str, str], header: list[str], path: Path) -> list[int]:
    """Returns the positions of the columns. White space around a name in the header is ignored."""
    wanted = list(columns.values())
    found = [name if name in wanted else name.strip() for name in header]
    _check_columns(columns, found, f"'{path}'", may_lack_header=True)
    for column in wanted:
        if found.count(column) > 1:
            raise BadInputError(f"A column's name must be unique. Received: {column!r} twice in '{path}'. Rename one.")
    return [found.index(column) for column in wanted]


def _looks_like_text(name: str) -> bool:
    """Returns whether a name in the header looks like a value: a number, or several words."""
    return name.replace(".", "").isdecimal() or len(name) > 40 or len(name.split()) > 3


def _check_columns(columns: Mapping[str, str], found: Sequence[str], place: str, may_lack_header: bool = False) -> None:
    missing = next(((setting, column) for setting, column in columns.items() if column not in found), None)
    if missing is None:
        return
    setting, column = missing
    remedy = f"Set `{setting}` to one of these."
    if any("\ufffd" in name for name in found):
        remedy += " The names contain invalid UTF-8: set the file's encoding too, for example `encoding='cp1252'`."
    if may_lack_header and any(map(_looks_like_text, found)):
        remedy += " If the first line is a row and not a header, set `has_header=False` and choose columns by number."
    raise BadInputError(
        f"A table must have the columns asked for. Received: {place}, without {column!r}. "
        f"Columns there: {', '.join(map(repr, found)) or 'none'}. {remedy}"
    )
