"""Adapters of low rank train alone, and disappear into the kernels without a change of answers."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertSequenceClassifier, BertTokenClassifier
from kerasbert.training import (
    adamw,
    add_low_rank_adapters,
    compile_classifier,
    freeze,
    layer_wise_factors,
    merged_adapters,
)

pytestmark = pytest.mark.backend

RANK, HIDDEN, BLOCKS = 3, 16, 2
IDS = np.random.default_rng(5).integers(1, 30, (3, 6)).astype("int32")
INPUTS = {"token_ids": IDS, "segment_ids": IDS % 2, "padding_mask": np.ones_like(IDS)}


def new_model(kind):
    keras.utils.set_random_seed(3)
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": BLOCKS, "num_attention_heads": 2, "intermediate_size": 24}
    return kind(BertBackbone.from_config(BertConfig(vocab_size=30, max_position_embeddings=8, **sizes)), num_labels=3)


def numbers(variables):
    return {variable.path: ops.convert_to_numpy(variable).copy() for variable in variables}


@pytest.mark.parametrize(("kind", "labels"), [(BertSequenceClassifier, IDS[:, 0] % 3), (BertTokenClassifier, IDS % 3)])
def test_only_adapters_and_head_train_and_the_merged_model_is_plain_and_equal(kind, labels):
    model = new_model(kind)
    plain_weights, before = model.count_params(), ops.convert_to_numpy(model(INPUTS))
    has_pooler = kind is BertSequenceClassifier
    add_low_rank_adapters(model, RANK)
    np.testing.assert_array_equal(ops.convert_to_numpy(model(INPUTS)), before)
    matrices, head = BLOCKS * 2 * 2 * RANK * HIDDEN, 3 * HIDDEN + 3 + has_pooler * (HIDDEN * HIDDEN + HIDDEN)
    assert sum(np.prod(variable.shape) for variable in model.trainable_variables) == matrices + head

    fixed = numbers(model.non_trainable_weights)
    compile_classifier(model, adamw(0.1), "single_label_classification")
    for _ in range(2):
        model.train_on_batch(INPUTS, labels)
    for path, value in numbers(model.non_trainable_weights).items():
        np.testing.assert_array_equal(value, fixed[path])
    answers = ops.convert_to_numpy(model(INPUTS))
    assert np.abs(answers - before).max() > 0.1

    merged = merged_adapters(model)
    assert merged.count_params() == plain_weights
    assert merged.get_config() == model.get_config()
    np.testing.assert_allclose(ops.convert_to_numpy(merged(INPUTS)), answers, atol=1e-6)


def test_frozen_blocks_get_no_adapters_and_others_their_own_learning_rates():
    model = new_model(BertSequenceClassifier)
    freeze(model, blocks=1)
    add_low_rank_adapters(model, RANK)
    first, second = model.backbone.encoder_blocks
    assert not first.trainable_variables
    paths = [variable.path for variable in second.trainable_variables]
    assert len(set(paths)) == 4
    factors = layer_wise_factors(model, 0.5)
    assert [factors[path] for path in paths] == [0.5] * 4
