"""The compiled model computes what the model computes, and is compiled once."""

import gc
import weakref

import keras
import numpy as np
import pytest

from kerasbert import models
from kerasbert.models.inference import compiled_forward, padded_length

pytestmark = pytest.mark.backend
tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="counts TensorFlow's traces")


def batch(rows, tokens, seed=0):
    generator = np.random.default_rng(seed)
    mask = (np.arange(tokens) < generator.integers(1, tokens + 1, (rows, 1))).astype("int32")
    return {
        "token_ids": generator.integers(1, 30, (rows, tokens)).astype("int32") * mask,
        "segment_ids": np.zeros((rows, tokens), "int32"),
        "padding_mask": mask,
    }


def real_part(output, inputs):
    """An output without its values at padding, of which no model says anything."""
    output, mask = keras.ops.convert_to_numpy(output), inputs["padding_mask"]
    return output[mask == 1] if output.shape[:2] == mask.shape else output


TASKS = {
    "backbone": lambda backbone: backbone,
    "sentence encoder": models.BertSentenceEncoder,
    "span prediction": models.BertSpanPredictor,
    "token classification": lambda backbone: models.BertTokenClassifier(backbone, 3),
    "pretraining": models.BertPretrainer,
}


@pytest.mark.parametrize("task", TASKS)
def test_every_batch_has_the_outputs_of_the_model(task, config, shake):
    model = TASKS[task](models.BertBackbone.from_config(config))
    shake(model)
    forward = compiled_forward(model)
    for rows, tokens in ((3, 7), (1, 2), (9, 10)):
        inputs = batch(rows, tokens)
        if task == "pretraining":
            last = inputs["padding_mask"].sum(axis=1) - 1
            inputs["mask_positions"] = np.stack([last, 0 * last], axis=1).astype("int32")
        expected, found = model(inputs, training=False), forward(inputs)
        keras.tree.assert_same_structure(expected, found)
        for ours, theirs in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(real_part(ours, inputs), real_part(theirs, inputs), atol=1e-5)


def test_choices_have_the_scores_of_the_model(config):
    model = models.BertMultipleChoice(models.BertBackbone.from_config(config))
    inputs = {name: np.stack([value, value]) for name, value in batch(3, 7).items()}
    found = compiled_forward(model)(inputs)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), model(inputs, training=False), atol=1e-5)


def test_weights_that_change_later_and_other_input_types_count(config, shake):
    model = models.BertTokenClassifier(models.BertBackbone.from_config(config), 3)
    forward, inputs = compiled_forward(model), batch(2, 5)
    forward(inputs)
    shake(model)
    wide = {name: value.astype("int64") for name, value in inputs.items()} | {"other": np.zeros(2)}
    found, expected = (real_part(output, inputs) for output in (forward(wide), model(inputs, training=False)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert compiled_forward(model) is forward


@tensorflow_only
def test_one_graph_serves_all_shapes(config):
    """Python runs a model's code only while it is traced."""
    traces = []

    class Counting(keras.layers.Layer):
        def call(self, hidden):
            traces.append(hidden.shape)
            return hidden

    backbone = models.BertBackbone.from_config(config)
    model = keras.Model(backbone.input, Counting()(backbone.output["sequence_output"]))
    traces.clear()
    for rows, tokens in ((3, 7), (1, 2), (9, 10), (4, 4)):
        compiled_forward(model)(batch(rows, tokens))
    assert len(traces) == 1


def test_a_model_is_freed_with_its_function(config):
    model = models.BertBackbone.from_config(config)
    compiled_forward(model)(batch(2, 5))
    reference = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert reference() is None


def test_padded_lengths_are_few_and_never_beyond_the_model():
    assert {padded_length(tokens, 512) for tokens in range(1, 513)} == {16, 32, 48, 64, 96, 128, *range(192, 513, 64)}
    assert padded_length(9, 10) == 10
    assert padded_length(600, 512) == 600  # left to the model to refuse


def test_an_input_beyond_the_positions_is_refused_with_a_clear_message(config):
    with pytest.raises(ValueError, match=r"max_position_embeddings=10.*Truncate the input.*Received: 11 tokens"):
        compiled_forward(models.BertBackbone.from_config(config))(batch(2, 11))
