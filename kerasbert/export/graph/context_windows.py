"""Lays windows over texts that are longer than the model's input, so that an answer far behind is found too.

Shapes: `B` batch, `W` windows of all texts, one text's behind the other's.
"""

from typing import NamedTuple

import tensorflow as tf


class Windows(NamedTuple):
    """The windows of a batch.

    Attributes:
        rows: int64 [W], which text a window is of.
        begins: int64 [W], the window's first token among the tokens of all texts.
        tokens: ragged [W, (tokens)].
    """

    rows: tf.Tensor
    begins: tf.Tensor
    tokens: tf.RaggedTensor


def context_windows(tokens: tf.RaggedTensor, room: tf.Tensor, stride: int, limit: int) -> Windows:
    """Cuts each text into windows that overlap.

    Args:
        tokens: ragged [B, (tokens)], with int64 row splits.
        room: int64 [B], the most tokens of a window; at least 1.
        stride: from the begin of one window to that of the next. Where `room` is less than two strides, half of it.
        limit: the most windows of a text. What lies behind them is left out.
    """
    lengths = tokens.row_lengths()
    strides = tf.maximum(tf.minimum(tf.constant(stride, tf.int64), room // 2), 1)
    counts = tf.minimum(1 + -(-tf.maximum(lengths - room, 0) // strides), limit)
    rows = tf.repeat(tf.range(tokens.nrows()), counts)
    within = tf.gather(strides, rows) * tf.ragged.range(counts).values
    begins = tf.gather(tokens.row_starts(), rows) + within
    sizes = tf.minimum(tf.gather(room, rows), tf.gather(lengths, rows) - within)
    places = tf.ragged.range(begins, begins + sizes)
    return Windows(rows, begins, places.with_values(tf.gather(tokens.values, places.values)))
