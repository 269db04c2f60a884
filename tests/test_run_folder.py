"""The folder of a run: whoever reads it refuses a newer format, and accepts files without one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kerasbert.errors import BadInputError
from kerasbert.recipes.exporting import run_facts
from kerasbert.reports import write_run_report
from kerasbert.run_folder import FORMAT, RunFolder

CONTENTS: dict[str, dict[str, Any]] = {
    "settings.json": {"command": "fine-tune", "settings": {"seed": 0, "train": ["a.csv"]}},
    "evaluation.json": {"metrics": {"accuracy": 0.5}},
}
# Each reads a run's folder.
READERS: dict[str, Callable[[Path], object]] = {
    "resuming": lambda folder: RunFolder(folder).begin("fine-tune", CONTENTS["settings.json"]["settings"]),
    "report": write_run_report,
    "export": lambda folder: run_facts(folder / "model"),
}


def run_of_format(folder: Path, name: str, version: Any) -> Path:
    """A run whose file `name` has another format than the others."""
    for each, content in CONTENTS.items():
        written = {"format": version if each == name else FORMAT, **content}
        (folder / each).write_text(json.dumps(written))
    return folder


@pytest.mark.parametrize("version", [FORMAT + 1, "1", True])
@pytest.mark.parametrize(
    ("reader", "name"),
    [("resuming", "settings.json"), *((reader, name) for reader in ("report", "export") for name in CONTENTS)],
)
def test_a_newer_format_is_refused(tmp_path: Path, reader: str, name: str, version: Any) -> None:
    run_of_format(tmp_path, name, version)
    with pytest.raises(BadInputError, match=r"at most 1\. Received: .* Use the version of kerasbert") as refused:
        READERS[reader](tmp_path)
    assert f"'{tmp_path / name}' with format={version!r}" in str(refused.value)


@pytest.mark.parametrize("version", [FORMAT, None])
@pytest.mark.parametrize("reader", READERS)
def test_files_of_this_format_and_without_a_format_are_read(tmp_path: Path, reader: str, version: Any) -> None:
    assert READERS[reader](run_of_format(tmp_path, "settings.json", version))


def test_a_run_of_a_newer_format_may_be_started_again(tmp_path: Path) -> None:
    run = RunFolder(run_of_format(tmp_path, "settings.json", FORMAT + 1))
    assert not run.begin("fine-tune", {"seed": 1}, restart=True)
    assert json.loads(run.settings.read_text())["format"] == FORMAT
