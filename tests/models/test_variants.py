"""Models with variants of the encoder: flat tokens, files, precisions and training as with a plain BERT."""

import keras
import numpy as np
import pytest

from kerasbert.models import BertBackbone, BertSequenceClassifier, flat_tokens, in_precision, resize_positions
from kerasbert.testing import check_model

pytestmark = pytest.mark.backend

VARIANTS = {
    "pre": {"norm_placement": "pre", "gated_feed_forward": True, "hidden_act": "silu", "position_type": "rotary"},
    "sandwich": {
        "norm_placement": "sandwich",
        "norm_type": "rms_norm",
        "use_bias": False,
        "position_type": "t5",
        "relative_buckets": 8,
    },
    "deepnorm": {
        "norm_placement": "deepnorm",
        "hidden_act": "relu_squared",
        "initialization": "fan_average",
        "position_type": "sine",
    },
    "relative": {"position_type": "relative", "relative_distance": 3},
    "alibi": {"position_type": "alibi", "scaled_attention": False},
    "none": {"position_type": "none"},
}


@pytest.fixture(params=list(VARIANTS))
def variant(request, calm_config):
    """A config without dropout, with variants."""
    return calm_config.replace(**VARIANTS[request.param])


@pytest.mark.parametrize("variant", ["sandwich"], indirect=True)
def test_contract(variant, inputs):
    check_model(
        lambda dtype: BertBackbone.from_config(variant, dtype=dtype), inputs, half_precisions=("mixed_bfloat16",)
    )


def test_flat_tokens_give_the_same_answers(variant, inputs, shake):
    backbone = BertBackbone.from_config(variant)
    shake(backbone)
    padded = backbone(inputs)
    with flat_tokens():
        flat = backbone(inputs)
    real = inputs["padding_mask"].astype(bool)
    hidden = [keras.ops.convert_to_numpy(outputs["sequence_output"])[real] for outputs in (flat, padded)]
    np.testing.assert_allclose(*hidden, atol=1e-5)
    np.testing.assert_allclose(flat["pooled_output"], padded["pooled_output"], atol=1e-5)


def test_longer_texts_need_no_new_weights(variant, inputs, shake):
    """Without a position table, only the limit changes. The answers for short texts stay the same."""
    backbone = BertBackbone.from_config(variant)
    shake(backbone)
    longer = resize_positions(backbone, 40)
    assert longer.bert_config == variant.replace(max_position_embeddings=40)
    assert longer.count_params() == backbone.count_params()
    long = {name: np.concatenate([values, values * 0] + [values * 0] * 3, axis=1) for name, values in inputs.items()}
    np.testing.assert_allclose(longer(long)["pooled_output"], backbone(inputs)["pooled_output"], atol=1e-5)
    with pytest.raises(ValueError, match="max_position_embeddings=10"):
        backbone(long)


@pytest.mark.parametrize("variant", ["pre", "sandwich", "deepnorm"], indirect=True)
def test_a_keras_file_has_the_same_model(variant, inputs, shake, tmp_path):
    model = BertSequenceClassifier(BertBackbone.from_config(variant), num_labels=3)
    shake(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.backbone.bert_config == variant
    np.testing.assert_array_equal(loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


@pytest.mark.parametrize("variant", ["pre", "sandwich"], indirect=True)
def test_all_kernels_are_rounded_to_8_bits(variant):
    reduced = in_precision(BertBackbone.from_config(variant), "int8")
    kernels = [weight for block in reduced.model.encoder_blocks for weight in block.weights if weight.name == "kernel"]
    assert {weight.path for weight, _ in reduced.rounded} == {
        *(weight.path for weight in kernels),
        reduced.model.embeddings.word_embeddings.path,
    }


@pytest.mark.parametrize("variant", ["pre"], indirect=True)
def test_training_reaches_every_weight(variant, inputs):
    model = BertSequenceClassifier(BertBackbone.from_config(variant), num_labels=3, dropout=0.0)
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]
    model.compile(keras.optimizers.Adam(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(inputs, np.array([0, 1, 2]), epochs=2, verbose=0)
    for weight, old in zip(model.trainable_variables, before, strict=True):
        if weight.path.endswith("key/bias"):
            continue  # adds the same number to all scores of a query
        assert np.any(keras.ops.convert_to_numpy(weight) != old), weight.path
