"""Opens text files of unknown quality and yields their lines, reading one block of bytes at a time.

It handles gzip, line endings, invalid UTF-8 and binary files for all readers. For encodings other than UTF-8, see
text_encoding.py. For the meaning of lines, see documents.py (sentences) and labelled.py (rows).
"""

import glob
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from kerasbert.data.file_kinds import check_file_kind
from kerasbert.data.read_report import Progress, ReadReport
from kerasbert.data.text_encoding import Utf8Reader, check_is_utf8, not_utf8_error
from kerasbert.errors import BadInputError

PathLike = str | os.PathLike[str]

_BLOCK_BYTES = 1 << 20
_AROUND_NUL = 4096  # number of bytes around a NUL byte that are examined for UTF-16
_GZIP_MAGIC = b"\x1f\x8b"


def find_text_files(paths: PathLike | Iterable[PathLike]) -> list[Path]:
    """Finds the files that `paths` refer to, in a stable order.

    An existing path is always taken literally, whatever characters its name has. Only a path that does not exist is
    interpreted as a glob pattern, starting with the first part that does not exist.

    Args:
        paths: one or several files, folders (all files below them except hidden ones, sorted by name) or glob patterns,
            e.g. `texts/**/*.txt`.

    Returns:
        The files, each once.

    Raises:
        BadInputError: a path does not exist, or a folder or pattern contains no file.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "b.txt").write_text("Two."), (folder / "a.txt").write_text("One.")
        >>> [path.name for path in find_text_files(folder)]
        ['a.txt', 'b.txt']
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    files: dict[Path, None] = {}
    for path in paths:
        files.update(dict.fromkeys(_files_of(Path(path))))
    if not files:
        raise BadInputError("At least one file is needed. Received: no path. Name a file, a folder or a pattern.")
    return list(files)


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        found = []
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        if not found:
            raise BadInputError(
                f"A folder of texts must contain at least one file. Received: '{path}', which contains none. "
                "Check the path."
            )
        return found
    if path.exists():
        return [path]
    if glob.has_magic(str(path)):
        if found := _matching_files(path):
            return found
        raise BadInputError(
            f"A pattern must match at least one file. Received: '{path}', which matches none. Check the path."
        )
    raise BadInputError(f"A file must exist. Received: '{path}', which does not. Check the path.")


def _matching_files(pattern: Path) -> list[Path]:
    """Returns the files that match. Existing folders at the beginning of the pattern are taken literally."""
    parts = pattern.parts
    folder, number = Path(), 0
    while number < len(parts) and (folder / parts[number]).is_dir():
        folder, number = folder / parts[number], number + 1
    names = glob.glob(os.path.join(*parts[number:]), root_dir=folder, recursive=True)
    return [folder / name for name in sorted(names) if (folder / name).is_file()]


def text_lines(
    path: Path,
    report: ReadReport | None = None,
    progress: Progress | None = None,
    max_line_bytes: int | None = None,
    encoding: str | None = None,
) -> Iterator[str]:
    r"""Yields the lines of one file, without line ends. Only one block and one line are in memory.

    A line ends at `\n`, `\r\n` or `\r`, and nowhere else (not at U+0085 or U+2028). gzip is detected from the first
    bytes, not from the name. Invalid characters become U+FFFD and are counted in `report`.

    Args:
        path: the file.
        report: receives counts.
        progress: called with the report after each block.
        max_line_bytes: longer lines are split into lines of at most this length, at white space if possible.
        encoding: the file's encoding. None means UTF-8, and rejects a file if most of its lines are not UTF-8. A
            byte-order mark in the file overrides it.

    Yields:
        The lines.

    Raises:
        BadInputError: the file cannot be opened or unpacked, is binary, or is not in UTF-8 and no encoding is given.
    """
    report = ReadReport() if report is None else report
    report.files += 1
    try:
        with path.open("rb") as packed:
            file = gzip.GzipFile(fileobj=packed) if packed.peek(2)[:2] == _GZIP_MAGIC else packed
            reader = Utf8Reader(file, encoding, _BLOCK_BYTES)
            _check_beginning(reader, path, report, encoding)
            yield from _decoded_lines(path, packed, reader, report, progress, max_line_bytes, encoding)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInputError(
            f"A gzip file must unpack to its end. Received: '{path}' ({error}). Copy or compress it again."
        ) from error
    except OSError as error:
        raise BadInputError(
            f"A file must be readable. Received: '{path}' ({error.strerror or error}). Check the path and its rights."
        ) from error


def _check_beginning(reader: Utf8Reader, path: Path, report: ReadReport, encoding: str | None) -> None:
    check_file_kind(reader.sample, path)
    if not reader.is_utf8 or encoding is not None:
        return
    if likely := check_is_utf8(reader.sample, path, is_whole=len(reader.sample) < _BLOCK_BYTES):
        report.note(f"'{path}' is probably in {likely}: read it with `encoding={likely!r}`")


def _decoded_lines(
    path: Path,
    packed: IO[bytes],
    reader: Utf8Reader,
    report: ReadReport,
    progress: Progress | None,
    max_line_bytes: int | None,
    encoding: str | None,
) -> Iterator[str]:
    """Yields the lines as strings. At the end, raises an error if most of them were invalid."""
    lines = invalid = 0
    for line in _byte_lines(path, packed, reader, report, progress, max_line_bytes):
        before = report.invalid_lines
        yield _decode(line, report)
        lines += bool(line.strip())
        invalid += report.invalid_lines - before
    if encoding is None and 2 * invalid > lines:
        raise not_utf8_error(path, reader.sample, f"has invalid characters in {invalid} of its {lines} lines")


def _byte_lines(
    path: Path,
    packed: IO[bytes],
    reader: Utf8Reader,
    report: ReadReport,
    progress: Progress | None,
    max_line_bytes: int | None,
) -> Iterator[bytes]:
    bytes_before = report.bytes
    rest = b""
    is_cut = False  # whether `rest` continues a line that was cut and counted already
    # Reading as much again as is pending keeps one very long line linear in time.
    while block := reader.read(max(_BLOCK_BYTES, len(rest))):
        if b"\0" in block:
            raise not_utf8_error(path, block[max(0, block.index(b"\0") - _AROUND_NUL) :], "contains a NUL byte")
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


def _is_longer(line: bytes, max_bytes: int | None) -> bool:
    return max_bytes is not None and len(line) > max_bytes


def _cut(line: bytes, max_bytes: int | None) -> Iterator[bytes]:
    """Yields the line in parts of at most `max_bytes`."""
    start = 0
    while max_bytes is not None and len(line) - start > max_bytes:
        space = max(line.rfind(b" ", start, start + max_bytes), line.rfind(b"\t", start, start + max_bytes))
        end = space if space > start else start + max_bytes
        # Without white space, split before a character's first byte: continuation bytes are 10xxxxxx.
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
