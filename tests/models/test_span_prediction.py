"""The span predictor: a start and an end for every token, from one dense layer of two."""

import keras
import numpy as np
import pytest

from kerasbert.models import BertBackbone, BertSpanPredictor
from kerasbert.testing import check_model

pytestmark = pytest.mark.backend


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_contract(calm_config, inputs):
    check_model(
        lambda dtype: BertSpanPredictor(BertBackbone.from_config(calm_config, dtype=dtype)),
        inputs,
        half_precisions=("mixed_bfloat16",),
        jit_compile=False,
    )


def test_start_is_the_first_column_and_end_the_second(config, inputs, shake):
    model = BertSpanPredictor(BertBackbone.from_config(config))
    shake(model)
    kernel, bias = model.span_classifier.get_weights()
    expected = numpy(model.backbone(inputs)["sequence_output"]) @ kernel + bias
    outputs = model(inputs)
    assert set(outputs) == {"start_logits", "end_logits"}
    np.testing.assert_allclose(numpy(outputs["start_logits"]), expected[:, :, 0], atol=1e-5)
    np.testing.assert_allclose(numpy(outputs["end_logits"]), expected[:, :, 1], atol=1e-5)


def test_trains_on_positions(config, inputs):
    model = BertSpanPredictor(BertBackbone.from_config(config))
    losses = {name: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for name in model.output}
    model.compile("sgd", losses, jit_compile=False)
    labels = {"start_logits": np.array([1, 0, 0]), "end_logits": np.array([3, 2, 0])}
    assert np.isfinite(model.train_on_batch(inputs, labels)).all()


def test_only_a_backbone_is_accepted():
    with pytest.raises(ValueError, match=r"`backbone` must be a `BertBackbone`. Received: backbone=5"):
        BertSpanPredictor(5)


def test_the_unused_pooler_is_not_a_weight_but_stays_in_the_file(tmp_path, config):
    model = BertSpanPredictor(BertBackbone.from_config(config))
    assert not any("pooler" in weight.path for weight in model.weights)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.backbone.pooler.get_weights()[0], model.backbone.pooler.get_weights()[0])
    model.backbone.trainable = False
    assert len(model.trainable_weights) == len(model.weights) - len(model.backbone.weights) + 2
