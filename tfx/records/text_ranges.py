"""Cuts text files into ranges of bytes that workers read independently, each document in exactly one range.

The documents of all ranges of a file, in order, are those that `kerasbert.data.read_documents` reads from the whole
file. Gzipped files and tables cannot be entered in the middle: they are one range each. Files lie on any file system
that TensorFlow reads, such as `gs://`.
"""

import glob
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import tensorflow as tf

from kerasbert.data import ReadReport, find_text_files
from kerasbert.data.pretraining.documents import MAX_DOCUMENT_CHARACTERS, MAX_LINE_BYTES
from kerasbert.data.tables.table_rows import is_table, table_rows
from kerasbert.data.text_files import text_lines
from kerasbert.errors import BadInputError

# What TFX looks for in a folder of which all is meant. A user's own `*`, which does not look into sub-folders, gets
# another spelling.
_WHOLE_FOLDER = "*"
_ONE_LEVEL = "?*"
_GZIP_MAGIC = b"\x1f\x8b"
_SCAN_BYTES = 1 << 20
_MAX_CHARACTER_BYTES = 4
_WHITE_SPACE = b" \t\f\v\r\n"
# A line end, a line of white space, a line end. A carriage return before a line feed is no line end of its own.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))[ \t\f\v]*(?:\r\n|\n|\r(?!\n))")


class TextRange(NamedTuple):
    """Bytes `start` to `stop` of a file: the documents that begin in them. `stop` is None for a whole file."""

    path: str
    start: int
    stop: int | None


def find_ranges(texts: str, range_bytes: int, text_column: str | None = None) -> list[TextRange]:
    """The ranges of all files that `texts` stands for, in a stable order.

    Args:
        texts: a file, a folder or a pattern.
        range_bytes: the size of a range.
        text_column: None where the files are plain text.

    Raises:
        BadInputError: there is no file, all are empty, or one is a table where text is wanted or the reverse.
    """
    ranges: list[TextRange] = []
    for path in find_files(texts):
        _check_kind(path, text_column)
        size = tf.io.gfile.stat(path).length
        if size == 0:
            continue
        if text_column is not None or _is_gzipped(path):
            ranges.append(TextRange(path, 0, None))
        else:
            ranges += [TextRange(path, start, min(start + range_bytes, size)) for start in range(0, size, range_bytes)]
    if not ranges:
        raise BadInputError(
            f"Texts must hold at least one line that is not blank. Received: '{texts}', whose files are all empty. "
            "Write one sentence a line, with a blank line between documents."
        )
    return ranges


def find_files(texts: str) -> list[str]:
    """The files that a file, a folder (all below it but hidden ones) or a pattern stands for.

    Raises:
        BadInputError: there is none.
    """
    if "://" not in texts:
        return [str(path) for path in find_text_files(texts)]
    if tf.io.gfile.isdir(texts):
        below = [os.path.join(folder, name) for folder, _, names in tf.io.gfile.walk(texts) for name in names]
        found = [path for path in below if "/." not in path[len(texts.rstrip("/")) :]]
    else:
        found = [path for path in tf.io.gfile.glob(texts) if not tf.io.gfile.isdir(path)]
    if not found:
        raise BadInputError(f"A folder or pattern of texts must hold a file. Received: '{texts}', which holds none.")
    return sorted(found)


def folder_and_pattern(texts: str) -> tuple[str, str]:
    """The folder to look in and the pattern to look for, as TFX wants it; `matching_files` gives their files.

    What is not on this machine, such as a file in a bucket, is taken for a file where its name has an ending.

    Example:
        >>> folder_and_pattern("gs://bucket/wiki/*/part-*.txt")
        ('gs://bucket/wiki', '*/part-*.txt')
        >>> folder_and_pattern("gs://bucket/wiki")
        ('gs://bucket/wiki', '*')
    """
    is_remote = "://" in texts
    if not is_remote and os.path.exists(texts):
        is_file = os.path.isfile(texts)
    elif glob.has_magic(texts):
        parts = texts.split("/")
        first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
        folder, pattern = "/".join(parts[:first]) or ("/" if first else "."), "/".join(parts[first:])
        return folder, _ONE_LEVEL if pattern == _WHOLE_FOLDER else pattern
    else:
        path = texts.partition("://")[2].partition("/")[2] if is_remote else texts
        is_file = os.path.splitext(path)[1] != ""
    if is_file:
        folder, name = os.path.split(texts)
        return folder or ".", name
    return texts, _WHOLE_FOLDER


