"""Multiple choice: each choice is scored as if it were alone."""

import keras
import numpy as np
import pytest

from kerasbert.models import BertBackbone, BertMultipleChoice
from kerasbert.testing import check_model

pytestmark = pytest.mark.backend


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture
def choices(inputs):
    """Two questions of three choices: the rows of `inputs`, and the same in another order."""
    return {name: np.stack([value, value[[2, 0, 1]]]) for name, value in inputs.items()}


def test_contract(calm_config, choices):
    # The padding checks only know masks [batch, tokens], and this one has three dimensions: see the tests below.
    check_model(
        lambda dtype: BertMultipleChoice(BertBackbone.from_config(calm_config, dtype=dtype), dropout=0.0),
        choices,
        half_precisions=("mixed_float16",),
        jit_compile=False,
    )


def test_each_choice_is_scored_alone(config, inputs, choices, shake):
    model = BertMultipleChoice(BertBackbone.from_config(config))
    shake(model)
    kernel, bias = model.classifier.get_weights()
    scores = (numpy(model.backbone(inputs)["pooled_output"]) @ kernel + bias)[:, 0]
    logits = numpy(model(choices))
    np.testing.assert_allclose(logits, [scores, scores[[2, 0, 1]]], atol=1e-5)
    fewer = {name: value[:, :2] for name, value in choices.items()}
    np.testing.assert_allclose(numpy(model(fewer)), logits[:, :2], atol=1e-5)


def test_padding_changes_no_score(config, choices, shake):
    model = BertMultipleChoice(BertBackbone.from_config(config))
    shake(model)
    padded = {name: np.pad(value, ((0, 0), (0, 0), (0, 2))) for name, value in choices.items()}
    np.testing.assert_allclose(numpy(model(padded)), numpy(model(choices)), atol=1e-5)


def test_fits_with_integer_labels(config, choices):
    model = BertMultipleChoice(BertBackbone.from_config(config), dropout=0.3)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    assert np.isfinite(model.train_on_batch(choices, np.array([0, 1])))
    assert model.dropout_layer.rate == model.dropout == 0.3


def test_invalid_arguments_are_refused(config):
    with pytest.raises(ValueError, match=r"`dropout` must .*Received: dropout=2"):
        BertMultipleChoice(BertBackbone.from_config(config), dropout=2)
