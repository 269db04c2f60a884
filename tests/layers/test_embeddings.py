"""Embeddings: the sum and its norm, the length limit, dropout's place."""

import keras
import numpy as np
import pytest

from kerasbert.layers import BertEmbeddings
from kerasbert.testing import check_layer

pytestmark = pytest.mark.backend

ARGUMENTS = {"vocab_size": 20, "hidden_size": 8, "max_position_embeddings": 6, "type_vocab_size": 3}
TOKENS = np.array([[1, 5, 19, 0], [7, 7, 2, 3]], "int32")
SEGMENTS = np.array([[0, 0, 1, 2], [1, 1, 0, 0]], "int32")


def test_contract():
    check_layer(BertEmbeddings, {**ARGUMENTS, "dropout": 0.0}, {"token_ids": TOKENS, "segment_ids": SEGMENTS})


def test_word_plus_position_plus_segment_then_norm(reference):
    layer = BertEmbeddings(**ARGUMENTS)
    layer.build()
    reference.shake(layer)
    words, positions, segments = (
        np.asarray(keras.ops.convert_to_numpy(table), "float64")
        for table in (layer.word_embeddings, layer.position_embeddings, layer.segment_embeddings)
    )
    assert (words.shape, positions.shape, segments.shape) == ((20, 8), (6, 8), (3, 8))
    expected = reference.layer_norm(words[TOKENS] + positions[:4] + segments[SEGMENTS], layer.layer_norm)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(TOKENS, SEGMENTS)), expected, atol=1e-5)


def test_segments_default_to_segment_0():
    layer = BertEmbeddings(**ARGUMENTS)
    ours, zeros = layer(TOKENS), layer(TOKENS, np.zeros_like(TOKENS))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(zeros), atol=1e-6)


def test_initial_weights_are_a_truncated_normal():
    layer = BertEmbeddings(vocab_size=500, hidden_size=64, initializer_range=0.02)
    layer.build()
    for table in (layer.word_embeddings, layer.position_embeddings):
        values = keras.ops.convert_to_numpy(table)
        assert np.abs(values).max() <= 0.04 + 1e-6  # cut at two standard deviations
        assert 0.016 < values.std() < 0.02  # 0.88 of the nominal deviation is left by the cut
    assert layer.layer_norm.epsilon == 1e-12


def test_dropout_is_after_the_norm():
    layer = BertEmbeddings(**ARGUMENTS)
    layer.dropout_layer.rate = 0.5
    calm = keras.ops.convert_to_numpy(layer(TOKENS, SEGMENTS, training=False))
    shaken = keras.ops.convert_to_numpy(layer(TOKENS, SEGMENTS, training=True))
    kept = shaken != 0
    assert 0 < kept.sum() < kept.size
    np.testing.assert_allclose(shaken[kept], 2 * calm[kept], rtol=1e-5)


def test_length_up_to_the_table_and_not_beyond():
    layer = BertEmbeddings(**ARGUMENTS)
    assert layer(np.ones((1, 6), "int32")).shape == (1, 6, 8)
    with pytest.raises(ValueError, match=r"max_position_embeddings=6.*Truncate.*resize_positions.*Received: 7 tokens"):
        layer(np.ones((1, 7), "int32"))
    with pytest.raises(ValueError, match=r"max_position_embeddings=6"):
        layer(keras.Input((7,), dtype="int32"))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow graphs learn the length at run time"
)
def test_a_length_known_only_at_run_time_is_refused_too():
    import tensorflow as tf

    layer = BertEmbeddings(**ARGUMENTS)
    run = tf.function(layer, input_signature=[tf.TensorSpec([None, None], tf.int32)])
    assert run(tf.ones((1, 6), tf.int32)).shape == (1, 6, 8)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"max_position_embeddings=6.*resize_positions"):
        run(tf.ones((1, 7), tf.int32))


def test_tokens_without_a_batch_are_refused():
    with pytest.raises(ValueError, match=r"\[batch, tokens\].*Received: shape=\(3,\)"):
        BertEmbeddings(**ARGUMENTS)(np.ones(3, "int32"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"vocab_size": 0},
        {"hidden_size": 1.5},
        {"max_position_embeddings": None},
        {"type_vocab_size": -1},
        {"dropout": 1.0},
        {"layer_norm_eps": 0},
        {"initializer_range": -0.02},
    ],
)
def test_invalid_arguments_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"`{name}` must .*Received: {name}={value!r}"):
        BertEmbeddings(**{**ARGUMENTS, **wrong})
