"""Small models whose weights all differ, their preprocessing, and folders with them."""

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kerasbert import models
from kerasbert.checkpoints import save
from kerasbert.config import BertConfig
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "##s", "dog", "the", "!", "cat", "##ä", "é")
# All sizes differ, so that no axis can be mistaken for another one.
CONFIG = BertConfig(
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
HEADS: dict[str, Callable[..., keras.Model]] = {
    "backbone": lambda backbone: backbone,
    "pretrainer": models.BertPretrainer,
    "single label": lambda backbone: models.BertSequenceClassifier(backbone, 3, dropout=0.3),
    "multi-label": lambda backbone: models.BertSequenceClassifier(backbone, 2, "multi_label_classification"),
    "regression": lambda backbone: models.BertSequenceClassifier(backbone, 1, "regression", dropout=0.0),
    "tokens": lambda backbone: models.BertTokenClassifier(backbone, 5, dropout=0.4),
    "spans": models.BertSpanPredictor,
    "choices": lambda backbone: models.BertMultipleChoice(backbone, dropout=0.0),
    "sentences": lambda backbone: models.BertSentenceEncoder(backbone, "mean", normalize=True),
    "sentences by maximum": lambda backbone: models.BertSentenceEncoder(backbone, "max", normalize=False),
    "projected sentences": lambda backbone: models.BertSentenceEncoder(
        backbone,
        ["last", "cls"],
        projections=[{"units": 6, "activation": "tanh"}, {"units": 5, "activation": "gelu_erf", "use_bias": False}],
    ),
}


@functools.cache
def _model(kind: str, config: BertConfig = CONFIG) -> keras.Model:
    model = HEADS[kind](models.BertBackbone.from_config(config))
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if "seed_generator" not in variable.path:
            variable.assign(generator.normal(0.5, 0.4, tuple(variable.shape)).astype("float32"))
    return model


@pytest.fixture(scope="session")
def make_model() -> Callable[..., keras.Model]:
    """`make_model(kind, config)`: the same model at every call, which must not be changed.

    Every weight has different random numbers: the zeros of a new bias would hide that it was lost.
    """
    return _model


@pytest.fixture(scope="session")
def config() -> BertConfig:
    return CONFIG


@pytest.fixture(scope="session")
def text_to_inputs() -> TextToInputs:
    return TextToInputs(WordPieceTokenizer(Vocabulary(PIECES), strip_accents=False), sequence_length=9)


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory) -> Callable[[str, bool, str], Path]:
    @functools.cache
    def saved(kind: str, preprocessing: bool, format: str) -> Path:
        text_to_inputs = TextToInputs(WordPieceTokenizer(Vocabulary(PIECES), strip_accents=False), sequence_length=9)
        folder = tmp_path_factory.mktemp("saved") / "model"
        return save(_model(kind), folder, text_to_inputs if preprocessing else None, format=format)

    return saved


@pytest.fixture
def saved(saved_models, tmp_path) -> Callable[..., Path]:
    """`saved(kind)`: a new folder with that model, which the test may change."""

    def copy(kind: str = "backbone", preprocessing: bool = False, format: str = "hugging_face") -> Path:
        return Path(shutil.copytree(saved_models(kind, preprocessing, format), tmp_path / "model"))

    return copy


@pytest.fixture(scope="session")
def edit_json() -> Callable[..., None]:
    """`edit_json(path, key=value)`: sets keys, and removes those with the value None."""

    def edit(path: Path, **changes: Any) -> None:
        values = {**(json.loads(path.read_text()) if path.is_file() else {}), **changes}
        path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))

    return edit


@pytest.fixture(scope="session")
def edit_weights() -> Callable[[Path, Callable[[dict[str, np.ndarray]], Any]], None]:
    """`edit_weights(folder, change)`: calls `change` with the arrays of the safetensors file, and saves them."""

    def edit(folder: Path, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
        arrays = load_file(folder / "model.safetensors")
        change(arrays)
        save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})

    return edit


@pytest.fixture(scope="session")
def assert_same_weights() -> Callable[[keras.Model, keras.Model], None]:
    """Requires the same weights bit for bit, in the same order."""

    def compare(one: keras.Model, other: keras.Model) -> None:
        ours = [variable for variable in one.weights if "seed_generator" not in variable.path]
        theirs = [variable for variable in other.weights if "seed_generator" not in variable.path]
        assert [_place(variable) for variable in ours] == [_place(variable) for variable in theirs]
        for mine, yours in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(np.asarray(mine), np.asarray(yours), mine.path)

    return compare


def _place(variable: Any) -> str:
    """The variable's path without the model's name, which Keras numbers."""
    return variable.path.split("/", 1)[-1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).parents[3] / "shared/data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not on this machine")
    return folder
