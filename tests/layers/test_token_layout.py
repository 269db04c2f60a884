"""Flat lists of tokens: which positions they contain, the way there and back, and gradients through both."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kerasbert.layers import BertEmbeddings, EncoderBlock
from kerasbert.layers.token_layout import token_layout

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares in double precision")

MASKS = {
    "padded right": [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]],
    "padded left": [[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]],
    "with holes": [[1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 0, 1]],
    "with an empty row": [[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]],
    "only empty rows": [[0, 0, 0, 0], [0, 0, 0, 0]],
    "without padding": [[1, 1, 1, 1], [1, 1, 1, 1]],
    "without rows": np.zeros((0, 4), "int32"),
}


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def kept(mask):
    """The positions that the list must contain, by the definition."""
    mask = np.array(mask, bool)
    return mask | (np.arange(4) == 0) | ~mask.any(axis=1, keepdims=True)


@pytest.fixture(params=MASKS, ids=list(MASKS))
def mask(request):
    return np.array(MASKS[request.param], "int32")


def test_the_list_has_the_real_tokens_the_first_positions_and_all_of_an_empty_row(mask):
    rows = np.arange(mask.size * 3, dtype="float32").reshape(*mask.shape, 3)
    layout = token_layout(ops.array(mask))
    np.testing.assert_array_equal(numpy(layout.to_flat(ops.array(rows))), rows[kept(mask)])
    np.testing.assert_array_equal(numpy(layout.positions), np.nonzero(kept(mask))[1])


def test_rows_come_back_with_zeros_at_padding(mask):
    rows = np.arange(1, mask.size * 3 + 1, dtype="float32").reshape(*mask.shape, 3)
    layout = token_layout(ops.array(mask))
    back = numpy(layout.to_rows(layout.to_flat(ops.array(rows))))
    np.testing.assert_array_equal(back, np.where(kept(mask)[..., None], rows, 0))
    unfilled = numpy(layout.to_rows(layout.to_flat(ops.array(rows)), fill=False))
    np.testing.assert_array_equal(unfilled[kept(mask)], rows[kept(mask)])
    assert np.isfinite(unfilled).all()


def test_gradients_are_those_of_picking_values(mask):
    generator = np.random.default_rng(0)
    rows = tf.constant(generator.normal(size=(*mask.shape, 3)))
    weights = tf.constant(generator.normal(size=(*mask.shape, 3)))
    layout = token_layout(tf.constant(mask))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(rows)
        flat = layout.to_flat(rows)
        loss = tf.reduce_sum(layout.to_rows(flat**2) * weights)
    np.testing.assert_allclose(tape.gradient(loss, rows), np.where(kept(mask)[..., None], 2 * rows * weights, 0))
    picked = weights.numpy()[kept(mask)]
    np.testing.assert_allclose(tape.gradient(loss, flat), 2 * rows.numpy()[kept(mask)] * picked)


def test_layers_give_the_same_numbers_for_a_list(mask):
    generator = np.random.default_rng(1)
    ids, segments = generator.integers(0, 20, mask.shape), generator.integers(0, 2, mask.shape)
    embeddings = BertEmbeddings(20, 8, max_position_embeddings=6, dtype="float64")
    block = EncoderBlock(num_attention_heads=2, intermediate_size=16, dtype="float64")
    layout = token_layout(ops.array(mask))
    rows = embeddings(ids, segments)
    flat = embeddings(ids, segments, layout=layout)
    np.testing.assert_allclose(numpy(flat), numpy(rows)[kept(mask)], atol=1e-12)
    without_segments = embeddings(ids, layout=layout)
    np.testing.assert_allclose(numpy(without_segments), numpy(embeddings(ids))[kept(mask)], atol=1e-12)
    rows, flat = block(rows, ops.array(mask)), block(flat, layout=layout)
    np.testing.assert_allclose(numpy(flat), numpy(rows)[kept(mask)], atol=1e-12)
    scores = block(layout.to_flat(rows), layout=layout, return_attention_scores=True)[1]
    expected = block(rows, ops.array(mask), return_attention_scores=True)[1]
    is_query = np.broadcast_to(kept(mask)[:, None, :, None], expected.shape)
    np.testing.assert_allclose(numpy(scores)[is_query], numpy(expected)[is_query], atol=1e-12)
