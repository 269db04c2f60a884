"""keras-hub: `BertBackbone` and its preprocessing in one compiled function."""

import json
from pathlib import Path

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from benchmarks.inference.workers import worker_loop
from benchmarks.inference.workers.mean_pooling import pool


def _exact_gelu(values: tf.Tensor) -> tf.Tensor:
    """Return GELU by the error function."""
    return keras.activations.gelu(values, approximate=False)


class KerasHubModel(worker_loop.TextWorker):
    """A backbone with mean pooling.

    Args:
        path: a folder in Hugging Face's layout, which keras-hub converts.
        sequence_length: the length that the preprocessing of keras-hub pads every text to.
    """

    packages = ("keras-hub", "keras", "tensorflow", "tensorflow-text", "numpy")

    def __init__(self, path: str, sequence_length: int = 128):
        backbone = keras_hub.models.BertBackbone.from_preset(path)
        if json.loads((Path(path) / "config.json").read_text(encoding="utf-8"))["hidden_act"] == "gelu":
            # keras-hub ignores the setting and uses the tanh form, whose answers differ.
            for layer in backbone.transformer_layers:
                layer._feedforward_intermediate_dense.activation = _exact_gelu
        tokenizer = keras_hub.models.BertTokenizer.from_preset(path)
        packer = keras_hub.layers.MultiSegmentPacker(
            sequence_length,
            start_value=tokenizer.cls_token_id,
            end_value=tokenizer.sep_token_id,
            pad_value=tokenizer.pad_token_id,
        )

        def of_ids(ids: tf.Tensor, segments: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
            inputs = {"token_ids": ids, "segment_ids": segments, "padding_mask": mask}
            return backbone(inputs, training=False)["sequence_output"]

        def of_texts(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            ids, segments = packer(tokenizer(texts))
            mask = tf.cast(ids != tokenizer.pad_token_id, tf.int32)
            return of_ids(ids, segments, mask), mask

        self._of_texts = tf.function(of_texts, [tf.TensorSpec([None], tf.string)])
        self._of_ids = tf.function(of_ids, [tf.TensorSpec([None, None], tf.int32)] * 3)

    def encode(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of some texts."""
        states, mask = self._of_texts(tf.constant(texts))
        return pool(states.numpy(), mask.numpy().astype(np.float32))

    def ids(self, ids: list[list[int]]) -> worker_loop.Run:
        """Return a function that encodes rows of ids of the same length."""
        array = tf.constant(ids, tf.int32)
        zeros, ones = tf.zeros_like(array), tf.ones_like(array)
        mask = np.ones(array.shape, np.float32)
        return lambda: [pool(self._of_ids(array, zeros, ones).numpy(), mask)]


if __name__ == "__main__":
    worker_loop.main(KerasHubModel)
