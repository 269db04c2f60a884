"""The sentence encoder: pooled over real tokens, length 1 on request."""

import keras
import numpy as np
import pytest

from kerasbert.models import BertBackbone, BertSentenceEncoder
from kerasbert.testing import check_model

pytestmark = pytest.mark.backend


def numpy(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def test_contract(calm_config, inputs):
    check_model(
        lambda: BertSentenceEncoder(BertBackbone.from_config(calm_config)),
        inputs,
        half_precisions=("mixed_float16",),
        jit_compile=False,
    )


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
@pytest.mark.parametrize("normalize", [True, False])
def test_pools_the_hidden_states_of_real_tokens(config, inputs, shake, pooling, normalize):
    model = BertSentenceEncoder(BertBackbone.from_config(config), pooling=pooling, normalize=normalize)
    shake(model)
    hidden = numpy(model.backbone(inputs)["sequence_output"])
    rows = [row[: mask.sum()] for row, mask in zip(hidden, inputs["padding_mask"], strict=True)]
    function = {"cls": lambda row: row[0], "mean": lambda row: row.mean(0), "max": lambda row: row.max(0)}[pooling]
    expected = np.stack([function(row) for row in rows])
    if normalize:
        expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(numpy(model(inputs)), expected, atol=1e-5)
    again = BertSentenceEncoder.from_config(model.get_config())
    assert (again.pooling, again.normalize) == (pooling, normalize)


def test_vectors_in_float16_have_length_1(config, inputs):
    model = BertSentenceEncoder(BertBackbone.from_config(config, dtype="mixed_float16"))
    np.testing.assert_allclose(np.linalg.norm(numpy(model(inputs)), axis=-1), 1.0, atol=1e-5)


def test_a_text_of_nothing_but_padding_gives_zeros(config, inputs):
    model = BertSentenceEncoder(BertBackbone.from_config(config))
    vectors = model({**inputs, "padding_mask": np.zeros_like(inputs["padding_mask"])})
    np.testing.assert_array_equal(numpy(vectors), 0.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pooling": "sum"}, r"`mode` must be one of .*Received: mode='sum'"),
        ({"normalize": "yes"}, r"`normalize` must be True or False. Received: normalize='yes'"),
        ({"backbone": 1}, r"`backbone` must be"),
    ],
)
def test_impossible_arguments_are_refused(config, wrong, message):
    with pytest.raises(ValueError, match=message):
        BertSentenceEncoder(**{"backbone": BertBackbone.from_config(config), **wrong})


def test_the_unused_pooler_is_no_weight_but_stays_in_the_file(tmp_path, config):
    model = BertSentenceEncoder(BertBackbone.from_config(config))
    assert not any("pooler" in weight.path for weight in model.weights)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.backbone.pooler.get_weights()[0], model.backbone.pooler.get_weights()[0])
    model.backbone.trainable = False
    assert len(model.trainable_weights) == len(model.weights) - len(model.backbone.weights) + 2
