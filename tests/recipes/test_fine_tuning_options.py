"""Options that change what fine-tuning trains: their promises hold in the saved model, and after a kill."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasbert.checkpoints import load, load_backbone, save
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.recipes import FineTuningSettings, fine_tune, fine_tuning_batches

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "new", "old", "day", "night"]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
ROWS = "new day,a\nold day,b\nnew night,a\nold night,b\n"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A saved encoder and a table, as settings: two epochs of two steps."""
    folder = tmp_path_factory.mktemp("start")
    keras.utils.set_random_seed(2)
    backbone = BertBackbone.from_config(BertConfig(vocab_size=9, max_position_embeddings=16, **SIZES))
    model = save(backbone, folder / "model", TextToInputs(WordPieceTokenizer(Vocabulary(PIECES)), sequence_length=8))
    (folder / "train.csv").write_text("text,label\n" + ROWS * 2)
    rows = {"train": folder / "train.csv", "validation": folder / "train.csv"}
    lengths = {"sequence_length": 8, "batch_size": 4, "epochs": 2, "checkpoint_every": 1, "log_every": 1}
    return {"start_from": model, **rows, **lengths, "learning_rate": 1e-2, "show_progress": False}


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights by path."""
    return {weight.path: np.array(weight) for weight in model.weights}


def saved_weights(folder: Path) -> list[np.ndarray]:
    return [np.array(weight) for weight in load(folder / "model").model.weights]


def assert_equal_after_a_kill(settings: dict[str, Any], folder: Path, killed_folder: Path, resumed: Any) -> None:
    """Kill the same run in its last validation, and let it go on: its saved model is that of `folder`."""
    resumed(
        fine_tuning_batches,
        "evaluate_classifier",
        lambda: fine_tune(FineTuningSettings(**settings, output=killed_folder)),
    )
    for ours, expected in zip(saved_weights(killed_folder), saved_weights(folder), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_frozen_blocks_and_embeddings_keep_their_bits(
    start: dict[str, Any], tmp_path: Path, killed_and_resumed: Any
) -> None:
    settings = {**start, "freeze_layers": 1, "freeze_embeddings": True, "label_smoothing": 0.1, "ema": 0.5}
    tuned = fine_tune(FineTuningSettings(**settings, output=tmp_path / "run"))
    assert tuned.model.loss.label_smoothing == 0.1
    assert tuned.history.rows[-1]["loss"] == pytest.approx(tuned.metrics["loss"], rel=1e-6)
    before, after = (weights(load_backbone(path).model) for path in (start["start_from"], tmp_path / "run" / "model"))
    same = {path for path in before if np.array_equal(before[path], after[path])}
    assert same == {path for path in before if path.startswith(("embeddings/", "encoder_block_0/"))}
    assert_equal_after_a_kill(settings, tmp_path / "run", tmp_path / "killed", killed_and_resumed)


def test_adapters_of_low_rank_are_merged_into_a_plain_model_with_r_drop_too(
    start: dict[str, Any], tmp_path: Path, killed_and_resumed: Any
) -> None:
    settings = {**start, "lora": 2, "r_drop": 2.0}
    tuned = fine_tune(FineTuningSettings(**settings, output=tmp_path / "run"))
    assert tuned.history.rows[-1]["loss"] == pytest.approx(tuned.metrics["loss"], rel=1e-6)
    before, after = (weights(load_backbone(path).model) for path in (start["start_from"], tmp_path / "run" / "model"))
    assert before.keys() == after.keys()
    changed = {path.rpartition("/")[0] for path in before if not np.array_equal(before[path], after[path])}
    kernels = {f"encoder_block_{block}/attention/{kind}" for block in (0, 1) for kind in ("query", "value")}
    assert changed == {"pooler", *kernels}
    assert_equal_after_a_kill(settings, tmp_path / "run", tmp_path / "killed", killed_and_resumed)


def test_label_smoothing_is_refused_for_numbers(start: dict[str, Any], tmp_path: Path) -> None:
    table = tmp_path / "numbers.csv"
    table.write_text("text,label\n" + "new day,1\nold day,2\n" * 4)
    numbers = {"train": table, "validation": table, "task": "regression", "output": tmp_path / "run"}
    with pytest.raises(
        BadInputError, match=r"Received: label_smoothing=0\.5 for regression\. Remove `label_smoothing`"
    ):
        fine_tune(FineTuningSettings(**{**start, **numbers}, label_smoothing=0.5))
    assert not (tmp_path / "run").exists()


def test_early_stopping_would_not_keep_the_average(start: dict[str, Any], tmp_path: Path) -> None:
    settings = FineTuningSettings(**start, output=tmp_path / "run", ema=0.9, early_stopping_patience=1)
    with pytest.raises(BadInputError, match=r"Received: ema=0\.9 with early_stopping_patience=1\. Remove `ema` or"):
        fine_tune(settings)
    assert not (tmp_path / "run").exists()


def test_blocks_that_do_not_exist_cannot_be_frozen(start: dict[str, Any], tmp_path: Path) -> None:
    settings = {**start, "output": tmp_path / "run"}
    with pytest.raises(BadInputError, match=r"Received: 3 blocks to freeze, but the model has 2\. Choose .* 0 to 2"):
        fine_tune(FineTuningSettings(**settings, freeze_layers=3))
    assert not (tmp_path / "run").exists()
    fine_tune(FineTuningSettings(**{**settings, "epochs": 1}, freeze_layers=2))
