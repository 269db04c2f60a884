"""The token classifier: logits for every token."""

import keras
import numpy as np
import pytest

from kerasbert.models import BertBackbone, BertTokenClassifier
from kerasbert.testing import check_model

pytestmark = pytest.mark.backend


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_contract(calm_config, inputs):
    check_model(
        lambda dtype: BertTokenClassifier(
            BertBackbone.from_config(calm_config, dtype=dtype), num_labels=3, dropout=0.0
        ),
        inputs,
        half_precisions=("mixed_float16",),
        jit_compile=False,
    )


def test_logits_are_a_dense_layer_on_each_hidden_state(config, inputs, shake):
    model = BertTokenClassifier(BertBackbone.from_config(config), num_labels=5, dropout=0.2)
    shake(model)
    kernel, bias = model.classifier.get_weights()
    expected = numpy(model.backbone(inputs)["sequence_output"]) @ kernel + bias
    logits = numpy(model(inputs))
    assert logits.shape == (3, 7, 5)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert model.output_names == ["logits"]
    assert model.dropout_layer.rate == model.dropout == 0.2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_labels": 0}, r"`num_labels` must .*Received: num_labels=0"),
        ({"dropout": -1}, r"`dropout` must .*Received: dropout=-1"),
        ({"backbone": None}, r"`backbone` must be a `BertBackbone`. Received: backbone=None"),
    ],
)
def test_invalid_arguments_are_refused(config, wrong, message):
    arguments = {"backbone": BertBackbone.from_config(config), "num_labels": 3}
    with pytest.raises(ValueError, match=message):
        BertTokenClassifier(**{**arguments, **wrong})


def test_the_unused_pooler_is_not_a_weight_but_stays_in_the_file(tmp_path, config):
    model = BertTokenClassifier(BertBackbone.from_config(config), num_labels=2)
    assert not any("pooler" in weight.path for weight in model.weights)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.backbone.pooler.get_weights()[0], model.backbone.pooler.get_weights()[0])
    model.backbone.trainable = False
    assert len(model.trainable_weights) == len(model.weights) - len(model.backbone.weights) + 2
