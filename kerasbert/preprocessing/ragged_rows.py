"""Finds the row of each value of a ragged tensor and joins rows of strings, in memory that grows with the values only.

TensorFlow's own `value_rowids()`, and functions built on it such as `tf.strings.reduce_join`, make a matrix of rows
times the longest row: many short texts and a long one in one request would use up all memory.
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
