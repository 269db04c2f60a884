"""Small models with weights that are all different, and their preprocessing."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "##s", "dog", "the", "!", "cat", "##ä", "é")


@pytest.fixture
def config() -> BertConfig:
    """Every size another, so that no axis can pass for another one."""
    return BertConfig(
        vocab_size=len(PIECES),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        hidden_act="gelu_erf",
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.05,
        max_position_embeddings=10,
        type_vocab_size=3,
        layer_norm_eps=1e-6,
    )


def _randomized(model: keras.Model) -> keras.Model:
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if "seed_generator" not in variable.path:
            variable.assign(generator.normal(0.5, 0.4, tuple(variable.shape)).astype("float32"))
    return model


@pytest.fixture
def randomized() -> Callable[[keras.Model], keras.Model]:
    """Gives every weight its own random numbers: fresh biases are zero, and a lost one would go unseen."""
    return _randomized


@pytest.fixture
def backbone(config: BertConfig) -> BertBackbone:
    return _randomized(BertBackbone.from_config(config))


@pytest.fixture
def text_to_inputs() -> TextToInputs:
    return TextToInputs(WordPieceTokenizer(Vocabulary(PIECES), strip_accents=False), sequence_length=9)


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    return {
        "token_ids": generator.integers(0, len(PIECES), (3, 7)).astype("int32"),
        "segment_ids": generator.integers(0, 3, (3, 7)).astype("int32"),
        "padding_mask": np.array([[1] * 7, [1] * 4 + [0] * 3, [1] + [0] * 6], "int32"),
    }


@pytest.fixture
def assert_same_weights() -> Callable[[keras.Model, keras.Model], None]:
    """Compares bit for bit, and in the same order."""
    return _assert_same_weights


def _assert_same_weights(one: keras.Model, other: keras.Model) -> None:
    ours = [variable for variable in one.weights if "seed_generator" not in variable.path]
    theirs = [variable for variable in other.weights if "seed_generator" not in variable.path]
    assert [variable.path.split("/", 1)[-1] for variable in ours] == [
        variable.path.split("/", 1)[-1] for variable in theirs
    ]
    for mine, yours in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(yours), mine.path)


@pytest.fixture
def shared_data() -> Path:
    folder = Path(__file__).parents[3] / "shared/data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not on this machine")
    return folder
