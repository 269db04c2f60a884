"""What a model card says of the run that left the model, and what it takes for no run."""

import json
from pathlib import Path

import pytest

from kerasbert.recipes.exporting import run_facts

SETTINGS = json.dumps({"command": "fine-tune", "settings": {"train": ["a.csv"], "test": [], "seed": 3}})
EVALUATION = json.dumps({"split": "test", "metrics": {"accuracy": 0.5, "loss": float("nan"), "per_label": {}}})


def facts(folder: Path, settings: str | None, evaluation: str | None) -> dict[str, object]:
    """Returns the facts of a model with these files next to its folder."""
    for name, text in (("settings.json", settings), ("evaluation.json", evaluation)):
        if text is not None:
            (folder / name).write_text(text)
    return run_facts(folder / "model")


def test_data_and_metrics_of_a_run(tmp_path: Path) -> None:
    expected = {"data": {"train": ["a.csv"]}, "metrics": {"test": {"accuracy": 0.5}}}
    assert facts(tmp_path, SETTINGS, EVALUATION) == expected


@pytest.mark.parametrize(
    "settings",
    [
        None,
        '{"editor.fontSize": 12}',
        '// of an editor\n{"editor.fontSize": 12}',
        '{"settings": {"train": "theirs"}}',
        '{"command": "fine-tune", "settings": 5}',
        "[]",
        "",
    ],
)
def test_other_peoples_settings_are_no_facts(tmp_path: Path, settings: str | None) -> None:
    assert facts(tmp_path, settings, EVALUATION) == {}


@pytest.mark.parametrize("evaluation", [None, "{}", '{"metrics": [1]}', "[]", '{"metrics":'])
def test_a_run_without_readable_metrics_still_has_data(tmp_path: Path, evaluation: str | None) -> None:
    assert facts(tmp_path, SETTINGS, evaluation) == {"data": {"train": ["a.csv"]}}
