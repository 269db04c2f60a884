"""Splits lines into rows of values by the rules of CSV (RFC 4180), and finds out a file's delimiter.

Python's own `csv` module refuses values over 128 KiB unless its limit is raised for the whole process, which a library
must not do. The rows here are those of `csv.reader(strict=True)`; a test compares the two.
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
# The first line of files that spreadsheet programs of some countries write, such as "sep=;".
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)

NumberedRow = tuple[int, list[str]]


class QuoteError(ValueError):
    """Quotes that do not follow the rules.

    Attributes:
        line: number of the line on which the row begins.
        is_open: whether the last quote is never closed.
    """

    def __init__(self, line: int, reason: str, is_open: bool = False) -> None:
        super().__init__(reason)
        self.line = line
        self.is_open = is_open


def split_rows(lines: Iterable[str], delimiter: str, is_quoted: bool = True) -> Iterator[NumberedRow]:
    """Yields the rows that are not blank, each with the number of the line on which it begins.

    Args:
        lines: the lines, without their ends. A value in quotes may contain line breaks, which become `\\n`.
        delimiter: the character between values.
        is_quoted: whether a value may be in double quotes, with those inside doubled.

    Raises:
        QuoteError: text follows a closing quote, or the last quote is never closed.

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
    """Adds the text up to the closing quote to `pieces`; returns the place after that quote, or -1 without one."""
    while (quote := line.find('"', start)) >= 0:
        pieces.append(line[start:quote])
        if not line.startswith('"', quote + 1):
            return quote + 1
        pieces.append('"')
        start = quote + 2
    pieces.append(line[start:])
    return -1


def _close(row: list[str], pieces: list[str], line: str, end: int, delimiter: str, first_line: int) -> int:
    """Adds the quoted value to the row; returns the place after the delimiter."""
    if end < len(line) and line[end] != delimiter:
        raise QuoteError(first_line, f"{line[end]!r} follows a closing quote")
    row.append("".join(pieces))
    return end + 1


def delimited_rows(
    path: Path, ending_delimiter: str, wanted: Sequence[str], table_format: TableFormat, report: ReadReport
) -> Iterator[NumberedRow]:
    """Yields the rows of one file, its header included, after finding out how it is written.

    Args:
        path: the file.
        ending_delimiter: the delimiter that the file's ending stands for.
        wanted: the columns that will be asked for, which tell the delimiter. Empty without a header.
        table_format: what is known already.
        report: counts and a note on another delimiter than the ending's are added to it.

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
    """The delimiter of a table.

    Args:
        sample: its first lines.
        usual: the delimiter that the file's ending stands for. It is kept unless another one fits better.
        wanted: column names. The delimiter must show them all in the first line. Empty for a file without header,
            where the delimiter must cut all lines into the same number of values.

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
    # The columns asked for are not there, or there is no header: what cuts all lines alike, into the most values.
    widths = {delimiter: _width(sample, delimiter) for delimiter in candidates}
    best = max(candidates, key=lambda delimiter: widths[delimiter])
    return best if widths[usual] <= 1 < widths[best] else usual


def split_values(line: str, delimiter: str) -> list[str]:
    """The values of one line; quotes that are not well-formed are part of the text."""
    try:
        return [value for _, row in split_rows([line], delimiter) for value in row]
    except QuoteError:
        return line.split(delimiter)


def _width(sample: Sequence[str], delimiter: str) -> int:
    """The number of values in each row of the sample, or 0 where rows differ."""
    widths: Counter[int] = Counter()
    try:
        for _, row in split_rows(sample, delimiter):
            widths[len(row)] += 1
    except QuoteError as error:
        if not error.is_open:
            return 0
        # The sample may end within quotes.
    return next(iter(widths)) if len(widths) == 1 else 0


def _is_quoted(rows: Callable[[bool], Iterable[NumberedRow]]) -> bool:
    """Whether all rows are well-formed and of one length with quotes. GLUE's TSV files are meant without quotes."""
    lengths: set[int] = set()
    joins_lines = False
    try:
        for _, row in rows(True):
            lengths.add(len(row))
            joins_lines = joins_lines or any("\n" in value for value in row)
    except BadInputError:
        return False
    # In a file of one column every line is as long as a row, which tells nothing.
    if len(lengths) != 1 or not joins_lines or lengths == {1}:
        return len(lengths) == 1
    # A quote that opens one text and one that closes a later text would swallow the rows between. Line breaks that are
    # meant leave lines without the right number of columns.
    return any(len(row) not in lengths for _, row in rows(False))
