"""Hashes of files and folders, to detect changed files with unchanged names."""

import glob
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from kerasbert_tfx.records.remote_folders import files_with_prefix, is_remote

_CHUNK = 1 << 20


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Returns a hash of a file's content, or of the names and contents of all files in a folder.

    Args:
        path: A file, a folder or a prefix, as for `files_of`. A path that does not exist has a hash too.

    Example:
        >>> import tempfile
        >>> empty = fingerprint(tempfile.mkdtemp())
        >>> empty == fingerprint("/nowhere/at/all")
        True
    """
    digest = hashlib.sha256()
    for name, file in files_of(path):
        digest.update(f"{name} {_content_hash(file)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def files_of(path: str | os.PathLike[str]) -> list[tuple[str, Any]]:
    """Returns the relative name and the path of each file of an address, in order.

    Args:
        path: A file (whose relative name is ".") or a folder, on this machine or in a bucket. Anything else means the
            files whose names begin with it and a dot, e.g. the `model.ckpt` of a TensorFlow checkpoint.
    """
    root = os.fspath(path).rstrip("/")
    return _remote_files(root) if is_remote(root) else _local_files(Path(root))


def setting_fingerprint(path: str | None) -> str:
    """Returns the fingerprint of the file or folder that a setting names, or an empty string for None and for an
    address in a bucket.

    Pipelines compile without a network, so the content of a bucket is assumed to stay the same.
    """
    return fingerprint(path) if path and not is_remote(path) else ""


def files_fingerprint(paths: Iterable[str]) -> str:
    """Returns a hash of the names and contents of local files, and of the names, sizes and times of remote ones.

    Names count because the extension determines how a file is read. The content of a remote file does not count,
    because reading it would mean downloading it.

    Raises:
        OSError: If a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        if is_remote(path):
            stat = tf.io.gfile.stat(path)
            state = f"{stat.length} {stat.mtime_nsec}"
        else:
            state = _content_hash(Path(path))
        digest.update(f"{path}\0{state}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _local_files(root: Path) -> list[tuple[str, Any]]:
    if root.is_file():
        files = [root]
    elif root.is_dir():
        files = sorted(file for file in root.rglob("*") if file.is_file())
    else:
        files = sorted(file for file in root.parent.glob(f"{glob.escape(root.name)}.*") if file.is_file())
        root = root.parent
    return [(file.relative_to(root).as_posix(), file) for file in files]


def _remote_files(root: str) -> list[tuple[str, Any]]:
    if not tf.io.gfile.isdir(root):
        if tf.io.gfile.exists(root):
            return [(".", root)]
        return [(os.path.basename(file), file) for file in files_with_prefix(root)]
    files = [f"{folder.rstrip('/')}/{name}" for folder, _, names in tf.io.gfile.walk(root) for name in names if name]
    return [(file.removeprefix(f"{root}/"), file) for file in sorted(files)]


def _content_hash(file: Path | str) -> str:
    """Returns the hash of a file's content, with only one chunk of it in memory."""
    content = hashlib.sha256()
    with file.open("rb") if isinstance(file, Path) else tf.io.gfile.GFile(file, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            content.update(chunk)
    return content.hexdigest()
