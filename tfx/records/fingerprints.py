"""A hash of what lies at a path, by which a changed file under an old name is noticed."""

import glob
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

_CHUNK = 1 << 20


def fingerprint(path: str | os.PathLike[str]) -> str:
    """A hash of a file's content, or of the names and contents of all files in a folder.

    A path that is neither stands for the files beside it whose names begin so, such as a TensorFlow checkpoint's
    `model.ckpt`. What is not there has a hash too.

    Example:
        >>> import tempfile
        >>> empty = fingerprint(tempfile.mkdtemp())
        >>> empty == fingerprint("/nowhere/at/all")
        True
    """
    root = Path(path)
    digest = hashlib.sha256()
    if root.is_file():
        files = [root]
    elif root.is_dir():
        files = sorted(file for file in root.rglob("*") if file.is_file())
    else:
        root = root.parent
        files = sorted(file for file in root.glob(f"{glob.escape(Path(path).name)}.*") if file.is_file())
    for file in files:
        digest.update(f"{file.relative_to(root).as_posix()} {_content_hash(file)}\n".encode())
    return digest.hexdigest()


def files_fingerprint(paths: Iterable[str]) -> str:
    """A hash of the names and contents of some files; of the names, sizes and times of those that are remote.

    Names count, since a name's ending says how a file is read. A remote file would be fetched whole for its content.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        if "://" in path:
            stat = tf.io.gfile.stat(path)
            state = f"{stat.length} {stat.mtime_nsec}"
        else:
            state = _content_hash(Path(path))
        digest.update(f"{path}\0{state}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _content_hash(file: Path) -> str:
    """The hash of a file's content, of which memory holds one chunk."""
    content = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            content.update(chunk)
    return content.hexdigest()
