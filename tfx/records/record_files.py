"""Writes record files aside and renames them, on any file system that TensorFlow knows.

A worker that is killed and started anew, or started twice, leaves the same file; nobody sees half of one.
"""

import contextlib
import uuid
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def record_writer(path: str, compress: bool = False) -> Iterator[tf.io.TFRecordWriter]:
    """Yields a writer of TFRecords; the file gets its name when the block ends without an error.

    Raises:
        OSError: the file cannot be written, such as on a full disk.
    """
    folder, _, name = path.rpartition("/")
    aside = f"{folder}/.{name}.{uuid.uuid4().hex}"
    try:
        tf.io.gfile.makedirs(folder)
        with tf.io.TFRecordWriter(aside, tf.io.TFRecordOptions("GZIP" if compress else "")) as writer:
            yield writer
        tf.io.gfile.rename(aside, path, overwrite=True)
    except tf.errors.OpError as error:
        raise OSError(f"Records cannot be written to '{path}': {error.message}. Free space there.") from error
    finally:
        # What is there no more was renamed, or never begun.
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(aside)
