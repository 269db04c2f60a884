"""Reads files with one word per line and its tag in another column, with a blank line between texts.

For the choice of the columns, see column_layout.py.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kerasbert.data.read_report import ReadReport
from kerasbert.data.tables.column_layout import ColumnLayout, find_layout, is_header, is_numbered
from kerasbert.data.tables.delimited_rows import find_delimiter, split_values
from kerasbert.data.tables.table_format import TableFormat, column_number
from kerasbert.data.tables.table_rows import usual_delimiter
from kerasbert.data.text_files import text_lines
from kerasbert.errors import BadInputError

# A no-break space, as in "10\u00a0000", is part of a word.
CELL = re.compile(r"[^ \t\r\n]+")
_BLANKS = re.compile(r"[ \t]+")
_DOCUMENT_START = "-DOCSTART-"
_LONG_TEXT = 1_000  # words; hardly a sentence

TaggedRow = tuple[tuple[str, ...], tuple[str, ...], str]


class _Line(NamedTuple):
    """A line that may contain a word: its number in the file and its cells."""

    number: int
    cells: tuple[str, ...]


def column_rows(path: Path, report: ReadReport | None, table_format: TableFormat) -> Iterator[TaggedRow]:
    """Yields the words, the tags and the position of each text.

    Args:
        path: the file.
        report: receives counts, and a note on the layout if it is not "word first, tag last".
        table_format: the parts of the format that are known.

    Raises:
        BadInputError: a line does not have the column of the words or of the tags, or a chosen column is missing.
    """
    report = ReadReport() if report is None else report
    lines = list(enumerate(text_lines(path, report, encoding=table_format.encoding), start=1))
    report.lines += sum(bool(line.strip()) for _, line in lines)
    delimiter = _delimiter(path, [line for _, line in lines], table_format)
    texts = _texts(lines, delimiter)
    header = _taken_header(texts, table_format)
    texts = _without_comments(texts)
    if not texts:
        return
    layout = _layout(texts, header, table_format)
    _check_columns(texts, layout, path)
    if layout.name is not None:
        report.note(
            f"'{path}' is read as {layout.name}: words in column {layout.word + 1} (`word_column`), tags in column "
            f"{layout.tag + 1} (`tag_column`)"
        )
    if len(texts) == 1 and len(texts[0]) > _LONG_TEXT:
        report.note(f"'{path}' has no blank line between texts, so that its {len(texts[0])} words are one text")
    for text in texts:
        chosen = [line.cells for line in text if layout.is_word(line.cells)]
        if chosen:
            # A blank inside a word would end it, because texts are words joined by blanks.
            words = tuple(_BLANKS.sub("\u00a0", cells[layout.word]) for cells in chosen)
            yield words, tuple(cells[layout.tag] for cells in chosen), f"line {text[0].number} of '{path}'"


def _delimiter(path: Path, lines: Sequence[str], table_format: TableFormat) -> str | None:
    """Returns the character between the cells, or None for any blanks and tabs."""
    if table_format.delimiter is not None:
        return None if table_format.delimiter == " " else table_format.delimiter
    words = [line for line in lines if line.strip() and not line.startswith(("#", _DOCUMENT_START))]
    if words and all("\t" in line.strip(" \t") for line in words):
        return None if any(not cell.strip() for line in words for cell in line.strip(" \t").split("\t")) else "\t"
    usual = usual_delimiter(path)
    if usual not in (None, "\t") and words:
        found = find_delimiter(words[:200], str(usual), [])
        return found if all(len(split_values(line, found)) > 1 for line in words[:200]) else None
    return None


def _texts(lines: Sequence[tuple[int, str]], delimiter: str | None) -> list[list[_Line]]:
    """Yields the lines of each text, including comments and the header."""
    texts: list[list[_Line]] = [[]]
    for number, line in lines:
        cells = _cells(line, delimiter) if line.strip() else ()
        if cells and not cells[0].startswith(_DOCUMENT_START):
            texts[-1].append(_Line(number, cells))
        elif texts[-1]:
            texts.append([])
    return [text for text in texts if text]


def _cells(line: str, delimiter: str | None) -> tuple[str, ...]:
    if delimiter is None:
        return tuple(CELL.findall(line))
    if delimiter == "\t":
        return tuple(cell.strip(" ") for cell in line.strip(" \t").split("\t"))
    return tuple(cell.strip(" ") for cell in split_values(line, delimiter))


def _taken_header(texts: list[list[_Line]], table_format: TableFormat) -> tuple[str, ...] | None:
    """Removes the header and returns its names, if the first line that is not a comment names the columns."""
    by_name = isinstance(table_format.word_column, str) or isinstance(table_format.tag_column, str)
    for text in texts:
        for index, line in enumerate(text):
            if line.cells[0].startswith("#"):
                continue
            if not by_name and not is_header(line.cells):
                return None
            del text[index]
            return line.cells
    return None


def _without_comments(texts: list[list[_Line]]) -> list[list[_Line]]:
    """Returns the texts without comments: lines that begin with "#" and are not words.

    In files that number the words, every line that begins with "#" is a comment. In others, "#" may be a word: such a
    line is a comment only at the beginning of a text, and only if its columns or its tag differ from the other lines.
    """
    plain = [[line.cells for line in text if not line.cells[0].startswith("#")] for text in texts]
    plain = [text for text in plain if text]
    if not plain:
        return [text for text in texts if text]
    numbered = is_numbered(plain)
    widths = {len(cells) for text in plain for cells in text}
    last_cells = {cells[-1] for text in plain for cells in text}

    def is_comment(line: _Line) -> bool:
        if numbered or len(line.cells) not in widths:
            return True
        return line.cells[0] == "#" and line.cells[-1] not in last_cells

    found = []
    for text in texts:
        begin = 0
        while begin < len(text) and text[begin].cells[0].startswith("#") and is_comment(text[begin]):
            begin += 1
        rest = text[begin:]
        if numbered:
            rest = [line for line in rest if not line.cells[0].startswith("#")]
        elif rest and rest[-1].cells[0] == "#end":  # CoNLL-2012's "#end document"
            rest = rest[:-1]
        if rest:
            found.append(rest)
    return found


def _check_columns(texts: list[list[_Line]], layout: ColumnLayout, path: Path) -> None:
    """Refuses a line without one of the columns."""
    needed = max(layout.word, layout.tag) + 1
    for line in (line for text in texts for line in text):
        width = len(line.cells)
        received = f"Received: {' '.join(line.cells)[:80]!r} in line {line.number} of '{path}'"
        if width < 2:
            raise BadInputError(
                f"Each line must have a word and its tag. {received}. Add the tag, or a blank line between texts; if "
                "something else than blanks and tabs is between them, set `delimiter`."
            )
        if width < needed:
            raise BadInputError(
                f"Each line must have the columns of the words and of the tags ({layout.word + 1} and "
                f"{layout.tag + 1}). {received}, with {width} columns. Correct the line, or set `word_column` and "
                "`tag_column`."
            )


def _layout(texts: list[list[_Line]], header: tuple[str, ...] | None, table_format: TableFormat) -> ColumnLayout:
    """Returns the layout: the chosen columns, and otherwise those that are detected."""
    found = find_layout([[line.cells for line in text] for text in texts])
    word, tag = (
        _chosen(setting, column, header)
        for setting, column in (("word_column", table_format.word_column), ("tag_column", table_format.tag_column))
    )
    if word is None and tag is None:
        return found
    return ColumnLayout(
        found.word if word is None else word, found.tag if tag is None else tag, is_numbered=found.is_numbered
    )


def _chosen(setting: str, column: str | int | None, header: tuple[str, ...] | None) -> int | None:
    """Returns the position of a column that is chosen by number or by name."""
    if not isinstance(column, str):
        return None if column is None else column_number(setting, column)
    if header is None or column not in header:
        raise BadInputError(
            f"`{setting}` must be a number, or a name in the first line. Received: {setting}={column!r} with the first "
            f"line {' '.join(header or ())!r}. For example `{setting}=2`."
        )
    return header.index(column)
