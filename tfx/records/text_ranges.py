"""Divides text files into ranges of bytes that workers read independently, with each document in exactly one range.

The documents of all ranges of a file, in order, are those that `kerasbert.data.read_documents` reads from the whole
file. Gzipped files and tables cannot be read from the middle, so each of them is one range. Files are on any file
system that TensorFlow reads, e.g. `gs://`. For the files of an address, see input_files.py.
"""

import codecs
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import tensorflow as tf

from kerasbert.data import ReadReport, TableFormat
from kerasbert.data.pretraining.documents import MAX_DOCUMENT_CHARACTERS, MAX_LINE_BYTES
from kerasbert.data.tables.table_format import PLAIN
from kerasbert.data.tables.table_rows import is_table, table_rows
from kerasbert.data.text_files import text_lines
from kerasbert.errors import BadInputError
from kerasbert_tfx.records.input_files import find_files
from kerasbert_tfx.records.remote_folders import is_remote

# The first bytes of gzipped files, and the byte-order marks of UTF-16 and UTF-32.
_READ_WHOLE = (b"\x1f\x8b", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_SCAN_BYTES = 1 << 20
_MAX_CHARACTER_BYTES = 4
_WHITE_SPACE = b" \t\f\v\r\n"
# A line end, a line of white space, a line end. A carriage return before a line feed does not count by itself.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))[ \t\f\v]*(?:\r\n|\n|\r(?!\n))")


class TextRange(NamedTuple):
    """The documents that begin in bytes `start` to `stop` of a file. `stop` is None for a whole file."""

    path: str
    start: int
    stop: int | None


def find_ranges(
    texts: str, range_bytes: int, text_column: str | None = None, table_format: TableFormat = PLAIN
) -> list[TextRange]:
    """Returns the ranges of all files of `texts`, in a stable order.

    Args:
        texts: A file, a folder or a pattern.
        range_bytes: The size of a range.
        text_column: The column of the texts if the files are tables, or None if they are plain text.
        table_format: The format of the files. A file that is not in UTF-8 is one range.

    Raises:
        BadInputError: If there is no file, if all files are empty, if a file is a table and no `text_column` is given,
            or if `text_column` is given and a file is not a table.
    """
    ranges: list[TextRange] = []
    for path in find_files(texts):
        _check_kind(path, text_column)
        size = tf.io.gfile.stat(path).length
        if size == 0:
            continue
        if text_column is not None or table_format.encoding is not None or _is_read_whole(path):
            ranges.append(TextRange(path, 0, None))
        else:
            ranges += [TextRange(path, start, min(start + range_bytes, size)) for start in range(0, size, range_bytes)]
    if not ranges:
        raise BadInputError(
            f"Texts must contain at least one line that is not blank. Received: '{texts}', whose files are all empty. "
            "Write one sentence per line, with a blank line between documents."
        )
    return ranges


def read_range(
    text_range: TextRange,
    text_column: str | None = None,
    report: ReadReport | None = None,
    table_format: TableFormat = PLAIN,
) -> Iterator[list[str]]:
    """Yields the documents that begin in a range, each a list of sentences.

    Args:
        text_range: A range from `find_ranges`.
        text_column: The column of the texts if the file is a table. Each row is a document, and each line of its text
            a sentence.
        report: Counts and notes are added to it.
        table_format: The format of the file.

    Raises:
        BadInputError: If the file is binary or in an unknown encoding, or if a document is too long.
    """
    report = ReadReport() if report is None else report
    if text_column is not None:
        lines = _column_lines(text_range.path, text_column, report, table_format)
    else:
        lines = _text_lines(text_range, report, table_format.encoding)
    document: list[str] = []
    size = 0
    for line in lines:
        if sentence := line.strip():
            document.append(sentence)
            size += len(sentence)
            _check_length(size, text_range.path)
        elif document:
            report.documents += 1
            yield document
            document, size = [], 0


def _text_lines(text_range: TextRange, report: ReadReport, encoding: str | None) -> Iterator[str]:
    """Yields the lines of the range's documents, and a blank one at the end."""
    path, start, stop = text_range
    if stop is not None:
        size = tf.io.gfile.stat(path).length
        start, stop = _document_start(path, start, size), _document_start(path, stop, size)
    if stop is None or start < stop:
        for line in text_lines(_part(path, start, stop), report, None, MAX_LINE_BYTES, encoding):
            report.lines += bool(line.strip())
            yield line
    yield ""


def _column_lines(path: str, column: str, report: ReadReport, table_format: TableFormat) -> Iterator[str]:
    """Yields the lines of each row's text, and a blank one after it."""
    for row in table_rows(_part(path, 0, None), {"text_column": column}, report, table_format):
        (text,) = row.values
        if not isinstance(text, str):
            raise BadInputError(
                f"Column {column!r} must contain texts. Received: {text!r} in {row.place}. "
                "Set `text_column` to another column."
            )
        yield from (line for line in text.splitlines() if line.strip())
        yield ""


def _document_start(path: str, offset: int, size: int) -> int:
    """Returns where the first document at or after `offset` begins, which is after a blank line."""
    if offset == 0 or offset >= size:
        return min(offset, size)
    # A blank line that ends at `offset` begins before it.
    position, window = max(0, offset - 2), b""
    with _File(path, position, None).open("rb") as file:
        while block := file.read(_SCAN_BYTES):
            window += block
            is_last = position + len(window) >= size
            for match in _BLANK_LINE.finditer(window):
                # A match at the window's end may continue in the next block.
                if position + match.end() >= offset and (is_last or match.end() < len(window)):
                    return position + match.end()
            done = len(window.rstrip(_WHITE_SPACE))
            position, window = position + done, window[done:]
            _check_length((position - offset) // _MAX_CHARACTER_BYTES, path)
    return size


def _check_length(characters: int, path: str) -> None:
    if characters > MAX_DOCUMENT_CHARACTERS:
        raise BadInputError(
            f"A document must have at most {MAX_DOCUMENT_CHARACTERS} characters. Received: '{path}', which has no "
            "blank line for longer than that. Put a blank line between documents."
        )


def _check_kind(path: str, text_column: str | None) -> None:
    if is_table(Path(path)) and text_column is None:
        raise BadInputError(
            f"A table needs the name of its column of texts. Received: '{path}' without `text_column`. "
            "Set `text_column`, or use plain text."
        )
    if not is_table(Path(path)) and text_column is not None:
        raise BadInputError(
            f"`text_column` is for tables (.csv, .tsv, .jsonl). Received: text_column={text_column!r} with '{path}'. "
            "Remove `text_column`, or use tables."
        )


def _is_read_whole(path: str) -> bool:
    """Returns whether a file cannot be read from the middle: it is gzipped, or in UTF-16 or UTF-32."""
    with _File(path, 0, None).open("rb") as file:
        return file.read(4).startswith(_READ_WHOLE)


def _part(path: str, start: int, stop: int | None) -> Any:
    """Returns a part of a file in the place of the `Path` that the readers of `kerasbert.data` take."""
    return _File(path, start, stop)


class _File:
    """The part of `Path` that the readers of `kerasbert.data` use, for a part of a file on any file system."""

    def __init__(self, path: str, start: int, stop: int | None) -> None:
        self._path = path
        self._start = start
        self._stop = stop
        self.name = os.path.basename(path)

    def __str__(self) -> str:
        return self._path

    def exists(self) -> bool:
        """Returns whether the file exists."""
        return tf.io.gfile.exists(self._path)

    def open(self, mode: str) -> IO[bytes]:
        """Returns a buffered binary file of the part."""
        # Closed with the buffer. Python's own file raises OSError if it cannot be opened, as the readers expect.
        file = tf.io.gfile.GFile(self._path, mode) if is_remote(self._path) else open(self._path, mode)  # noqa: SIM115
        return io.BufferedReader(_Part(file, self._start, self._stop), 1 << 20)


class _Part(io.RawIOBase):
    """Reads a file from one position up to another."""

    def __init__(self, file: IO[bytes], start: int, stop: int | None) -> None:
        self._file = file
        self._start = self._position = start
        self._stop = stop
        file.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer) if self._stop is None else min(len(buffer), self._stop - self._position)
        data = self._file.read(wanted) if wanted > 0 else b""
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._position = self._start + offset
            self._file.seek(self._position)
        elif whence != io.SEEK_CUR or offset:
            raise io.UnsupportedOperation("seek from the end")
        return self._position - self._start

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
