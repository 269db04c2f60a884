"""Writes record files under a temporary name and renames them, on any file system that TensorFlow knows.

A worker that is restarted after a kill, or started twice, writes the same file, and no reader sees an incomplete one.
Incomplete files are not in the folder of their split, because TFX reads every file in there, even hidden ones.
"""

import contextlib
import uuid
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def unfinished_folder(uri: str) -> Iterator[str]:
    """Yields a new folder for temporary files, and deletes it with everything that killed workers left in it.

    Args:
        uri: The folder of an artifact.

    Raises:
        OSError: If the folder cannot be created, e.g. because the disk is full.
    """
    folder = f"{uri}/unfinished-{uuid.uuid4().hex}"
    with _plain_errors(folder):
        tf.io.gfile.makedirs(folder)
    try:
        yield folder
    finally:
        tf.io.gfile.rmtree(folder)


@contextlib.contextmanager
def record_writer(path: str, unfinished: str, compress: bool = False) -> Iterator[tf.io.TFRecordWriter]:
    """Yields a writer of TFRecords. The file gets its name when the block ends without an error.

    Args:
        path: The final name.
        unfinished: The folder for the incomplete file, on the same file system (see `unfinished_folder`).
        compress: Whether the file is gzipped.

    Raises:
        OSError: If the file cannot be written, e.g. because the disk is full.
    """
    aside = f"{unfinished}/{uuid.uuid4().hex}"
    with _plain_errors(path), _removed(aside):
        tf.io.gfile.makedirs(path.rpartition("/")[0])
        with tf.io.TFRecordWriter(aside, tf.io.TFRecordOptions("GZIP" if compress else "")) as writer:
            yield writer
        tf.io.gfile.rename(aside, path, overwrite=True)


@contextlib.contextmanager
def _plain_errors(path: str) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(
            f"Records cannot be written to '{path}': {error.message}. Free space, or check the permissions."
        ) from error


@contextlib.contextmanager
def _removed(path: str) -> Iterator[None]:
    """Removes the file when the block ends, unless it was renamed or never created."""
    try:
        yield
    finally:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(path)
