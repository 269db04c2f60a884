"""Files and folders in buckets, for code that can only read and write on this machine."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, overload

import tensorflow as tf
from tfx.utils import io_utils

from kerasbert.errors import BadInputError


def is_remote(address: str) -> bool:
    """Returns whether an address names a bucket or another remote file system, as opposed to a path on this machine.

    Example:
        >>> is_remote("gs://bucket/rows.csv"), is_remote("/data/rows.csv")
        (True, False)
    """
    return "://" in address


@overload
def copied_to_local(address: str) -> contextlib.AbstractContextManager[Path]: ...


@overload
def copied_to_local(address: str | None) -> contextlib.AbstractContextManager[Path | None]: ...


@contextlib.contextmanager
def copied_to_local(address: str | None) -> Iterator[Any]:
    """Yields a local path with the content of `address`: the path itself, or else that of a temporary copy.

    Error messages of the block that name the copy are changed to name `address`.

    Args:
        address: A file, a folder, or the prefix of a TensorFlow checkpoint's files. If it does not exist, the yielded
            path does not exist either. None yields None.

    Raises:
        BadInputError: Whatever the block raises.
    """
    if address is None or not is_remote(address):
        yield None if address is None else Path(address)
        return
    address = address.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(address))
        _copy(address, copy)
        try:
            yield Path(copy)
        except BadInputError as error:
            raise BadInputError(str(error).replace(copy, address)) from error


def _copy(address: str, target: str) -> None:
    if tf.io.gfile.isdir(address):
        io_utils.copy_dir(address, target)
    elif tf.io.gfile.exists(address):
        tf.io.gfile.copy(address, target)
    else:
        for found in files_with_prefix(address):
            tf.io.gfile.copy(found, os.path.join(os.path.dirname(target), os.path.basename(found)))


def files_with_prefix(address: str) -> list[str]:
    """Returns the files in a bucket whose names begin with an address and a dot, e.g. `model.ckpt` of a checkpoint."""
    parent, name = os.path.split(address)
    names = tf.io.gfile.listdir(parent) if tf.io.gfile.isdir(parent) else []
    return [f"{parent}/{found}" for found in sorted(names) if found.startswith(f"{name}.")]


@contextlib.contextmanager
def written_locally(uri: str) -> Iterator[Path]:
    """Yields a local folder. When the block ends, its content is at `uri`."""
    if not is_remote(uri):
        Path(uri).mkdir(parents=True, exist_ok=True)
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        io_utils.copy_dir(folder, uri)