def matching_files(folder: str, pattern: str) -> list[str]:
    """The files that a folder and a pattern of `folder_and_pattern` stand for.

    Raises:
        BadInputError: there is none.
    """
    return find_files(folder if pattern == _WHOLE_FOLDER else os.path.join(folder, pattern))


def read_range(
    text_range: TextRange, text_column: str | None = None, report: ReadReport | None = None
) -> Iterator[list[str]]:
    """The documents that begin in a range, each a list of sentences.

    Args:
        text_range: one that `find_ranges` gave.
        text_column: of tables: each row is a document, and each line of its text a sentence.
        report: counts are added to it.

    Raises:
        BadInputError: the file is binary, not UTF-8 by its byte-order mark, or holds too long a document.
    """
    report = ReadReport() if report is None else report
    if text_column is not None:
        lines = _column_lines(text_range.path, text_column, report)
    else:
        lines = _text_lines(text_range, report)
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


def _text_lines(text_range: TextRange, report: ReadReport) -> Iterator[str]:
    """The lines of the range's documents, and a blank one at the end."""
    path, start, stop = text_range
    if stop is not None:
        size = tf.io.gfile.stat(path).length
        start, stop = _document_start(path, start, size), _document_start(path, stop, size)
    if stop is None or start < stop:
        for line in text_lines(_File(path, start, stop), report, max_line_bytes=MAX_LINE_BYTES):
            report.lines += bool(line.strip())
            yield line
    yield ""


def _column_lines(path: str, column: str, report: ReadReport) -> Iterator[str]:
    """The lines of each row's text, and a blank one after it."""
    for row in table_rows(_File(path, 0, None), {"text_column": column}, report):
        (text,) = row.values
        if not isinstance(text, str):
            raise BadInputError(
                f"The column {column!r} must hold texts. Received: {row.place}, with {text!r}. Name another column."
            )
        yield from (line for line in text.splitlines() if line.strip())
        yield ""


def _document_start(path: str, offset: int, size: int) -> int:
    """Where the first document at or after `offset` begins: after the first blank line that ends there or later."""
    if offset == 0 or offset >= size:
        return min(offset, size)
    # A blank line that ends at `offset` begins before it.
    position, window = max(0, offset - 2), b""
    with _File(path, position, None).open("rb") as file:
        while block := file.read(_SCAN_BYTES):
            window += block
            is_last = position + len(window) >= size
            for match in _BLANK_LINE.finditer(window):
                # What stands at the window's end may go on in the next block.
                if position + match.end() >= offset and (is_last or match.end() < len(window)):
                    return position + match.end()
            done = len(window.rstrip(_WHITE_SPACE))
            position, window = position + done, window[done:]
            _check_length((position - offset) // _MAX_CHARACTER_BYTES, path)
    return size


def _check_length(characters: int, path: str) -> None:
    if characters > MAX_DOCUMENT_CHARACTERS:
        raise BadInputError(
            f"A document must not be longer than {MAX_DOCUMENT_CHARACTERS} characters. Received: '{path}', where no "
            "blank line came for that long. Put a blank line between documents."
        )


def _check_kind(path: str, text_column: str | None) -> None:
    if is_table(Path(path)) and text_column is None:
        raise BadInputError(
            f"A table must come with the name of its column of texts. Received: '{path}' without `text_column`. "
            "Set it, or give plain text."
        )
    if not is_table(Path(path)) and text_column is not None:
        raise BadInputError(
            f"`text_column` is a column of tables (.csv, .tsv, .jsonl). Received: text_column={text_column!r} with "
            f"'{path}'. Leave it out, or give tables."
        )


def _is_gzipped(path: str) -> bool:
    with _File(path, 0, None).open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


class _File:
    """What the readers of `kerasbert.data` need of a `Path`, for a part of a file on any file system."""

    def __init__(self, path: str, start: int, stop: int | None) -> None:
        self._path = path
        self._start = start
        self._stop = stop
        self.name = os.path.basename(path)

    def __str__(self) -> str:
        return self._path

    def exists(self) -> bool:
        """Whether the file is there."""
        return tf.io.gfile.exists(self._path)

    def open(self, mode: str) -> IO[bytes]:
        """A buffered binary file of the part."""
        # Closed with the buffer. Python's own file tells of what cannot be opened as the readers expect it: OSError.
        file = tf.io.gfile.GFile(self._path, mode) if "://" in self._path else open(self._path, mode)  # noqa: SIM115
        return io.BufferedReader(_Part(file, self._start, self._stop), 1 << 20)


class _Part(io.RawIOBase):
    """Reads a file from one position up to another, forward only."""

    def __init__(self, file: IO[bytes], start: int, stop: int | None) -> None:
        self._file = file
        self._start = self._position = start
        self._stop = stop
        file.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
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
