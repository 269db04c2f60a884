"""Small models and inputs that the model tests share."""

import numpy as np
import pytest

from kerasbert.config import BertConfig

SMALL = BertConfig(
    vocab_size=30,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=10,
)


@pytest.fixture
def config():
    """A config of two small blocks and ten positions."""
    return SMALL


@pytest.fixture
def calm_config():
    """The same without dropout."""
    return SMALL.replace(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


@pytest.fixture
def inputs():
    """Three rows of seven tokens, two of them padded."""
    generator = np.random.default_rng(0)
    lengths = np.array([[7], [4], [1]])
    mask = (np.arange(7) < lengths).astype("int32")
    return {
        "token_ids": generator.integers(1, 30, (3, 7)).astype("int32") * mask,
        "segment_ids": generator.integers(0, 2, (3, 7)).astype("int32") * mask,
        "padding_mask": mask,
    }


@pytest.fixture
def shake():
    """Give every weight a value far from its initial one, so that no two parts of a model look alike."""

    def shake(model, seed=0):
        generator = np.random.default_rng(seed)
        model.set_weights(
            [generator.normal(0.1, 0.2, weight.shape).astype("float32") for weight in model.get_weights()]
        )

    return shake
