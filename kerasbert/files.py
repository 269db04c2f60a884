"""Writes files and folders aside and renames them, so that nobody ever sees half of one.

A full disk, a kill or an exception leaves the final name as it was before.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def write_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a path beside `path` to write to, and renames it to `path` when the block ends without an error.

    Args:
        path: the final file. Its folder is made when it is missing.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full. `path` is then as it was.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with write_aside(folder / "vocab.txt") as aside:
        ...     _ = aside.write_text("[PAD]")
        >>> [file.name for file in folder.iterdir()]
        ['vocab.txt']
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=final.parent, prefix=f".{final.name}.", suffix=final.suffix)
    os.close(descriptor)
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o666 & ~_umask())
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(aside, final)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def write_folder_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields an empty folder beside `path`, and renames it to `path` when the block ends without an error.

    A folder that lies at `path` is replaced as a whole.

    Args:
        path: the final folder. Its parent is made when it is missing.

    Raises:
        OSError: the parent cannot be made or written, or the disk is full. `path` is then as it was.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}."))
    try:
        yield aside
        aside.chmod(0o777 & ~_umask())
        if final.exists():
            replaced = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}.replaced."))
            os.rename(final, replaced / "old")
            os.rename(aside, final)
            shutil.rmtree(replaced)
        else:
            os.rename(aside, final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
