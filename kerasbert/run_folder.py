"""The folder of one training run: the names, types and versions of its files.

| name | content |
| --- | --- |
| `settings.json` | settings of the run, and versions of the packages that it used: `SettingsFile` |
| `history.jsonl` | metrics during training, one `HistoryRow` per line in the order of training |
| `checkpoints/` | training states, from which an interrupted run resumes |
| `tensorboard/` | the metrics of `history.jsonl` for TensorBoard |
| `data/` | instances made from text (pretraining) |
| `model/` | the trained model with its vocabulary and labels |
| `evaluation.json` | metrics on held-out data, and other results for the report: `Evaluation` |
| `report.html` | the report |

The JSON files are UTF-8. Readers ignore unknown keys. Any file and any key may be missing, or null. `FORMAT` increases
when an old reader would misread a new file, and readers refuse files with a newer format.
"""

import json
import os
import platform
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

FORMAT = 1

SETTINGS = "settings.json"
HISTORY = "history.jsonl"
EVALUATION = "evaluation.json"
REPORT = "report.html"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
DATA = "data"
MODEL = "model"
# Files of a finished run that are worth keeping, in addition to the model.
RECORDS = (SETTINGS, HISTORY, EVALUATION, TENSORBOARD)

# Settings that may change when a run resumes, because they do not change the weights.
FREE_SETTINGS = frozenset({"output", "restart", "max_unknown_share", "checkpoint_every", "log_every", "show_progress"})

_PACKAGES = ("kerasbert", "keras", "tensorflow", "tensorflow-text", "numpy")


class SettingsFile(TypedDict, total=False):
    """`settings.json`.

    Attributes:
        format: `FORMAT`, of all files of the folder.
        command: "pretrain" or "fine-tune".
        settings: The settings of the run by name.
        versions: Package -> version.
    """

    format: int
    command: str
    settings: dict[str, Any]
    versions: dict[str, str]


class HistoryRow(TypedDict, total=False):
    """A line of `history.jsonl`. All other keys are metrics, which are numbers; NaN and Infinity are allowed.

    Attributes:
        phase: The phase of training; "" if there is only one.
        step: Batches trained on so far, over all phases.
        split: "train" (the default) or "validation".
    """

    phase: str
    step: int
    split: str


class Evaluation(TypedDict, total=False):
    """`evaluation.json`.

    Attributes:
        format: `FORMAT`.
        split: The name of the evaluated rows, e.g. "test".
        metrics: `{name: number}`. A mapping of names to mappings, e.g. `per_label`, becomes a table.
        confusion_matrix: Counts [C, C], row = true, column = predicted, with `labels`.
        labels: The C label names of the confusion matrix.
        comparison: `{"columns": [...], "rows": [[...] or {...}, ...], "title": str, "note": str}`; the texts are
            optional.
        lengths: `{set of texts: [tokens, ...] or {tokens: number of texts}}`.
        sequence_length: Where longer texts were truncated, in tokens.
        vocabulary: What `kerasbert.reports.vocabulary_statistics` returns.
        attention: `{"pieces": [...], "attention": [N][T][T] or [L][N][T][T]}`, without padding.
        answers: `[{"text": str or [str, str], "live": A, "rest": A, "grpc": A, "expected": str}, ...]`, where A is
            `{"label": str, "probability": number}`. Unused ways are missing, and so is an unknown `expected`.
    """

    format: int
    split: str
    metrics: dict[str, Any]
    confusion_matrix: list[Any]
    labels: list[Any]
    comparison: dict[str, Any]
    lengths: dict[str, Any]
    sequence_length: int
    vocabulary: dict[str, Any]
    attention: dict[str, Any]
    answers: list[Any]


def check_format(path: Path, content: Any) -> None:
    """Refuses a run's file if a newer version of kerasbert wrote it in a newer format.

    Args:
        path: The file, for the message.
        content: The JSON in it.

    Raises:
        BadInputError: `format` is not a number up to `FORMAT`. A file without one is accepted.

    Example:
        >>> check_format(Path("evaluation.json"), {"format": 2})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        kerasbert.errors.BadInputError: A run's files must have a format of at most 1. Received: ... with format=2. ...
    """
    written = content.get("format") if isinstance(content, dict) else None
    if written is None or (type(written) is int and written <= FORMAT):
        return
    raise BadInputError(
        f"A run's files must have a format of at most {FORMAT}. Received: '{path}' with format={written!r}. "
        "Use the version of kerasbert that wrote the file, or a newer one."
    )


