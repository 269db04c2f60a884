"""Class weights reach the loss, and those that do not fit the data are refused before training."""

from pathlib import Path
from typing import Any

import pytest

from kerasbert.errors import BadInputError
from kerasbert.recipes import FineTuningSettings, fine_tune

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "new", "old", "day"]
CONFIG = (
    '{"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, '
    '"intermediate_size": 8, "max_position_embeddings": 16}'
)


def first_loss(folder: Path, class_weights: Any) -> float:
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (folder / "config.json").write_text(CONFIG)
    (folder / "train.csv").write_text("text,label\n" + "new day,1\n" * 3 + "old day,2\n")
    tuned = fine_tune(
        FineTuningSettings(
            output=folder / f"run-{class_weights}",
            model=folder / "config.json",
            vocabulary=folder / "vocab.txt",
            train=folder / "train.csv",
            validation=folder / "train.csv",
            sequence_length=8,
            epochs=1,
            class_weights=class_weights,
            show_progress=False,
        )
    )
    return float(next(row["loss"] for row in tuned.history.rows if row["split"] == "train"))


def test_the_loss_is_weighted(tmp_path: Path) -> None:
    plain, doubled = first_loss(tmp_path, None), first_loss(tmp_path, "1=2,2=2")
    assert doubled == pytest.approx(2 * plain, rel=1e-5)
    only_first, only_second = first_loss(tmp_path, {"2": 1e-9}), first_loss(tmp_path, {"1": 1e-9})
    assert only_first + only_second == pytest.approx(plain, rel=1e-5)
    # scikit-learn's rule: 4 rows / (2 labels * 3 rows) and 4 / (2 * 1).
    assert first_loss(tmp_path, "balanced") == pytest.approx(only_first * 4 / 6 + only_second * 2, rel=1e-5)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"`class_weights` must name labels .* Received: 3\. The labels are: 1, 2"):
        first_loss(tmp_path, {"3": 2.0})
    assert not list(tmp_path.glob("run*"))
    (tmp_path / "numbers.csv").write_text("text,label\n" + "new day,1\nold day,2\n" * 3)
    numbers = {"train": tmp_path / "numbers.csv", "validation": tmp_path / "numbers.csv", "task": "regression"}
    start = {"model": tmp_path / "config.json", "vocabulary": tmp_path / "vocab.txt", "sequence_length": 8}
    with pytest.raises(BadInputError, match=r"a task with labels\. Received: `class_weights` for regression"):
        fine_tune(FineTuningSettings(output=tmp_path / "run", class_weights="balanced", **numbers, **start))
