"""Finds the words that pieces belong to, and cuts texts at byte offsets, in the graph.

Shapes: `B` texts, `N` pieces of all texts one after the other.
"""

import numpy as np
import tensorflow as tf

from kerasbert.preprocessing.ragged_rows import row_numbers


def word_numbers(ids: tf.RaggedTensor, continues_word: np.ndarray) -> tf.Tensor:
    """Number the words of a batch from 0, continuing from text to text.

    A word is a piece and the `##` pieces that follow it. Punctuation marks and CJK characters are words of their own.

    Args:
        ids: ragged [B, (T)].
        continues_word: the `Vocabulary.continues_word` of its pieces.

    Returns:
        int32 [N]: the number of each piece's word.
    """
    continues = tf.gather(tf.constant(continues_word), ids.values)
    rows = row_numbers(ids)
    follows = tf.concat([tf.zeros_like(rows[:1], tf.bool), rows[1:] == rows[:-1]], axis=0)
    return tf.cumsum(tf.cast(~(continues & follows), tf.int32)) - 1


def cut(texts: tf.Tensor, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """Cut out the bytes from `starts` to `ends` of each row's text.

    Args:
        texts: string [B].
        rows: integers of any shape, the text to cut.
        starts: int32 of the same shape, the first byte.
        ends: int32 of the same shape, the byte after the last one.

    Returns:
        String of the same shape.
    """
    return tf.strings.substr(tf.gather(texts, rows), starts, ends - starts)
