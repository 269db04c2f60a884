"""Splits lines into rows of values by the rules of CSV (RFC 4180), and detects a file's delimiter.

Python's `csv` module refuses values over 128 KiB unless its limit is raised for the whole process, which a library must
not do. The rows equal those of `csv.reader(strict=True)`, which a test checks.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from kerasbert.data.read_report import ReadReport
from kerasbert.data.tables.table_format import DELIMITERS, TableFormat
from kerasbert.data.text_files import text_lines
from kerasbert.errors import BadInputError

_SAMPLE_LINES = 200
# In some countries, spreadsheet programs write such a first line, e.g. "sep=;".
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)

NumberedRow = tuple[int, list[str]]


class QuoteError(ValueError):
    """Quotes that do not follow the rules.

    Attributes:
        line: number of the line on which the row begins.
        is_open: whether a quote is never closed.
    """

    def __init__(self, line: int, reason: str, is_open: bool = False) -> None:
        super().__init__(reason)
        self.line = line
        self.is_open = is_open


def split_rows(lines: Iterable[str], delimiter: str, is_quoted: bool = True) -> Iterator[NumberedRow]:
    """Yields the rows that are not blank, each with the number of its first line.

    Args:
        lines: the lines, without line ends. A value in quotes may contain line breaks, which become `\\n`.
        delimiter: the character between values.
        is_quoted: whether a value may be in double quotes, with quotes inside it doubled.

    Raises:
        QuoteError: text follows a closing quote, or a quote is never closed.

    Example:
        >>> list(split_rows(['a,"b, c"', "", "d,e"], ","))
        [(1, ['a', 'b, c']), (3, ['d', 'e'])]
    """
    row: list[str] = []
    open_value: list[str] | None = None  # the pieces of a quoted value that is not closed yet
    first_line = 1
    for number, line in enumerate(lines, start=1):
        if open_value is None:
            if not line:
                continue
            first_line, row = number, []
            if not is_quoted or '"' not in line:
                yield number, line.split(delimiter)
                continue
            position = 0
        else:
            position = _end_of_quotes(line, 0, open_value)
            if position < 0:
                open_value.append("\n")
                continue
            position = _close(row, open_value, line, position, delimiter, first_line)
            open_value = None
        while position <= len(line):
            if not line.startswith('"', position):
                end = line.find(delimiter, position)
                end = len(line) if end < 0 else end
                row.append(line[position:end])
                position = end + 1
                continue
            pieces: list[str] = []
            closing = _end_of_quotes(line, position + 1, pieces)
            if closing < 0:
                open_value = [*pieces, "\n"]
                break
            position = _close(row, pieces, line, closing, delimiter, first_line)
        if open_value is None:
            yield first_line, row
    if open_value is not None:
        raise QuoteError(first_line, "a quote is never closed", is_open=True)


def _end_of_quotes(line: str, start: int, pieces: list[str]) -> int:
    """Adds the text up to the closing quote to `pieces`; returns the position after the quote, or -1 without one."""
    while (quote := line.find('"', start)) >= 0:
        pieces.append(line[start:quote])
        if not line.startswith('"', quote + 1):
            return quote + 1
        pieces.append('"')
        start = quote + 2
    pieces.append(line[start:])
    return -1


def _close(row: list[str], pieces: list[str], line: str, end: int, delimiter: str, first_line: int) -> int:
    """Adds the quoted value to the row, and returns the position after the delimiter."""
    if end < len(line) and line[end] != delimiter:
        raise QuoteError(first_line, f"{line[end]!r} follows a closing quote")
    row.append("".join(pieces))
    return end + 1


def delimited_rows(
    path: Path, ending_delimiter: str, wanted: Sequence[str], table_format: TableFormat, report: ReadReport
) -> Iterator[NumberedRow]:
    """Yields the rows of one file, including its header, after detecting its format.

    Args:
        path: the file.
        ending_delimiter: the delimiter that the file's extension implies.
        wanted: the requested columns, which help to detect the delimiter. Empty without a header.
        table_format: the parts of the format that are known.
        report: receives counts, and a note if the delimiter is not the one that the extension implies.

    Raises:
        BadInputError: quotes are not well-formed.
    """
    sample = _first_lines(path, table_format.encoding)
    separator = _SEPARATOR_LINE.fullmatch(sample[0].strip()) if sample else None
    skipped = int(separator is not None)
    delimiter = table_format.delimiter or (separator[1] if separator else None)
    if delimiter is None:
        delimiter = find_delimiter(sample, ending_delimiter, wanted)
        if delimiter != ending_delimiter:
            name = next(name for name, character in DELIMITERS.items() if character == delimiter)
            report.note(f"'{path}' is read with `delimiter={name!r}`")

    def rows(is_quoted: bool, counted: ReadReport) -> Iterator[NumberedRow]:
        lines = text_lines(path, counted, encoding=table_format.encoding)
        for _ in range(skipped):
            next(lines, None)
        try:
            for number, row in split_rows(lines, delimiter, is_quoted):
                yield number + skipped, row
        except QuoteError as error:
            raise BadInputError(
                f"Quotes must be well-formed. Received: '{path}', in the row that begins on line "
                f"{error.line + skipped} ({error}). Put texts that contain quotes in double quotes, and double the "
                "quotes inside."
            ) from error

    is_quoted = delimiter != "\t" or _is_quoted(lambda quoted: rows(quoted, ReadReport()))
    yield from rows(is_quoted, report)


def _first_lines(path: Path, encoding: str | None) -> list[str]:
    lines = text_lines(path, encoding=encoding, max_line_bytes=1 << 20)
    try:
        return [line for line, _ in zip(lines, range(_SAMPLE_LINES), strict=False)]
    finally:
        lines.close()  # type: ignore[attr-defined]


def find_delimiter(sample: Sequence[str], usual: str, wanted: Sequence[str]) -> str:
    """Returns the delimiter of a table.

    Args:
        sample: its first lines.
        usual: the delimiter that the file's extension implies. It is kept unless another one fits better.
        wanted: column names, all of which must be in the first line if it is split at the delimiter. Empty for a file
            without a header, where the delimiter must split all lines into the same number of values.

    Example:
        >>> find_delimiter(["id;text, or more;label", "1;a, b, c;x"], ",", ["text, or more", "label"])
        ';'
    """
    candidates = [usual, *(delimiter for delimiter in DELIMITERS.values() if delimiter not in (usual, " "))]
    header = next((line for line in sample if line), "")
    headers = {delimiter: split_values(header, delimiter) for delimiter in candidates}
    for delimiter in candidates:
        if wanted and set(wanted) <= set(headers[delimiter]):
            return delimiter
    # The requested columns are missing, or there is no header: use what splits all lines into the same, largest number
    # of values.
    widths = {delimiter: _width(sample, delimiter) for delimiter in candidates}
    best = max(candidates, key=lambda delimiter: widths[delimiter])
    return best if widths[usual] <= 1 < widths[best] else usual


def split_values(line: str, delimiter: str) -> list[str]:
    """Returns the values of one line. Quotes that are not well-formed are part of the text."""
    try:
        return [value for _, row in split_rows([line], delimiter) for value in row]
    except QuoteError:
        return line.split(delimiter)


def _width(sample: Sequence[str], delimiter: str) -> int:
    """Returns the number of values in each row of the sample, or 0 if rows differ."""
    widths: Counter[int] = Counter()
    try:
        for _, row in split_rows(sample, delimiter):
            widths[len(row)] += 1
    except QuoteError as error:
        if not error.is_open:
            return 0
        # The sample may end inside quotes.
    return next(iter(widths)) if len(widths) == 1 else 0


def _is_quoted(rows: Callable[[bool], Iterable[NumberedRow]]) -> bool:
    """Whether all rows, read with quotes, are well-formed and of the same length. GLUE's TSV files have no quoting."""
    lengths: set[int] = set()
    joins_lines = False
    try:
        for _, row in rows(True):
            lengths.add(len(row))
            joins_lines = joins_lines or any("\n" in value for value in row)
    except BadInputError:
        return False
    # In a file with one column, every line has as many values as a row, so this shows nothing.
    if len(lengths) != 1 or not joins_lines or lengths == {1}:
        return len(lengths) == 1
    # An opening quote in one text and a closing quote in a later text would merge the rows between them. Genuine line
    # breaks inside quotes leave lines with a wrong number of columns.
    return any(len(row) not in lengths for _, row in rows(False))
