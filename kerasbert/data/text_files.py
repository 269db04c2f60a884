"""Opens text files of unknown quality and gives their lines, one block of bytes at a time.

This is where gzip, byte-order marks, line endings, invalid UTF-8 and binary files are dealt with, once for every
reader. Does not know what a line means: see documents.py (sentences) and labelled.py (rows).
"""

import codecs
import glob
import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kerasbert.errors import BadInputError

PathLike = str | os.PathLike[str]

_BLOCK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
# The longer marks come first: UTF-32 little-endian begins with UTF-16's.
_FOREIGN_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# With so many errors for its bytes, the beginning of a file is not UTF-8 text with a few slips.
_MAX_UNDECODABLE_SHARE = 0.3


@dataclass
class ReadReport:
    """What was read so far. Filled while the lines are read.

    Attributes:
        files: files opened.
        empty_files: files in a folder or under a pattern that held no byte.
        bytes: bytes read from disk (packed ones, where a file is gzipped).
        lines: lines that are not blank.
        documents: documents, where documents are read.
        cut_lines: lines that were too long for one sentence and were cut at white space.
        invalid_lines: lines that held invalid UTF-8.
        replaced_characters: U+FFFD characters that stand for invalid UTF-8.
    """

    files: int = 0
    empty_files: int = 0
    bytes: int = 0
    lines: int = 0
    documents: int = 0
    cut_lines: int = 0
    invalid_lines: int = 0
    replaced_characters: int = 0

    def warning(self) -> str | None:
        """One sentence on what was not read as it stands, or None when all was."""
        found = []
        if self.invalid_lines:
            found.append(
                f"{self.invalid_lines} of {self.lines} lines held invalid UTF-8 "
                f"({self.replaced_characters} characters replaced by U+FFFD)"
            )
        if self.cut_lines:
            found.append(f"{self.cut_lines} overlong lines were cut")
        if self.empty_files:
            found.append(f"{self.empty_files} empty files were passed over")
        return "; ".join(found) or None


Progress = Callable[[ReadReport], None]


