"""A run that is refused leaves nothing in its folder, so that the next one may have other settings."""

import re
from pathlib import Path
from typing import Any

import pytest

from kerasbert.checkpoints import save
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.recipes import FineTuningSettings, PretrainingSettings, fine_tune, pretrain
from kerasbert.recipes.start import make_backbone

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
    "wrong",
    [
        {"learning_rate": float("nan")},
        {"clip_norm": 0.0},
        {"optimizer": "sgd"},
        {"seed": -1},
        {"schedule": "warmup_stable_decay", "warmup_share": 0.5, "decay_share": 0.6},
    ],
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


CONTRADICTIONS = {
    "case": ({"lower_case": False}, "lower_case=False, but '{model}' lower-cases text"),
    "accents": ({"strip_accents": False}, "strip_accents=False, but '{model}' removes accents"),
    "vocabulary": (
        {"vocabulary": "other.txt"},
        "vocabulary='{folder}/other.txt', but '{model}' has another vocabulary",
    ),
    "sizes": ({"model": "bert-mini"}, "model='bert-mini', but '{model}' has hidden_size 8, num_hidden_layers 1, "),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_settings_that_contradict_the_model_to_start_from(
    case: str, fine_tuning: dict[str, Any], start: dict[str, Any], tmp_path: Path
) -> None:
    changes, message = CONTRADICTIONS[case]
    vocabulary = Vocabulary.from_file(tmp_path / "vocab.txt")
    backbone = BertBackbone.from_config(BertConfig.from_json(tmp_path / "config.json"))
    model = save(backbone, tmp_path / "model", TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=8))
    (tmp_path / "other.txt").write_text("\n".join([*PIECES[:5], "days"]) + "\n")
    (tmp_path / "text.txt").write_text("new day\nold day\n\nold day\nnew day\n" * 8)
    changes = {name: str(tmp_path / value) if name == "vocabulary" else value for name, value in changes.items()}
    expected = re.escape(message.format(model=model, folder=tmp_path))
    with pytest.raises(BadInputError, match=expected):
        fine_tune(FineTuningSettings(**{**fine_tuning, "start_from": str(model), **changes}))
    text = {"texts": str(tmp_path / "text.txt"), "steps": 2, "long_share": 0.0}
    with pytest.raises(BadInputError, match=expected):
        pretrain(PretrainingSettings(**{**start, **text, "start_from": str(model), **changes}))
    assert not Path(start["output"]).exists()
    # What the model says itself is accepted.
    equal = {"lower_case": True, "strip_accents": True, "vocabulary": str(model / "vocab.txt")}
    settings = FineTuningSettings(**{**fine_tuning, "start_from": str(model), **equal}, precision="float32")
    assert make_backbone(settings, 8)[1].vocabulary == vocabulary
