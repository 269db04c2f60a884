"""Gradient checkpointing gives the gradients and the dropout masks of training without it, and keeps less in memory."""

import re

import keras
import numpy as np
import pytest

from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertSequenceClassifier, flat_tokens
from kerasbert.training import checkpoint_gradients, compile_classifier, freeze

pytestmark = pytest.mark.backend

IDS = np.random.default_rng(5).integers(1, 30, (3, 6)).astype("int32")
MASK = np.array([[1] * 6, [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]], "int32")
INPUTS = {"token_ids": IDS, "segment_ids": IDS % 2, "padding_mask": MASK}
LABELS = np.array([0, 1, 2])


def new_classifier(recomputes, dropout=0.1, dtype="float32", blocks=1, frozen=0):
    """Return the same classifier each time, with an optimizer whose steps are the gradients."""
    keras.utils.set_random_seed(3)
    sizes = {"hidden_size": 16, "num_hidden_layers": blocks, "num_attention_heads": 2, "intermediate_size": 24}
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    config = BertConfig(vocab_size=30, max_position_embeddings=64, **sizes, **rates, initializer_range=0.3)
    model = BertSequenceClassifier(BertBackbone.from_config(config, dtype=dtype), num_labels=3, dropout=dropout)
    if recomputes:
        checkpoint_gradients(model)
    freeze(model, frozen)
    compile_classifier(model, keras.optimizers.SGD(1.0))
    return model


def after_two_steps(recomputes, flat=False, **arguments):
    """Return all variables after two steps: weights, and the seeds of dropout."""
    model = new_classifier(recomputes, **arguments)
    with flat_tokens(flat):
        losses = [model.train_on_batch(INPUTS, LABELS) for _ in range(2)]
    return [*losses, *(keras.ops.convert_to_numpy(variable) for variable in model.variables)]


@pytest.mark.parametrize("arguments", [{"dropout": 0.0}, {}, {"flat": True}, {"frozen": 1, "blocks": 2}])
def test_training_gives_the_same_weights_and_seeds(arguments):
    ours, expected = (after_two_steps(recomputes, **arguments) for recomputes in (True, False))
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_mixed_precision_computes_in_the_same_types():
    ours, expected = (after_two_steps(recomputes, dtype="mixed_bfloat16") for recomputes in (True, False))
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=0.05)


def test_answers_and_saved_models_do_not_change(tmp_path):
    model, plain = new_classifier(True), new_classifier(False)
    assert model.backbone.get_config() == {**plain.backbone.get_config(), "name": model.backbone.name}
    model.train_on_batch(INPUTS, LABELS)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(INPUTS, verbose=0), model.predict(INPUTS, verbose=0), atol=1e-6)


def test_the_backward_pass_computes_the_attention_of_each_block_again():
    kept, recomputed = (_attention_products(new_classifier(recomputes, blocks=3)) for recomputes in (False, True))
    assert (kept, recomputed) == (3 * 6, 3 * 8)


def _attention_products(model):
    """Return the number of batched matrix products in a training step: two of each block, each with two gradients."""
    if keras.backend.backend() == "jax":
        import jax

        model.optimizer.build(model.trainable_variables)
        groups = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
        state = tuple([variable.value for variable in group] for group in (*groups, model.metrics_variables))
        text = str(jax.make_jaxpr(model.train_step)(state, (INPUTS, LABELS)))
        return len(re.findall(r"dot_general\[\s*dimension_numbers=\(\(\[\d\], \[\d\]\), \(\[0, 1\]", text))
    import tensorflow as tf

    graph = tf.function(model.train_step).get_concrete_function((INPUTS, LABELS)).graph
    return sum(operation.type.startswith("BatchMatMul") for operation in graph.get_operations())