def find_text_files(paths: PathLike | Iterable[PathLike]) -> list[Path]:
    """Finds the files that `paths` stand for, in a stable order.

    Args:
        paths: one or several of: a file, a folder (all files below it but hidden ones, by name), a pattern such as
            `texts/**/*.txt`.

    Raises:
        BadInputError: a path does not exist, or a folder or pattern holds no file.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    files: dict[Path, None] = {}
    for path in paths:
        files.update(dict.fromkeys(_files_of(Path(path))))
    if not files:
        raise BadInputError("At least one text file is needed. Received: no path. Name a file, a folder or a pattern.")
    return list(files)


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        found = []
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        if not found:
            raise BadInputError(f"A folder of texts must hold at least one file. Received: '{path}', which holds none.")
        return found
    if path.exists():
        return [path]
    if glob.has_magic(str(path)):
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if os.path.isfile(name)]
        if found:
            return found
        raise BadInputError(f"A pattern must match at least one file. Received: '{path}', which matches none.")
    raise BadInputError(f"A text file must exist. Received: '{path}', which does not. Check the path.")


def text_lines(
    path: Path,
    report: ReadReport | None = None,
    progress: Progress | None = None,
    max_line_bytes: int | None = None,
) -> Iterator[str]:
    r"""Gives the lines of one file, without their line ends. Memory holds one block and one line.

    A line ends at `\n`, `\r\n` or `\r`, and nowhere else (not at U+0085 or U+2028). gzip is recognized by its first
    bytes, not by the name. Invalid UTF-8 becomes U+FFFD and is counted in `report`.

    Args:
        path: the file.
        report: counts are added to it.
        progress: called with the report after each block.
        max_line_bytes: longer lines are cut into lines of at most this length, at white space where there is some.

    Raises:
        BadInputError: the file cannot be opened or unpacked, is binary, or is not in UTF-8 by its byte-order mark.
    """
    report = ReadReport() if report is None else report
    report.files += 1
    try:
        with path.open("rb") as packed:
            file = gzip.GzipFile(fileobj=packed) if packed.peek(2)[:2] == _GZIP_MAGIC else packed
            for line in _byte_lines(path, packed, file, report, progress, max_line_bytes):
                yield _decode(line, report)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInputError(
            f"A gzip file must unpack to its end. Received: '{path}' ({error}). Copy or pack it again."
        ) from error
    except OSError as error:
        raise BadInputError(f"A text file must be readable. Received: '{path}' ({error.strerror or error}).") from error


def _byte_lines(
    path: Path,
    packed: IO[bytes],
    file: IO[bytes] | gzip.GzipFile,
    report: ReadReport,
    progress: Progress | None,
    max_line_bytes: int | None,
) -> Iterator[bytes]:
    bytes_before = report.bytes
    rest = b""
    is_first = True
    is_cut = False  # whether `rest` goes on with a line whose beginning was cut off and counted
    # Reading as much again as is pending keeps one very long line linear in time.
    while block := file.read(max(_BLOCK_BYTES, len(rest))):
        if is_first:
            block = _checked_beginning(block, path)
            is_first = False
        if b"\0" in block:
            raise BadInputError(_binary_message(path, "a NUL byte"))
        report.bytes = bytes_before + packed.tell()
        if progress is not None:
            progress(report)
        block = rest + block
        # A carriage return at the end may be the first half of a line end.
        held = b"\r" if block.endswith(b"\r") else b""
        block = block[: len(block) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = block.split(b"\n")
        for line in lines:
            report.cut_lines += _is_longer(line, max_line_bytes) and not is_cut
            is_cut = False
            yield from _cut(line, max_line_bytes)
        if _is_longer(rest, max_line_bytes):
            report.cut_lines += not is_cut
            is_cut = True
            *pieces, rest = _cut(rest, max_line_bytes)
            yield from pieces
        rest += held
    if rest:
        report.cut_lines += _is_longer(rest, max_line_bytes) and not is_cut
        yield from _cut(rest.removesuffix(b"\r"), max_line_bytes)


def _checked_beginning(block: bytes, path: Path) -> bytes:
    """The first block without UTF-8's byte-order mark, after a look at whether this is text in UTF-8."""
    for mark, encoding in _FOREIGN_BYTE_ORDER_MARKS.items():
        if block.startswith(mark):
            raise BadInputError(
                f"A text file must be in UTF-8. Received: '{path}', which is in {encoding} by its byte-order mark. "
                f"Convert it first, for example with `iconv -f {encoding} -t UTF-8`."
            )
    block = block.removeprefix(codecs.BOM_UTF8)
    sample = block[:65536]
    undecodable = sample.decode("utf-8", errors="replace").count("\ufffd") - sample.count("\ufffd".encode())
    # A cut through the last character of the sample counts as one; short samples are given the benefit of the doubt.
    if undecodable > max(16, _MAX_UNDECODABLE_SHARE * len(sample)):
        raise BadInputError(_binary_message(path, f"{undecodable} errors in the first {len(sample)} bytes"))
    return block


def _binary_message(path: Path, found: str) -> str:
    return (
        f"A text file must hold text in UTF-8. Received: '{path}', which is binary or in another encoding ({found}). "
        "Unpack or convert it to UTF-8 text first."
    )


def _is_longer(line: bytes, max_bytes: int | None) -> bool:
    return max_bytes is not None and len(line) > max_bytes


def _cut(line: bytes, max_bytes: int | None) -> Iterator[bytes]:
    """The line in pieces of at most `max_bytes`."""
    start = 0
    while max_bytes is not None and len(line) - start > max_bytes:
        space = max(line.rfind(b" ", start, start + max_bytes), line.rfind(b"\t", start, start + max_bytes))
        end = space if space > start else start + max_bytes
        # Without white space the cut falls on a character's first byte: continuation bytes are 10xxxxxx.
        while end > start + 1 and line[end] & 0xC0 == 0x80:
            end -= 1
        yield line[start:end]
        start = end
    yield line[start:]


def _decode(line: bytes, report: ReadReport) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        text = line.decode("utf-8", errors="replace")
        report.invalid_lines += 1
        report.replaced_characters += text.count("\ufffd") - line.count("\ufffd".encode())
        return text
