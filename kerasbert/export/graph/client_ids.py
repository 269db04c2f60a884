"""Checks token ids that a client made, because neither TF Serving nor an embedding lookup on a GPU checks them.

Shapes: `B` batch, `T` tokens of the longest row.
"""

from typing import Any

import tensorflow as tf

from kerasbert.export.graph.text_inputs import Inputs

INPUT_NAMES = ("token_ids", "segment_ids", "padding_mask")
INPUTS_SPEC = {name: tf.TensorSpec([None, None], tf.int32) for name in INPUT_NAMES}


def checked_inputs(inputs: Inputs, vocab_size: int, type_vocab_size: int, cls_id: int) -> Inputs:
    """Check the model's inputs when the graph runs, and mask the padding that the server added.

    Args:
        inputs: `token_ids`, `segment_ids` and `padding_mask`, int32 [B, T].
        vocab_size: the number of token ids.
        type_vocab_size: the number of segment ids.
        cls_id: the id of [CLS].

    Returns:
        The inputs. If they are invalid, the graph raises `tf.errors.InvalidArgumentError`.
    """
    inputs = {name: tf.ensure_shape(inputs[name], [None, None]) for name in INPUT_NAMES}
    shape = tf.shape(inputs["token_ids"])
    checks = [
        tf.debugging.assert_equal(tf.shape(inputs[name]), shape, f"`{name}` must have the shape of `token_ids`.")
        for name in INPUT_NAMES[1:]
    ]
    checks.append(check_range("token_ids", inputs["token_ids"], vocab_size))
    checks.append(check_range("segment_ids", inputs["segment_ids"], type_vocab_size))
    with tf.control_dependencies(checks):
        mask = without_server_padding(inputs["token_ids"], inputs["padding_mask"], cls_id)
        return {name: tf.identity(values) for name, values in {**inputs, "padding_mask": mask}.items()}


def without_server_padding(token_ids: tf.Tensor, padding_mask: tf.Tensor, cls_id: int) -> tf.Tensor:
    """Mask the padding that TF Serving adds to the shorter requests of a batch.

    With `pad_variable_length_inputs`, TF Serving pads each input with that input's first element: the ids with [CLS]
    and the mask with 1. No text ends in [CLS], so if a row starts with [CLS], any [CLS] at its end is padding.

    Args:
        token_ids: int32 [B, T].
        padding_mask: int32 [B, T].
        cls_id: the id of [CLS].
    """
    is_cls = tf.cast(tf.equal(token_ids, cls_id), tf.int32)
    in_tail = tf.math.cumprod(is_cls, axis=1, reverse=True)  # 1 where this and all later tokens are [CLS]
    in_tail = tf.concat([tf.zeros_like(in_tail[:, :1]), in_tail[:, 1:] * is_cls[:, :1]], axis=1)
    return padding_mask * (1 - in_tail)


def check_range(name: str, ids: tf.Tensor, size: Any) -> tf.Operation:
    """Raise `tf.errors.InvalidArgumentError` for ids outside of [0, size) when the graph runs."""
    in_range = tf.reduce_all((ids >= 0) & (ids < size))
    return tf.debugging.Assert(in_range, [f"`{name}` must be at least 0 and less than", size, "Received:", ids])
