"""Finds the row of each value of a ragged tensor, and joins rows of strings, with memory proportional to the values.

TensorFlow's `value_rowids()`, and functions based on it like `tf.strings.reduce_join`, create a matrix of rows times
the longest row. A request with many short texts and a long one would then use up all memory.
"""

import tensorflow as tf


def row_numbers(ragged: tf.RaggedTensor) -> tf.Tensor:
    """Returns the row number of each value: ragged [B, (N)] -> int64 [values in all]."""
    places = tf.range(tf.size(ragged.values, tf.int64))
    return tf.searchsorted(tf.cast(ragged.row_splits, tf.int64), places, side="right", out_type=tf.int64) - 1


def join_rows(strings: tf.RaggedTensor, separator: str = "") -> tf.Tensor:
    """Joins each row into one string: ragged strings [B, (N)] -> string [B]."""
    return tf.strings.unsorted_segment_join(
        strings.values, row_numbers(strings), strings.nrows(out_type=tf.int64), separator=separator
    )
