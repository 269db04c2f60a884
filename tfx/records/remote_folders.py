"""Files and folders in buckets, for code that reads and writes on this machine only."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tfx.utils import io_utils


@contextlib.contextmanager
def copied_to_local(path: str | None) -> Iterator[Path | None]:
    """Yields the path itself where it is on this machine, or else that of a copy; None for None."""
    if path is None or "://" not in path:
        yield None if path is None else Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(path.rstrip("/")))
        if tf.io.gfile.isdir(path):
            io_utils.copy_dir(path, copy)
        else:
            tf.io.gfile.copy(path, copy)
        yield Path(copy)


@contextlib.contextmanager
def written_locally(uri: str) -> Iterator[Path]:
    """Yields a folder on this machine whose content lies at `uri` when the block has ended."""
    if "://" not in uri:
        Path(uri).mkdir(parents=True, exist_ok=True)
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        io_utils.copy_dir(folder, uri)
