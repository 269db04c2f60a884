"""Makes the model folders and the files of each library in them. Finished files are kept for the next run."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.inference import environments, texts
from benchmarks.inference.contestants import FILES, OURS, Conversion
from benchmarks.inference.worker_process import RowError, last_line


class ModelFiles:
    """The model folders of a run.

    Args:
        folder: the folder that contains them.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._made: dict[Path, RowError | None] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._texts = folder / "calibration.json"
        self._texts.write_text(json.dumps(texts.english(10_000)[-1000:]), encoding="utf-8")

    def model(self, name: str) -> Path:
        """Return a model folder of `conversion/model_folders.py`.

        Raises:
            RowError: it cannot be made.
        """
        module = ("-m", "benchmarks.inference.conversion.model_folders", name, "{target}")
        return self._make(self._folder / name, Conversion(OURS, module))

    def add(self, model: Path, name: str) -> None:
        """Add the files of a library to a model folder.

        Raises:
            RowError: they cannot be made.
        """
        for needed in FILES[name].needs:
            self.add(model, needed)
        self._make(model / name, FILES[name])

    def _make(self, target: Path, conversion: Conversion) -> Path:
        """Make a folder, unless it exists, and raise the same error each time."""
        if target not in self._made:
            self._made[target] = None
            if conversion.fresh:
                shutil.rmtree(target, ignore_errors=True)
            if not target.exists():
                try:
                    self._run(target, conversion)
                except RowError as error:
                    self._made[target] = error
        error = self._made[target]
        if error:
            raise error
        return target

    def _run(self, target: Path, conversion: Conversion) -> None:
        """Run a conversion. The folder gets its name only when it is complete."""
        try:
            python = environments.python_of(conversion.environment)
        except FileNotFoundError as error:
            raise RowError(str(error)) from error
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        values = {"model": target.parent.resolve(), "target": partial.resolve(), "texts": self._texts.resolve()}
        log = self._folder / f"{target.parent.name}_{target.name}.log"
        with log.open("w", encoding="utf-8") as stream:
            done = subprocess.run(
                [python, *(argument.format(**values) for argument in conversion.command)],
                cwd=environments.ROOT,
                env=environments.variables_of(conversion.environment),
                stdout=stream,
                stderr=stream,
                check=False,
            )
        if done.returncode:
            raise RowError(last_line(log))
        os.rename(partial, target)
