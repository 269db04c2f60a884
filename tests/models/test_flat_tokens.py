"""Models on flat tokens: the same answers and gradients as with padding, without work on padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasbert.layers import EncoderBlock
from kerasbert.models import (
    BertBackbone,
    BertMultipleChoice,
    BertPretrainer,
    BertSentenceEncoder,
    BertSequenceClassifier,
    BertSpanPredictor,
    BertTokenClassifier,
    flat_tokens,
)

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="has an effect on TensorFlow only")

MODELS = {
    "backbone": lambda backbone: backbone,
    "sentence_encoder": lambda backbone: BertSentenceEncoder(backbone, ["mean", "cls", "max"]),
    "classifier": lambda backbone: BertSequenceClassifier(backbone, num_labels=3, dropout=0.0),
    "token_classifier": lambda backbone: BertTokenClassifier(backbone, num_labels=3, dropout=0.0),
    "span_predictor": BertSpanPredictor,
    "pretrainer": BertPretrainer,
    "multiple_choice": lambda backbone: BertMultipleChoice(backbone, dropout=0.0),
}
MASKS = {
    "padded right": [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 0, 0]],
    "padded left": [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0, 0, 1, 1, 1]],
    "with an empty row and holes": [[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 1, 1, 1]],
}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def inputs_of(name, mask):
    """Ids with a mask: [4, 5], for multiple choice [2, 2, 5]."""
    mask = np.array(mask, "int32")
    generator = np.random.default_rng(2)
    inputs = {
        "token_ids": generator.integers(0, 30, mask.shape).astype("int32"),
        "segment_ids": generator.integers(0, 2, mask.shape).astype("int32"),
        "padding_mask": mask,
    }
    if name == "multiple_choice":
        return {key: value.reshape(2, 2, 5) for key, value in inputs.items()}
    # The first position and the last real one.
    last = np.max(mask * np.arange(5), axis=1)
    return {**inputs, "mask_positions": np.stack([0 * last, last], axis=1)} if name == "pretrainer" else inputs


def answers(model, inputs):
    """The outputs, without those at padding, of which the model says nothing."""
    return [
        numpy(real_part(output, inputs["padding_mask"])) for output in keras.tree.flatten(model(inputs, training=False))
    ]


def real_part(output, mask):
    """An output without its values at padding, on which no loss of ours depends."""
    return tf.boolean_mask(output, mask) if output.shape[: mask.ndim] == mask.shape else output


@pytest.fixture
def make(calm_config, shake):
    """A function that makes a model with random weights, in double precision."""

    def make(name):
        model = MODELS[name](BertBackbone.from_config(calm_config, dtype="float64"))
        shake(model)
        return model

    return make


@pytest.mark.parametrize("mask", MASKS.values(), ids=list(MASKS))
@pytest.mark.parametrize("name", MODELS)
def test_same_answers_as_with_padding(make, name, mask):
    model, inputs = make(name), inputs_of(name, mask)
    expected = answers(model, inputs)
    with flat_tokens():
        found = answers(model, inputs)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_same_gradients_as_with_padding(make, name):
    model, inputs = make(name), inputs_of(name, MASKS["padded right"])

    def gradients():
        with tf.GradientTape() as tape:
            outputs = keras.tree.flatten(model(inputs, training=True))
            loss = sum(tf.reduce_sum(real_part(output, inputs["padding_mask"]) ** 2) for output in outputs)
        values = [weight.value for weight in model.trainable_weights]
        return [tf.convert_to_tensor(value) for value in tape.gradient(loss, values, unconnected_gradients="zero")]

    expected = gradients()
    with flat_tokens():
        found = gradients()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_blocks_see_real_tokens_only(make, monkeypatch):
    seen = []
    original = EncoderBlock.call

    def call(self, hidden, *args, **kwargs):
        seen.append(tuple(hidden.shape))
        return original(self, hidden, *args, **kwargs)

    monkeypatch.setattr(EncoderBlock, "call", call)
    for name in ("backbone", "sentence_encoder", "classifier"):
        with flat_tokens():
            make(name)(inputs_of(name, MASKS["padded right"]), training=False)
    assert seen == [(11, 16)] * 6


def test_hidden_states_at_padding_are_zero(make):
    inputs = inputs_of("backbone", MASKS["padded right"])
    with flat_tokens():
        hidden = numpy(make("backbone")(inputs)["sequence_output"])
    assert not hidden[inputs["padding_mask"] == 0].any()


def test_a_row_does_not_depend_on_its_neighbours(make):
    model, inputs = make("sentence_encoder"), inputs_of("sentence_encoder", MASKS["padded right"])
    with flat_tokens():
        together = numpy(model(inputs))
        alone = [numpy(model({name: value[row : row + 1] for name, value in inputs.items()})) for row in range(4)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-12)


def test_the_context_ends_and_can_be_turned_off(make):
    model, inputs = make("backbone"), inputs_of("backbone", MASKS["padded right"])
    is_padding = inputs["padding_mask"] == 0
    with flat_tokens(), flat_tokens(False):
        assert numpy(model(inputs)["sequence_output"])[is_padding].any()
    with pytest.raises(KeyError), flat_tokens():
        raise KeyError
    assert numpy(model(inputs)["sequence_output"])[is_padding].any()


def test_a_model_of_ones_own_with_a_backbone_and_other_layers(make):
    backbone = make("backbone")
    vectors = keras.layers.Dense(4, dtype="float64")(backbone.output["sequence_output"])
    own = keras.Model(backbone.input, keras.layers.GlobalMaxPooling1D(dtype="float64")(vectors))
    nested_inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in backbone.input}
    nested = keras.Model(
        nested_inputs, keras.layers.Dense(2, dtype="float64")(backbone(nested_inputs)["pooled_output"])
    )
    inputs = inputs_of("backbone", MASKS["padded right"])
    for model in (own, nested):
        expected = numpy(model(inputs))
        with flat_tokens():
            np.testing.assert_allclose(numpy(model(inputs)), expected, atol=1e-12)
