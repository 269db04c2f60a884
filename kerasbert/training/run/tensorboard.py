"""Writes a run's metrics for TensorBoard: one curve for training and one for validation, by step."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_NOT_METRICS = ("phase", "step", "split")


class TensorBoardWriter:
    """Writes rows of the history as scalars to `folder/train` and `folder/validation`.

    Args:
        folder: the log folder; None writes nothing.
    """

    def __init__(self, folder: Path | None):
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        if self._folder is None:
            return
        import tensorflow as tf

        split = row["split"]
        if split not in self._writers:
            self._writers[split] = tf.summary.create_file_writer(str(self._folder / split))
        with self._writers[split].as_default():
            for name, value in row.items():
                if name not in _NOT_METRICS:
                    tf.summary.scalar(name, value, step=row["step"])

    def flush(self) -> None:
        """Flush everything to the disk."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
