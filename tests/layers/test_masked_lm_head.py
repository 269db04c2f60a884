"""The masked-LM head: gathers first, stays tied through everything, and reads no other row."""

import keras
import numpy as np
import pytest

from kerasbert.layers import BertEmbeddings, EncoderBlock, MaskedLMHead
from kerasbert.testing import check_layer

pytestmark = pytest.mark.backend

HIDDEN = np.random.default_rng(4).normal(size=(2, 5, 8)).astype("float32")
POSITIONS = np.array([[1, 4, 0], [2, 2, 3]], "int32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture
def embedding():
    layer = BertEmbeddings(vocab_size=11, hidden_size=8)
    layer.build()
    return layer


def strangers_model():
    """A user's own functional model with only two of our layers."""
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    positions = keras.Input((None,), dtype="int32", name="positions")
    embedding = BertEmbeddings(vocab_size=11, hidden_size=8, dropout=0.0)
    hidden = keras.layers.Dense(8, activation="relu")(embedding(token_ids))
    return keras.Model([token_ids, positions], MaskedLMHead(embedding, name="head")(hidden, positions))


def test_contract():
    embedding = keras.layers.Embedding(11, 8)
    embedding.build()
    inputs = {"sequence_output": HIDDEN, "mask_positions": POSITIONS}
    check_layer(MaskedLMHead, {"token_embedding": embedding, "activation": "relu"}, inputs)


@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu_erf"])
def test_equals_the_formula(reference, embedding, activation):
    head = MaskedLMHead(embedding, activation=activation)
    head.build(HIDDEN.shape)
    reference.shake(head)
    rows = np.stack([HIDDEN[row, positions] for row, positions in enumerate(POSITIONS)]).astype("float64")
    transformed = getattr(reference, activation)(reference.dense(rows, head.transform_dense))
    transformed = reference.layer_norm(transformed, head.layer_norm)
    expected = transformed @ numpy(embedding.word_embeddings).T + numpy(head.output_bias)
    logits = numpy(head(HIDDEN, POSITIONS))
    assert logits.shape == (2, 3, 11)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_gathers_before_the_vocabulary_product(embedding, monkeypatch):
    head = MaskedLMHead(embedding)
    head.build(HIDDEN.shape)
    rows = []
    monkeypatch.setattr(head.transform_dense, "call", lambda x: rows.append(x.shape[0]) or x)
    head(HIDDEN, POSITIONS)
    assert rows == [POSITIONS.size]


def test_changing_the_embedding_changes_the_logits(embedding):
    head = MaskedLMHead(embedding)
    before = numpy(head(HIDDEN, POSITIONS))
    embedding.word_embeddings.assign(embedding.word_embeddings * 2.0)
    np.testing.assert_allclose(numpy(head(HIDDEN, POSITIONS)), 2 * before, atol=1e-6)


@pytest.mark.parametrize("way", ["keras file", "from_config", "clone_model", "weights file"])
def test_a_users_own_model_stays_tied(tmp_path, way):
    model = strangers_model()
    inputs = [np.array([[3, 4, 5]], "int32"), np.array([[0, 2]], "int32")]
    if way == "keras file":
        model.save(tmp_path / "model.keras")
        copy = keras.saving.load_model(tmp_path / "model.keras")
    elif way == "clone_model":
        copy = keras.models.clone_model(model)
    else:
        copy = keras.Model.from_config(model.get_config())
    if way == "weights file":
        model.save_weights(tmp_path / "model.weights.h5")
        copy.load_weights(tmp_path / "model.weights.h5")
    elif way != "keras file":
        copy.set_weights(model.get_weights())
    assert len(copy.weights) == len(model.weights) == 3 + 2 + 2 + 2 + 2 + 1
    np.testing.assert_array_equal(numpy(copy(inputs)), numpy(model(inputs)))
    embedding = next(layer for layer in copy.layers if isinstance(layer, BertEmbeddings))
    assert copy.get_layer("head").token_embedding is embedding
    before = numpy(copy(inputs))
    embedding.word_embeddings.assign(embedding.word_embeddings + 1.0)
    assert not np.allclose(numpy(copy(inputs)), before)


def test_training_changes_the_one_matrix(tmp_path):
    model = strangers_model()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    # Word 9 is in no input: only the product can have a gradient for it.
    embedding = next(layer for layer in loaded.layers if isinstance(layer, BertEmbeddings))
    before = numpy(embedding.word_embeddings)[9].copy()
    loaded.train_on_batch([np.array([[3, 4, 5]], "int32"), np.array([[0]], "int32")], np.array([[9]]))
    assert not np.array_equal(numpy(embedding.word_embeddings)[9], before)


def test_works_with_a_keras_embedding_and_encoder_blocks():
    token_ids = keras.Input((None,), dtype="int32")
    positions = keras.Input((None,), dtype="int32")
    embedding = keras.layers.Embedding(11, 8, mask_zero=True)
    hidden = EncoderBlock(num_attention_heads=2, intermediate_size=8)(embedding(token_ids))
    model = keras.Model([token_ids, positions], MaskedLMHead(embedding)(hidden, positions))
    assert model([np.ones((2, 5), "int32"), POSITIONS]).shape == (2, 3, 11)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX has no errors for indices: it gives NaN")
@pytest.mark.parametrize("position", [5, -1, 100])
def test_a_position_outside_its_row_never_reads_the_next_row(embedding, position):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match=r"is not in \[0, 10\)"):
        MaskedLMHead(embedding)(HIDDEN, np.array([[position], [0]], "int32"))


def test_an_embedding_that_does_not_fit_is_refused(embedding):
    with pytest.raises(ValueError, match=r"`token_embedding` must be the layer.*Received: token_embedding=3"):
        MaskedLMHead(3)
    with pytest.raises(ValueError, match=r"\[vocabulary, 6\].*one of shape \(11, 8\)"):
        MaskedLMHead(embedding)(np.ones((1, 2, 6), "float32"), np.array([[0]]))
    with pytest.raises(ValueError, match=r"none yet.*Call the embedding before the head"):
        MaskedLMHead(BertEmbeddings(vocab_size=11, hidden_size=8))(HIDDEN, POSITIONS)
    with pytest.raises(ValueError, match=r"`activation` must"):
        MaskedLMHead(embedding, activation="no_such")
