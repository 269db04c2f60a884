"""`kerasbert check-data`: what it prints, writes and refuses."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., object]


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "train.csv"
    path.write_text("text,label\n" + "the cat is here,a\nthe dog is here,b\nthe cat is here,b\nthe saw is new,b\n" * 3)
    return path


def test_limits_stop_with_exit_code_1_after_the_files_are_written(
    command: Command, train: Path, tiny_files: Path, tmp_path: Path
) -> None:
    arguments = ("check-data", train, "--test", tiny_files / "rows.csv", "--model", tiny_files / "model")
    passed = command(*arguments, "--max-duplicates", 0.75, "--max-too-long", 0)
    assert passed.code == 0
    assert "12 rows, 4 test rows\n  Same text, different labels: 6 (50.0%)\n" in passed.out
    failed = command(*arguments, "--max-duplicates", 0.7, "--max-conflicts", 0, "-o", tmp_path / "out")
    assert failed.code == 1
    assert failed.error == (
        "kerasbert: The data exceed a limit. 9 of 12 (75.0%) rows repeat an earlier row: more than `--max-duplicates` "
        "= 0.7. 6 of 12 (50.0%) rows have a text that also occurs with another label: more than `--max-conflicts` = 0."
    )
    assert json.loads((tmp_path / "out" / "data_check.json").read_text())["duplicates"]["count"] == 9
    assert str(tmp_path / "out" / "data_check.html") in failed.out


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("--max-overlap", 0), "`--max-overlap` needs test rows. Received: none. Pass `--test`"),
        (("--max-too-long", 0), "`--max-too-long` needs a model's vocabulary. Received: none. Pass `--model`"),
        (
            ("--task", "multi_label_classification", "--max-conflicts", 0),
            "`--max-conflicts` needs one label for each row. Received: none. Check a table with one label",
        ),
        (("--label-column", "topic"), "topic"),
    ],
)
def test_what_cannot_be_checked_is_one_line(command: Command, train: Path, given: tuple, line: str) -> None:
    result = command("check-data", train, *given)
    assert result.code == 1
    assert line in result.error


def test_a_model_without_a_vocabulary_is_one_line(
    command: Command, train: Path, tiny_files: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_files / "model", tmp_path / "model")
    for name in ("vocab.txt", "tokenizer_config.json", "tokenizer.json"):
        (model / name).unlink(missing_ok=True)
    result = command("check-data", train, "--model", model)
    assert result.code == 1
    assert "vocabulary" in result.error


@pytest.mark.parametrize("module", ["datasketch", "sklearn.linear_model"])
def test_a_missing_extra_is_one_line_with_the_fix(
    module: str, command: Command, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    result = command("check-data", train)
    assert result.code == 1
    assert 'pip install "kerasbert[data-check]"' in result.error


def test_a_missing_report_extra_is_noticed_before_the_work(
    command: Command, train: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = command("check-data", train, "--output", tmp_path / "out")
    assert result.code == 1
    assert 'pip install "kerasbert[report]"' in result.error
    assert result.out == ""
    assert not (tmp_path / "out").exists()
