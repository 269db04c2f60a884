"""The folder of one run: what lies where, and whether a run that was begun there may go on.

settings.json     what the run was started with, and the versions of what it ran on
history.jsonl     metrics during training
checkpoints/      training states, from which a killed run goes on
tensorboard/      the same metrics for TensorBoard
data/             instances made from text (pretraining)
model/            the trained model with its vocabulary and labels
evaluation.json   metrics on held-out text
"""

import json
import os
import platform
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

# What may change between a kill and going on, since it does not change the weights.
FREE_SETTINGS = frozenset({"output", "restart", "max_unknown_share", "checkpoint_every", "log_every", "show_progress"})
_PACKAGES = ("kerasbert", "keras", "tensorflow", "tensorflow-text", "numpy")


class RunFolder:
    """The paths of a run and its bookkeeping.

    Args:
        path: the run's folder, which need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.settings = self.path / "settings.json"
        self.history = self.path / "history.jsonl"
        self.evaluation = self.path / "evaluation.json"
        self.data = self.path / "data"
        self.model = self.path / "model"
        self.checkpoints = self.path / "checkpoints"
        self.report = self.path / "report.html"

    def begin(self, command: str, settings: Mapping[str, Any], restart: bool = False) -> bool:
        """Makes the folder, or finds a run with the same settings in it.

        Args:
            command: "pretrain" or "fine-tune".
            settings: what the run is started with, as JSON can hold it.
            restart: remove what an earlier run left, whatever its settings.

        Returns:
            Whether a run with these settings was begun here before.

        Raises:
            BadInputError: the folder is a file, holds a run with other settings, or holds something else.
            OSError: the folder cannot be written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise BadInputError(f"`output` must be a folder. Received: '{self.path}', a file. Name another one.")
        if self.settings.exists() and restart:
            self.remove()
        if self.settings.exists():
            self._check_same(command, settings)
            return True
        if self.path.exists() and any(self.path.iterdir()):
            raise BadInputError(
                f"`output` must be a new or empty folder, or one of an earlier run. Received: '{self.path}', which "
                "holds something else. Name another folder."
            )
        versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}
        self._write_json(self.settings, {"command": command, "settings": dict(settings), "versions": versions})
        return False

    def remove(self) -> None:
        """Removes what a run writes, and nothing else."""
        for file in (self.history, self.evaluation, self.report):
            file.unlink(missing_ok=True)
        for folder in (self.data, self.model, self.checkpoints, self.path / "tensorboard"):
            if folder.exists():
                shutil.rmtree(folder)
        self.settings.unlink()

    def write_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Writes `evaluation.json`, whose form `kerasbert.reports.run_reading` documents."""
        self._write_json(self.evaluation, evaluation)

    def _check_same(self, command: str, settings: Mapping[str, Any]) -> None:
        try:
            begun = json.loads(self.settings.read_text(encoding="utf-8"))
            before = {"command": begun["command"], **begun["settings"]}
        except (ValueError, KeyError, TypeError) as error:
            raise BadInputError(
                f"'{self.settings}' must be what an earlier run wrote. Received: {error}. Use `--restart`."
            ) from error
        now = json.loads(json.dumps({"command": command, **settings}))
        changed = [
            f"{name}={before.get(name)!r} -> {now.get(name)!r}"
            for name in sorted({*before, *now} - FREE_SETTINGS)
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise BadInputError(
                f"A run goes on only with the settings that it began with. Received for '{self.path}': "
                f"{', '.join(changed)}. Name another folder, or use `--restart` to begin anew."
            )

    @staticmethod
    def _write_json(path: Path, value: Any) -> None:
        with write_aside(path) as aside:
            aside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
