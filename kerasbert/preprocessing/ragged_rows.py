"""Which row each value of a ragged tensor is in, and rows of strings joined, in memory that grows with the values only.

TensorFlow's own `value_rowids()`, and what is built on it, such as `tf.strings.reduce_join`, goes by way of a matrix of
rows times the longest row: many short texts and a long one in one request would take all memory there is.
"""

import tensorflow as tf


def row_numbers(ragged: tf.RaggedTensor) -> tf.Tensor:
    """The row of each value of all rows: ragged [B, (N)] -> int64 [values in all]."""
    places = tf.range(tf.size(ragged.values, tf.int64))
    return tf.searchsorted(tf.cast(ragged.row_splits, tf.int64), places, side="right", out_type=tf.int64) - 1


def join_rows(strings: tf.RaggedTensor, separator: str = "") -> tf.Tensor:
    """Each row as one string: ragged strings [B, (N)] -> string [B]."""
    return tf.strings.unsorted_segment_join(
        strings.values, row_numbers(strings), strings.nrows(out_type=tf.int64), separator=separator
    )
