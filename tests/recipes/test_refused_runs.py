"""A run that is refused leaves nothing in its folder, so that the next one may have other settings."""

from pathlib import Path
from typing import Any

import pytest

from kerasbert.recipes import FineTuningSettings, PretrainingSettings, fine_tune, pretrain

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "new", "old", "day"]
CONFIG = (
    '{"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, '
    '"intermediate_size": 8, "max_position_embeddings": 16}'
)


@pytest.fixture
def start(tmp_path: Path) -> dict[str, Any]:
    """The settings that both kinds of runs share."""
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (tmp_path / "config.json").write_text(CONFIG)
    paths = {"output": "run", "model": "config.json", "vocabulary": "vocab.txt"}
    return {**{name: str(tmp_path / path) for name, path in paths.items()}, "sequence_length": 8}


@pytest.fixture
def fine_tuning(start: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    table = tmp_path / "train.csv"
    table.write_text("text,label\n" + "new day,a\nold day,b\n" * 2)
    return {**start, "train": (str(table),), "validation": (str(table),)}


@pytest.mark.parametrize(
    "wrong", [{"learning_rate": float("nan")}, {"clip_norm": 0.0}, {"optimizer": "sgd"}, {"seed": -1}]
)
def test_an_impossible_optimizer_or_seed(fine_tuning: dict[str, Any], start: dict[str, Any], wrong: Any) -> None:
    text = Path(start["vocabulary"]).with_name("text.txt")
    text.write_text("new day\nold day\n\nold day\nnew day\n" * 8)
    with pytest.raises(ValueError, match=r"Received: "):
        fine_tune(FineTuningSettings(**fine_tuning, **wrong))
    with pytest.raises(ValueError, match=r"Received: "):
        pretrain(PretrainingSettings(**start, texts=(str(text),), steps=2, long_share=0.0, **wrong))
    assert not Path(start["output"]).exists()


@pytest.mark.parametrize(
    ("task", "monitor"),
    [("single_label_classification", "mse"), ("regression", "accuracy"), ("token_classification", "macro_f1")],
)
def test_a_metric_that_the_task_does_not_have(fine_tuning: dict[str, Any], task: Any, monitor: str) -> None:
    settings = FineTuningSettings(**fine_tuning, task=task, monitor=monitor)
    with pytest.raises(ValueError, match=rf"Received: monitor='{monitor}' for {task}\. Choose one of loss, "):
        fine_tune(settings)
    assert not Path(fine_tuning["output"]).exists()
