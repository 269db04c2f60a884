"""Writes files and folders under a temporary name and renames them, so an incomplete one is never visible.

A full disk, a kill or an exception leaves the previous content unchanged.
"""

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

# Linux, `man 2 renameat2`: the constants of <fcntl.h> and <linux/fs.h>.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
# Error codes of file systems and kernels that cannot exchange two names.
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
# Suffix of the name under which the fallback keeps the folder that is being replaced.
_REPLACED = ".replaced"


@contextlib.contextmanager
def write_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path next to `path`, and renames it to `path` if the block ends without an error.

    Args:
        path: The final file. Missing parent folders are created.

    Yields:
        The path to write to. The file exists and is empty.

    Raises:
        OSError: The folder cannot be created or written, or the disk is full. `path` is unchanged.

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
    aside = _temporary_path(final, final.suffix)
    aside.touch(exist_ok=False)  # with the permissions of any new file
    try:
        yield aside
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(aside, final)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def write_folder_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields an empty temporary folder next to `path`, and puts it at `path` if the block ends without an error.

    An existing folder at `path` is replaced as a whole, in one step of the file system: at every moment, `path` is
    either the old folder or the new one, even if the process is killed. Where the file system cannot exchange two names
    (Linux can, on all common ones), the old folder is renamed first. A kill between these two renames leaves it under a
    name that ends in `.replaced`; the next write to `path`, or `restore_folder`, moves it back.

    Args:
        path: The final folder. Missing parent folders are created. A symbolic link to a folder stays a link.

    Yields:
        The folder to write to.

    Raises:
        OSError: The parent folder cannot be created or written, or the disk is full. `path` is unchanged.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "model"
        >>> for text in ("old", "new"):
        ...     with write_folder_aside(folder) as aside:
        ...         _ = (aside / "config.json").write_text(text)
        >>> (folder / "config.json").read_text()
        'new'
    """
    final = _absolute(Path(path))
    final.parent.mkdir(parents=True, exist_ok=True)
    restore_folder(final)
    aside = _temporary_path(final)
    aside.mkdir()  # with the permissions of any new folder
    try:
        yield aside
        if not final.exists():
            os.rename(aside, final)
        elif not _exchange(aside, final):
            _replace_in_two_steps(aside, final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def restore_folder(path: str | os.PathLike[str]) -> None:
    """Moves a folder back to `path` that a killed `write_folder_aside` had renamed, if there is one.

    Args:
        path: The final folder. Nothing happens if it exists.
    """
    final = _absolute(Path(path))
    replaced = _replaced_path(final)
    if replaced.is_dir() and not final.exists():
        os.rename(replaced, final)


def link_rest(source: Path, destination: Path, is_left_out: Callable[[Path], bool]) -> None:
    """Adds a folder's files to another folder, without copying their contents where hard links are possible.

    Files that `destination` already has are left alone. Symbolic links stay links.

    Args:
        source: The folder to take files from. It is unchanged.
        destination: A folder on the same file system.
        is_left_out: Called with the path of each file and folder relative to `source`; those for which it returns True
            are not added.

    Raises:
        OSError: A file cannot be read or the disk is full.
    """
    waiting = [Path()]
    while waiting:
        place = waiting.pop()
        for entry in sorted((source / place).iterdir()):
            relative = place / entry.name
            target = destination / relative
            if is_left_out(relative):
                continue
            if entry.is_dir() and not entry.is_symlink():
                if not target.is_dir():
                    target.mkdir()
                    shutil.copystat(entry, target)
                waiting.append(relative)
            elif not os.path.lexists(target):
                _link(entry, target)


def _link(source: Path, target: Path) -> None:
    """Makes a hard link, or a copy on a file system without hard links."""
    if source.is_symlink():
        os.symlink(os.readlink(source), target)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _temporary_path(final: Path, suffix: str = "") -> Path:
    """Returns a new hidden name in the folder of `final`, with its extension, which some writers need."""
    suffix = suffix if len(suffix) < 20 else ""
    return final.with_name(f".{_start(final.name)}.{secrets.token_hex(6)}{suffix}")


def _absolute(path: Path) -> Path:
    """Returns the absolute path, also for `.` and `..`. A symbolic link is followed."""
    return path.resolve() if path.is_symlink() else Path(os.path.abspath(path))


def _replaced_path(final: Path) -> Path:
    return final.parent / f".{_start(final.name)}{_REPLACED}"


def _start(name: str) -> str:
    """Returns the start of a name, to leave room for a suffix: most file systems allow 255 bytes."""
    return os.fsdecode(os.fsencode(name)[:200])


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; returns False if this system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or a C library before glibc 2.28
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _replace_in_two_steps(aside: Path, final: Path) -> None:
    """Renames the old folder away and the new one into its place, or moves the old one back if that fails."""
    replaced = _replaced_path(final)
    shutil.rmtree(replaced, ignore_errors=True)  # of an earlier kill after the second rename
    os.rename(final, replaced)
    try:
        os.rename(aside, final)
    except BaseException:
        os.rename(replaced, final)
        raise
    shutil.rmtree(replaced)
