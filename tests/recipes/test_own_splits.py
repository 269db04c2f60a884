"""Where a recipe splits its own data, it trains on any table or text that can be trained on, however small."""

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from kerasbert.data import ReadReport
from kerasbert.errors import BadInputError
from kerasbert.recipes import FineTuningSettings, PretrainingSettings, fine_tune, pretrain
from kerasbert.recipes.fine_tuning_rows import read_rows

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "new",
    "old",
    "day",
    *"0123456789",
    *(f"##{n}" for n in range(10)),
]
CONFIG = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}


@pytest.fixture
def start(tmp_path: Path) -> dict[str, Any]:
    """The settings that both kinds of runs share."""
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    config = {**CONFIG, "vocab_size": len(PIECES), "max_position_embeddings": 16}
    (tmp_path / "config.json").write_text(json.dumps(config))
    paths = {"output": "run", "model": "config.json", "vocabulary": "vocab.txt"}
    places = {name: str(tmp_path / path) for name, path in paths.items()}
    return {**places, "sequence_length": 8, "batch_size": 4, "show_progress": False}


def table(folder: Path, labels: list[Any], texts: list[str] | None = None) -> str:
    """A table with these labels, by default with texts that all differ."""
    texts = texts or [f"new day {number}" for number in range(len(labels))]
    rows = [json.dumps({"text": text, "label": label}) for text, label in zip(texts, labels, strict=True)]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    return str(folder / "rows.jsonl")


TABLES: dict[str, tuple[str, list[Any], list[str] | None]] = {
    "two rows": ("single_label_classification", ["a", "b"], None),
    "a class of one row": ("single_label_classification", ["a"] * 9 + ["b"], None),
    "each row its own class": ("single_label_classification", list("abcde"), None),
    "few different texts": ("single_label_classification", list("ab") * 4, ["new day", "old day"] * 4),
    "one text": ("single_label_classification", list("ab"), ["new day"] * 2),
    "rare labels of several": ("multi_label_classification", [["a"], ["a", "b"], ["c"], []], None),
    "two numbers": ("regression", [0.5, 1.5], None),
    "one number": ("regression", [0.5], None),
    "two sentences with tags": ("token_classification", [["O", "B-x", "O"], ["O", "O", "O"]], None),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_label_of_a_small_table_is_known_to_training(kind: str, start: dict[str, Any], tmp_path: Path) -> None:
    task, labels, texts = TABLES[kind]
    columns = {"text_column": "text", "label_column": "label"}
    if task == "token_classification":
        texts = [["new", "day", str(number)] for number in range(len(labels))]  # type: ignore[misc]
    settings = FineTuningSettings(**start, **columns, train=table(tmp_path, labels, texts), task=task)
    rows = read_rows(settings, report := ReadReport())
    assert len(rows.train)
    assert len(rows.validation)
    for part in (rows.train, rows.validation):
        assert len(part.targets(rows.labels) if task != "token_classification" else part.tags) == len(part)
    assert len(rows.train) + len(rows.validation) == len(labels) or "training needs every row" in str(report.warning())


@pytest.mark.parametrize("seed", range(20))
def test_every_label_of_a_random_table_is_known_to_training(seed: int, start: dict[str, Any], tmp_path: Path) -> None:
    draw = random.Random(seed)
    labels = [draw.choice("abcdefg") for _ in range(draw.randint(2, 40))]
    texts = [f"new day {draw.randint(0, 30)}" for _ in labels]
    share = draw.choice([0.01, 0.1, 0.5, 0.9])
    settings = FineTuningSettings(**start, train=table(tmp_path, labels, texts), validation_share=share)
    rows = read_rows(settings)
    assert {*rows.train.labels} == {*labels}
    assert len(rows.validation.targets(rows.labels))


@pytest.mark.parametrize("kind", ["two rows", "one number"])
def test_the_smallest_tables_are_trained_on(kind: str, start: dict[str, Any], tmp_path: Path) -> None:
    task, labels, texts = TABLES[kind]
    settings = FineTuningSettings(**start, train=table(tmp_path, labels, texts), task=task, epochs=1)
    tuned = fine_tune(settings, report := ReadReport())
    assert tuned.metrics["rows"] == 1
    assert "training needs every row" in str(report.warning())


def test_a_table_of_one_class_is_refused_before_training(start: dict[str, Any], tmp_path: Path) -> None:
    settings = FineTuningSettings(**start, train=table(tmp_path, ["a", "a"]))
    with pytest.raises(BadInputError, match="two classes"):
        fine_tune(settings)
    assert not Path(start["output"]).exists()


@pytest.mark.parametrize("count", [2, 5])
def test_few_documents_are_pretrained_on(count: int, start: dict[str, Any], tmp_path: Path) -> None:
    texts = "\n\n".join(f"new day {number}\nold day {number}" for number in range(count))
    (tmp_path / "text.txt").write_text(texts + "\n")
    settings = PretrainingSettings(
        **start, texts=str(tmp_path / "text.txt"), steps=1, long_share=0.0, dupe_factor=1, held_out_share=0.01
    )
    trained = pretrain(settings, report := ReadReport())
    assert trained.metrics["rows"] >= 2
    assert ("training needs every row" in str(report.warning())) == (count == 2)


def test_pairs_of_texts_are_split_together(start: dict[str, Any], tmp_path: Path) -> None:
    rows = [
        {"text": f"new day {a}", "pair": f"old day {b}", "label": "ab"[(a + b) % 2]}
        for a, b in itertools.product(range(3), range(3))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 2))
    settings = FineTuningSettings(**start, train=str(tmp_path / "rows.jsonl"), pair_column="pair", validation_share=0.2)
    split = read_rows(settings)
    train, held_out = ({*zip(*part.inputs, strict=True)} for part in (split.train, split.validation))
    assert held_out
    assert not train & held_out
