"""Reads documents: one sentence per line, a blank line between documents (the format of Google's pretraining script).

Also reads the text column of tables, where each row is a document. Documents are streamed, so only one is in memory.
This module neither tokenizes nor splits text into sentences.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kerasbert.data.read_report import Progress, ReadReport
from kerasbert.data.tables.table_format import PLAIN, TableFormat
from kerasbert.data.tables.table_rows import is_table, table_rows
from kerasbert.data.text_files import PathLike, find_text_files, text_lines
from kerasbert.errors import BadInputError

MAX_LINE_BYTES = 64 * 1024
MAX_DOCUMENT_CHARACTERS = 64_000_000


def read_lines(
    paths: PathLike | Iterable[PathLike],
    report: ReadReport | None = None,
    progress: Progress | None = None,
    text_column: str | None = None,
    table_format: TableFormat = PLAIN,
) -> Iterator[str]:
    """Yields the lines that are not blank, without white space at either end, e.g. for learning a vocabulary.

    Args:
        paths: files, folders or patterns; plain or gzipped.
        report: updated while reading.
        progress: called with the report about once per MiB read.
        text_column: the text column, if the files are tables. None means plain text.
        table_format: delimiter, encoding and header of tables. The encoding also applies to plain text.

    Yields:
        The lines.

    Raises:
        BadInputError: there is nothing to read, a file is binary or in another encoding, or it is a table and no
            `text_column` is given.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "corpus.txt")
        >>> _ = path.write_text("One sentence.\\n\\nAnother one.\\n")
        >>> list(read_lines(path))
        ['One sentence.', 'Another one.']
    """
    report = ReadReport() if report is None else report
    files = _files_with_text(paths, report, text_column, table_format)
    return (sentence for _, sentence in _sentences(files, report, progress, text_column, table_format) if sentence)


def read_documents(
    paths: PathLike | Iterable[PathLike],
    report: ReadReport | None = None,
    progress: Progress | None = None,
    max_document_characters: int = MAX_DOCUMENT_CHARACTERS,
    text_column: str | None = None,
    table_format: TableFormat = PLAIN,
) -> Iterator[list[str]]:
    r"""Yields documents, each a list of sentences. A blank line or the end of a file ends a document.

    Lines over 64 KiB are split at white space and counted in the report. Invalid UTF-8 is replaced by U+FFFD and
    counted.

    Args:
        paths: files, folders or patterns; plain or gzipped.
        report: updated while reading.
        progress: called with the report about once per MiB read.
        max_document_characters: maximum length of a document, because a whole document is kept in memory.
        text_column: the text column, if the files are tables: each row is a document, and each line of its text a
            sentence. None means plain text.
        table_format: delimiter, encoding and header of tables. The encoding also applies to plain text.

    Yields:
        The sentences of each document.

    Raises:
        BadInputError: a path does not exist; a file that is named is empty; a file is binary or in another encoding; a
            file is a table and no `text_column` is given; all lines are blank; a document is longer than
            `max_document_characters`.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "corpus.txt")
        >>> _ = path.write_text("One sentence.\nAnother one.\n\nA second document.\n")
        >>> list(read_documents(path))
        [['One sentence.', 'Another one.'], ['A second document.']]
    """
    report = ReadReport() if report is None else report
    files = _files_with_text(paths, report, text_column, table_format)
    sentences = _sentences(files, report, progress, text_column, table_format)
    return _documents(sentences, report, max_document_characters)


def check_text_kind(path: Path, text_column: str | None, table_format: TableFormat = PLAIN) -> None:
    """Refuses a table without a text column, and plain text with one.

    Raises:
        BadInputError: the file has the extension of the other kind. The message names the setting.
    """
    if text_column is None and is_table(path):
        raise BadInputError(
            f"The input must be plain text, or a table with the name of its text column. Received: '{path}', a table, "
            "without `text_column`. For example `text_column='text'`."
        )
    if text_column is not None and not is_table(path) and table_format.delimiter is None:
        raise BadInputError(
            f"`text_column` is for tables (.csv, .tsv, .jsonl). Received: text_column={text_column!r} with '{path}'. "
            "Remove it, or set `delimiter` if the file is a table."
        )


def column_lines(path: Path, text_column: str, report: ReadReport, table_format: TableFormat = PLAIN) -> Iterator[str]:
    """Yields the lines of each row's text that are not blank, and a blank line after each row.

    Raises:
        BadInputError: as for `table_rows`, or a value is not a text.
    """
    for row in table_rows(path, {"text_column": text_column}, report, table_format):
        (text,) = row.values
        if not isinstance(text, str):
            raise BadInputError(
                f"`text_column` must be a column of texts. Received: text_column={text_column!r}, with {text!r} in "
                f"{row.place}. Set it to another column."
            )
        yield from (line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip())
        yield ""


def _files_with_text(
    paths: PathLike | Iterable[PathLike], report: ReadReport, text_column: str | None, table_format: TableFormat
) -> list[Path]:
    """Returns the files to read. An empty file is an error if it is named, but only counted in a folder or pattern."""
    named = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    files = find_text_files(named)
    for path in files:
        check_text_kind(path, text_column, table_format)
    empty = [path for path in files if path.is_file() and path.stat().st_size == 0]
    for path in empty:
        if path in named:
            raise BadInputError(
                f"A text file must contain text. Received: '{path}', which is empty. Name another file."
            )
    report.empty_files += len(empty)
    return [path for path in files if path not in set(empty)] or files[:1]


def _sentences(
    files: list[Path],
    report: ReadReport,
    progress: Progress | None,
    text_column: str | None,
    table_format: TableFormat,
) -> Iterator[tuple[Path, str]]:
    """Yields every line without white space at either end, and "" for a blank line and for the end of a file."""
    lines_before = report.lines
    for path in files:
        if text_column is not None:
            for line in column_lines(path, text_column, report, table_format):
                yield path, line.strip()
            if progress is not None:
                progress(report)
            continue
        for line in text_lines(path, report, progress, MAX_LINE_BYTES, table_format.encoding):
            sentence = line.strip()
            report.lines += bool(sentence)
            yield path, sentence
        yield path, ""
    if report.lines == lines_before:
        names = ", ".join(f"'{path}'" for path in files[:3]) + (", ..." if len(files) > 3 else "")
        raise BadInputError(
            f"A text must contain at least one line that is not blank. Received: {names}, without any. "
            "Write one sentence per line, with a blank line between documents."
        )


def _documents(
    sentences: Iterable[tuple[Path, str]], report: ReadReport, max_document_characters: int
) -> Iterator[list[str]]:
    document: list[str] = []
    size = 0
    for path, sentence in sentences:
        if sentence:
            document.append(sentence)
            size += len(sentence)
            if size > max_document_characters:
                raise BadInputError(
                    f"A document must not be longer than {max_document_characters} characters. Received: '{path}', "
                    f"which has no blank line for that long (up to line {report.lines} of those read). "
                    "Put a blank line between documents."
                )
        elif document:
            report.documents += 1
            yield document
            document, size = [], 0
