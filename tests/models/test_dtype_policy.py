"""Task models train in their backbone's dtype policy, whatever the global policy is."""

import keras
import numpy as np
import pytest

from kerasbert import models
from kerasbert.training import adamw, compile_classifier, compile_pretrainer

pytestmark = pytest.mark.backend

TASKS = {
    "multiple choice": models.BertMultipleChoice,
    "pretraining": models.BertPretrainer,
    "sentence encoder": models.BertSentenceEncoder,
    "sequence classification": lambda backbone: models.BertSequenceClassifier(backbone, 3),
    "regression": lambda backbone: models.BertSequenceClassifier(backbone, 1, "regression", activation="sigmoid"),
    "span prediction": models.BertSpanPredictor,
    "token classification": lambda backbone: models.BertTokenClassifier(backbone, 3),
}


@pytest.mark.parametrize("task", TASKS)
def test_mixed_float16_trains_with_loss_scaling(task, config):
    model = TASKS[task](models.BertBackbone.from_config(config, dtype="mixed_float16"))
    copies = {
        "the model": model,
        "from_config": type(model).from_config(model.get_config()),
        "resize_positions": models.resize_positions(model, 12),
    }
    for name, copy in copies.items():
        assert copy.dtype_policy.name == copy.backbone.dtype_policy.name == "mixed_float16", name
        copy.compile("sgd", jit_compile=False)
        assert isinstance(copy.optimizer, keras.optimizers.LossScaleOptimizer), name


def test_a_plain_model_with_float16_layers_trains_with_loss_scaling(config):
    """Keras clones our models as plain functional models, whose policy is the global one."""
    model = models.BertTokenClassifier(models.BertBackbone.from_config(config, dtype="mixed_float16"), 3)
    clone = keras.models.clone_model(model)
    assert clone.dtype_policy.name == "float32"
    compile_classifier(clone, adamw(1e-3), "single_label_classification", jit_compile=False)
    assert isinstance(clone.optimizer, keras.optimizers.LossScaleOptimizer)
    assert not isinstance(clone.optimizer.inner_optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_other_policies_train_without_loss_scaling_under_a_global_float16(policy, config):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = models.BertTokenClassifier(models.BertBackbone.from_config(config, dtype=policy), 3)
        compile_classifier(model, adamw(1e-3), "single_label_classification", jit_compile=False)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.dtype_policy.name == policy
    assert not isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_a_keras_file_keeps_the_policy(config, tmp_path):
    model = models.BertSequenceClassifier(models.BertBackbone.from_config(config, dtype="mixed_float16"), 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.dtype_policy.name == loaded.backbone.dtype_policy.name == "mixed_float16"


def test_float16_gradients_that_would_vanish_move_the_weights(config, inputs):
    """The loss is so small that its float16 gradients are 0 unless they are scaled."""
    inputs = {**inputs, "mask_positions": np.zeros((3, 1), "int32")}
    labels = {"masked_lm": np.ones((3, 1), "int32"), "next_sentence": np.zeros(3, "int32")}
    weights = {"masked_lm": np.full((3, 1), 1e-9, "float32"), "next_sentence": np.full(3, 0.0, "float32")}
    config = config.replace(num_hidden_layers=1)
    model = models.BertPretrainer(models.BertBackbone.from_config(config, dtype="mixed_float16"))
    compile_pretrainer(model, keras.optimizers.SGD(1.0, momentum=0.0), jit_compile=False)
    before = keras.ops.convert_to_numpy(model.masked_lm_head.transform_dense.kernel)
    model.train_on_batch(inputs, labels, sample_weight=weights)
    after = keras.ops.convert_to_numpy(model.masked_lm_head.transform_dense.kernel)
    assert np.isfinite(after).all()
    assert not np.array_equal(before, after)
