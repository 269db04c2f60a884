"""Writes record files under a temporary name and renames them, on any file system that TensorFlow knows.

A worker that is restarted after a kill, or started twice, writes the same file, and no reader sees an incomplete one.
"""

import contextlib
import uuid
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def record_writer(path: str, compress: bool = False) -> Iterator[tf.io.TFRecordWriter]:
    """Yields a writer of TFRecords. The file gets its name when the block ends without an error.

    Args:
        path: The final name.
        compress: Whether the file is gzipped.

    Raises:
        OSError: If the file cannot be written, e.g. because the disk is full.
    """
    folder, _, name = path.rpartition("/")
    aside = f"{folder}/.{name}.{uuid.uuid4().hex}"
    try:
        tf.io.gfile.makedirs(folder)
        with tf.io.TFRecordWriter(aside, tf.io.TFRecordOptions("GZIP" if compress else "")) as writer:
            yield writer
        tf.io.gfile.rename(aside, path, overwrite=True)
    except tf.errors.OpError as error:
        raise OSError(
            f"Records cannot be written to '{path}': {error.message}. Free space, or check the permissions."
        ) from error
    finally:
        # The file does not exist if it was renamed or never created.
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(aside)