class RunFolder:
    """The paths of a run, and the rules for starting and resuming it.

    Args:
        path: The run's folder, which need not exist yet.

    Attributes:
        path: The run's folder.
        settings: `settings.json`.
        history: `history.jsonl`.
        evaluation: `evaluation.json`.
        report: `report.html`.
        checkpoints: The folder of training states.
        tensorboard: The folder of TensorBoard's files.
        data: The folder of instances.
        model: The folder of the trained model.

    Example:
        >>> RunFolder("runs/first").history.as_posix()
        'runs/first/history.jsonl'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.settings = self.path / SETTINGS
        self.history = self.path / HISTORY
        self.evaluation = self.path / EVALUATION
        self.report = self.path / REPORT
        self.checkpoints = self.path / CHECKPOINTS
        self.tensorboard = self.path / TENSORBOARD
        self.data = self.path / DATA
        self.model = self.path / MODEL

    def begin(self, command: str, settings: Mapping[str, Any], restart: bool = False) -> bool:
        """Makes the folder, or finds an interrupted run with the same settings in it.

        Args:
            command: "pretrain" or "fine-tune".
            settings: The settings of the run, as JSON values.
            restart: Whether to delete an earlier run, whatever its settings.

        Returns:
            Whether the folder contains a run with these settings, which must be resumed.

        Raises:
            BadInputError: The folder is a file, or contains a run with other settings or something else.
            OSError: The folder cannot be written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise BadInputError(f"`output` must be a folder. Received: '{self.path}', a file. Use another `output`.")
        if self.settings.exists() and restart:
            self.remove()
        if self.settings.exists():
            self._check_same(command, settings)
            return True
        if self.path.exists() and any(self.path.iterdir()):
            raise BadInputError(
                "`output` must be a new or empty folder, or that of an earlier run. "
                f"Received: '{self.path}', which contains something else. Use another `output`."
            )
        versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}
        begun: SettingsFile = {
            "format": FORMAT,
            "command": command,
            "settings": dict(settings),
            "versions": versions,
        }
        self._write_json(self.settings, begun)
        return False

    def begun_settings(self) -> dict[str, Any]:
        """Returns the settings of the run in the folder. None of them without a run, or if `begin` refuses its file."""
        try:
            begun: SettingsFile = json.loads(self.settings.read_text(encoding="utf-8"))
            return dict(begun["settings"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def remove(self) -> None:
        """Deletes the files that a run writes, and nothing else."""
        for file in (self.history, self.evaluation, self.report):
            file.unlink(missing_ok=True)
        for folder in (self.data, self.model, self.checkpoints, self.tensorboard):
            if folder.exists():
                shutil.rmtree(folder)
        self.settings.unlink()

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Writes `evaluation.json`."""
        self._write_json(self.evaluation, {"format": FORMAT, **evaluation})

    def _check_same(self, command: str, settings: Mapping[str, Any]) -> None:
        """Refuses to resume a run with other settings."""
        try:
            begun: SettingsFile = json.loads(self.settings.read_text(encoding="utf-8"))
            check_format(self.settings, begun)
            before = {"command": begun["command"], **begun["settings"]}
        except BadInputError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise BadInputError(
                f"A run resumes only with an intact {SETTINGS}. Received: '{self.settings}' ({error}). "
                "Use another `output`, or `restart=True` to delete the earlier run."
            ) from error
        now = json.loads(json.dumps({"command": command, **settings}))
        changed = [
            f"{name}: {before.get(name)!r} before, {now.get(name)!r} now"
            for name in sorted({*before, *now} - FREE_SETTINGS)
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise BadInputError(
                "A run resumes only with the settings that it was started with. "
                f"Received: other settings for '{self.path}' ({'; '.join(changed)}). "
                "Use another `output`, or `restart=True` to delete the earlier run."
            )

    @staticmethod
    def _write_json(path: Path, value: Any) -> None:
        with write_aside(path) as aside:
            aside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
