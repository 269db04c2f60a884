"""kerasbert: the exported SavedModel, on raw strings and on token ids."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers ops of the exported graph

from benchmarks.inference.workers import worker_loop


class SavedModel(worker_loop.TextWorker):
    """A SavedModel that `kerasbert export` wrote.

    Args:
        path: the folder of its versions.
    """

    packages = ("tensorflow", "tensorflow-text", "keras", "numpy")

    def __init__(self, path: str):
        [version] = [folder for folder in Path(path).iterdir() if folder.name.isdecimal()]
        self._loaded = tf.saved_model.load(str(version))
        self._of_text = self._loaded.signatures["text"]
        self._of_ids = self._loaded.signatures["token_ids"]

    def encode(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of some texts."""
        return self._of_text(text=tf.constant(texts))["embedding"].numpy()

    def ids(self, ids: list[list[int]]) -> worker_loop.Run:
        """Return a function that encodes rows of ids of the same length."""
        array = tf.constant(ids, tf.int32)
        inputs: dict[str, Any] = {
            "token_ids": array,
            "segment_ids": tf.zeros_like(array),
            "padding_mask": tf.ones_like(array),
        }
        return lambda: [self._of_ids(**inputs)["embedding"].numpy()]


if __name__ == "__main__":
    worker_loop.main(SavedModel)
