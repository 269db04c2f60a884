"""Reads documents: one sentence a line, a blank line between documents (the format of Google's pretraining script).

Streams: memory holds one document. Does not tokenize, and does not split text into sentences.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kerasbert.data.text_files import PathLike, Progress, ReadReport, find_text_files, text_lines
from kerasbert.errors import BadInputError

MAX_LINE_BYTES = 64 * 1024
MAX_DOCUMENT_CHARACTERS = 64_000_000


def read_lines(
    paths: PathLike | Iterable[PathLike], report: ReadReport | None = None, progress: Progress | None = None
) -> Iterator[str]:
    """Gives the lines that are not blank, white space at their ends removed, as learning a vocabulary wants them.

    Args:
        paths: files, folders or patterns; plain or gzipped.
        report: filled while reading.
        progress: called with the report about once per MiB read.

    Raises:
        BadInputError: nothing to read, a binary file, a file that is not UTF-8 by its byte-order mark.
    """
    report = ReadReport() if report is None else report
    files = _files_with_text(paths, report)
    return (sentence for _, sentence in _sentences(files, report, progress) if sentence)


def read_documents(
    paths: PathLike | Iterable[PathLike],
    report: ReadReport | None = None,
    progress: Progress | None = None,
    max_document_characters: int = MAX_DOCUMENT_CHARACTERS,
) -> Iterator[list[str]]:
    r"""Gives documents, each a list of sentences. A blank line or the end of a file ends a document.

    Lines over 64 KiB are no sentences: they are cut at white space, and counted in the report. Invalid UTF-8 is
    replaced by U+FFFD and counted.

    Args:
        paths: files, folders or patterns; plain or gzipped.
        report: filled while reading.
        progress: called with the report about once per MiB read.
        max_document_characters: the longest document allowed, since one document is held in memory.

    Raises:
        BadInputError: a path is missing; a named file is empty; a file is binary or not UTF-8 by its byte-order mark;
            there is no line but blank ones; a document is longer than `max_document_characters`.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "corpus.txt")
        >>> _ = path.write_text("One sentence.\nAnother one.\n\nA second document.\n")
        >>> list(read_documents(path))
        [['One sentence.', 'Another one.'], ['A second document.']]
    """
    report = ReadReport() if report is None else report
    files = _files_with_text(paths, report)
    return _documents(files, report, progress, max_document_characters)


def _files_with_text(paths: PathLike | Iterable[PathLike], report: ReadReport) -> list[Path]:
    """The files to read. An empty one is refused where it is named, and counted where a folder or pattern holds it."""
    named = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    files = find_text_files(named)
    empty = [path for path in files if path.is_file() and path.stat().st_size == 0]
    for path in empty:
        if path in named:
            raise BadInputError(f"A text file must hold text. Received: '{path}', which is empty. Name another file.")
    report.empty_files += len(empty)
    return [path for path in files if path not in set(empty)] or files[:1]


def _sentences(files: list[Path], report: ReadReport, progress: Progress | None) -> Iterator[tuple[Path, str]]:
    """Every line without white space at its ends; "" for a blank line and for the end of a file."""
    lines_before = report.lines
    for path in files:
        for line in text_lines(path, report, progress, MAX_LINE_BYTES):
            sentence = line.strip()
            report.lines += bool(sentence)
            yield path, sentence
        yield path, ""
    if report.lines == lines_before:
        names = ", ".join(f"'{path}'" for path in files[:3]) + (", ..." if len(files) > 3 else "")
        raise BadInputError(
            f"A text must hold at least one line that is not blank. Received: {names}, without any. "
            "Write one sentence a line, with a blank line between documents."
        )


def _documents(
    files: list[Path], report: ReadReport, progress: Progress | None, max_document_characters: int
) -> Iterator[list[str]]:
    document: list[str] = []
    size = 0
    for path, sentence in _sentences(files, report, progress):
        if sentence:
            document.append(sentence)
            size += len(sentence)
            if size > max_document_characters:
                raise BadInputError(
                    f"A document must not be longer than {max_document_characters} characters. Received: '{path}', "
                    f"where no blank line came for that long (up to line {report.lines} of those read). "
                    "Put a blank line between documents."
                )
        elif document:
            report.documents += 1
            yield document
            document, size = [], 0
