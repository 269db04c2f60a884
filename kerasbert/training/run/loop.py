"""One call of `fit`: the loop over steps, and what happens between them.

For the step itself, see train_step.py; for the file from which a run continues, training_state.py; for the metrics,
history.py.
"""

import contextlib
import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasbert.errors import BadInputError, TrainingStoppedError
from kerasbert.run_folder import RunFolder
from kerasbert.training.run.best_result import BestResult
from kerasbert.training.run.history import History, HistoryFile
from kerasbert.training.run.interruption import Interruption, noted_interruption
from kerasbert.training.run.phases import Phase, check_same_beginning, start_of
from kerasbert.training.run.progress import Progress, metrics_in_words
from kerasbert.training.run.tensorboard import TensorBoardWriter
from kerasbert.training.run.train_step import Batch, TrainStep, build_metrics, real_tokens
from kerasbert.training.run.training_state import (
    Arrays,
    TrainingState,
    arrays_of,
    assign,
    check_fits,
    load_newest_state,
    remove_states,
    save_state,
)
from kerasbert.training.run.user_callbacks import UserCallbacks, epoch_ends

Validate = Callable[[keras.Model], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The arguments of `fit` that say how to train, but not what."""

    run_dir: Path
    checkpoint_every: int
    log_every: int
    validate: Validate | None
    validate_every: int | None
    monitor: str
    early_stopping_patience: int | None
    seed: int | None
    tensorboard: bool
    show_progress: bool


class TrainingRun:
    """Trains a compiled model through its phases. See `fit`."""

    def __init__(
        self,
        model: keras.Model,
        phases: Sequence[Phase],
        settings: Settings,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ):
        self.model = model
        self.phases = phases
        self.settings = settings
        self.step = 0
        self.total = start_of(phases, len(phases))
        self.stopped_early = False
        self._checkpoints = RunFolder(settings.run_dir).checkpoints
        self._train_step = TrainStep(model)
        self._best = BestResult(settings.monitor, settings.early_stopping_patience)
        self._best_arrays: Arrays = []
        self._metrics: dict[str, float] = {}
        self._validation_metrics: dict[str, Any] = {}
        self._tensorboard = TensorBoardWriter(RunFolder(settings.run_dir).tensorboard if settings.tensorboard else None)
        validates = settings.validate is not None
        ends = epoch_ends(phases, settings.validate_every if validates else settings.log_every, validates)
        self._callbacks = UserCallbacks(callbacks, model, ends)
        self._state: TrainingState | None = None

    def train(self, restart: bool) -> History:
        """Run from the newest training state, or from the beginning, to the end."""
        self._open_folder(restart)
        self._progress = Progress(self.total, self.step, self.settings.show_progress)
        if self._state is not None:
            self._progress.say(f"Continuing from step {self.step} of {self.total} in {self.settings.run_dir}.")
        try:
            with noted_interruption() as interruption:
                if self._state is not None and self._is_finished:
                    self._restore("model", "optimizer")
                else:
                    self._train_phases(interruption)
        finally:
            self._train_step.read_back()
            self._tensorboard.close()
            self._progress.close()
        if self._best_arrays:
            assign(self._best_arrays, self._train_step.variables()["model"])
        return History(self._history.rows, self._best.row, self.step, self.stopped_early)

    @property
    def _is_finished(self) -> bool:
        return self.stopped_early or self.step >= self.total

    # === Before the first step ===

    def _open_folder(self, restart: bool) -> None:
        """Create the run folder, and read from it where the run continues."""
        with _writable(self.settings.run_dir):
            self._checkpoints.mkdir(parents=True, exist_ok=True)
            if restart:
                remove_states(self._checkpoints)
                shutil.rmtree(RunFolder(self.settings.run_dir).tensorboard, ignore_errors=True)
        self._state = load_newest_state(self._checkpoints)
        about: dict[str, Any] = self._state.about if self._state else {"history_bytes": 0}
        if self._state is not None:
            check_same_beginning(self.phases, about["phases"], about["step"])
            if about["seed"] != self.settings.seed:
                raise BadInputError(
                    "A run must continue with the seed that it began with. "
                    f"Received: seed={self.settings.seed}, but the run in {self.settings.run_dir} began with "
                    f"seed={about['seed']}. Use the same seed, another folder, or `restart=True`."
                )
            self.step, self.stopped_early = about["step"], about["stopped_early"]
            self._best.restore(about["best"])
            self._best_arrays = self._state.arrays.get("best", [])
        with _writable(self.settings.run_dir):
            self._history = HistoryFile(RunFolder(self.settings.run_dir).history, about["history_bytes"])

    def _restore(self, *groups: str) -> None:
        """Check groups of variables (e.g. "model") against the training state, and set them to it."""
        if self._state is None:
            return
        variables = self._train_step.variables()
        for group in groups:
            check_fits(self._state.arrays[group], group, variables[group])
        for group in groups:
            assign(self._state.arrays[group], variables[group])
        self._state = None

    # === The loop ===

    def _train_phases(self, interruption: Interruption) -> None:
        """Run all phases from the current step on."""
        is_ready = False
        self._callbacks.begin()
        for index, phase in enumerate(self.phases):
            start = start_of(self.phases, index)
            end = start + phase.steps
            if self.step >= end or self.stopped_early:
                continue
            batches = self._train_step.batches(phase.make_dataset(self.step - start))
            while self.step < end and not self.stopped_early:
                batch = next(batches, None)
                if batch is None:
                    raise BadInputError(
                        f"The data of phase {phase.name!r} must last for its {phase.steps} steps. "
                        f"Received: {self.step - start} batches. Repeat the data, or train for fewer steps."
                    )
                if not is_ready:
                    build_metrics(self.model, batch)
                    self._restore("model", "optimizer", "metrics")
                    is_ready = True
                    self._callbacks.begin_epoch(self.step)
                self._one_step(phase, batch)
                self._after_step(phase, end, interruption)

    def _one_step(self, phase: Phase, batch: Batch) -> None:
        """Train on one batch."""
        self._callbacks.begin_batch(self.step)
        self._metrics = self._train_step(batch)
        self.step += 1
        if not math.isfinite(self._metrics["loss"]):
            raise self._stopped(f"The loss must be a finite number. Received: loss={self._metrics['loss']}")
        self._progress.update(self.step, phase.name, self._metrics, real_tokens(batch))
        if self._callbacks.see_batches:
            self._train_step.read_back()
            self._callbacks.end_batch(self.step, self._metrics)

    def _after_step(self, phase: Phase, end: int, interruption: Interruption) -> None:
        """Do what is due after a step: write a row, validate, save the state, stop."""
        settings = self.settings
        is_end_of_phase = self.step == end
        if is_end_of_phase or self.step % settings.log_every == 0:
            self._log(phase)
        due = is_end_of_phase if settings.validate_every is None else self.step % settings.validate_every == 0
        if settings.validate is not None and (due or self.step == self.total):
            self._run_validation(phase, settings.validate)
        self._end_epoch()
        if self._is_finished or self.step % settings.checkpoint_every == 0:
            self._save()
        elif interruption:
            self._save()
            self._progress.say(
                f"Stopped at step {self.step} of {self.total}. To continue, repeat the same call or command."
            )
        if interruption and not self._is_finished:
            raise interruption.error()

    def _log(self, phase: Phase) -> None:
        """Write a "train" row and reset the running metrics."""
        self._train_step.read_back()
        metrics = {**self._metrics, "learning_rate": self._learning_rate}
        if self._progress.tokens_per_second() > 0:
            metrics["tokens_per_second"] = round(self._progress.tokens_per_second(), 1)
        self._write_row(phase, "train", metrics)
        self._train_step.reset_metrics()

    def _run_validation(self, phase: Phase, validate: Validate) -> None:
        """Write a "validation" row, and keep the weights if they are the best so far and early stopping is on."""
        variables = self._train_step.variables()
        running_metrics = arrays_of(variables["metrics"])
        metrics = validate(self.model)
        assign(running_metrics, variables["metrics"])
        row = self._write_row(phase, "validation", metrics)
        self._validation_metrics = {name: row[name] for name in row if name not in ("phase", "step", "split")}
        if self._best.update(row) and self._best.patience is not None:
            self._best_arrays = arrays_of(variables["model"])
        self.stopped_early = self._best.is_exhausted and self.step < self.total
        self._progress.say(f"Validation at step {self.step}: {', '.join(metrics_in_words(row))}")

    def _end_epoch(self) -> None:
        """End an epoch of the callbacks, if it ends with this step, and the run, if it ends or a callback says so."""
        is_end = self._callbacks.ends_epoch(self.step)
        if is_end:
            self._train_step.read_back()
            metrics = {**self._metrics, "learning_rate": self._learning_rate}
            self._callbacks.end_epoch(self.step, metrics, self._validation_metrics)
        if self.model.stop_training:
            self.stopped_early = True
        if self._is_finished:
            self._train_step.read_back()
            self._callbacks.end()
        elif is_end:
            self._callbacks.begin_epoch(self.step)

    @property
    def _learning_rate(self) -> float:
        """The learning rate of the next update."""
        return float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def _write_row(self, phase: Phase, split: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Write a row to the history and to TensorBoard."""
        with _writable(self.settings.run_dir):
            row = self._history.append(phase.name, self.step, split, metrics)
        self._tensorboard.write(row)
        return row

    def _save(self) -> None:
        """Write the training state, unless a weight has become NaN or infinite."""
        arrays = {group: arrays_of(variables) for group, variables in self._train_step.variables().items()}
        for path, array in arrays["model"]:
            if not np.isfinite(array).all():
                raise self._stopped(f"All weights must be finite numbers. Received: NaN or infinity in {path}")
        if self._best_arrays:
            arrays["best"] = self._best_arrays
        with _writable(self.settings.run_dir):
            history_bytes = self._history.sync()
        self._tensorboard.flush()
        about = {
            "step": self.step,
            "phases": [(phase.name, phase.steps) for phase in self.phases],
            "seed": self.settings.seed,
            "history_bytes": history_bytes,
            "best": self._best.state(),
            "stopped_early": self.stopped_early,
        }
        save_state(self._checkpoints, self.step, TrainingState(about, arrays))

    def _stopped(self, reason: str) -> TrainingStoppedError:
        """Return the error that ends a run which cannot continue."""
        states = sorted(self._checkpoints.glob("step-*.npz"))
        kept = f"The last good training state is {states[-1]}" if states else "No training state was written before"
        return TrainingStoppedError(
            f"{reason} at step {self.step}. {kept}. Look for bad values in the data, or choose a smaller "
            "`learning_rate` or a longer warm-up, and begin again with `restart=True` or in another folder."
        )


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Turn a failure to write into a message for the user."""
    try:
        yield
    except OSError as error:
        raise BadInputError(
            f"The run folder must be writable. Received: {folder}: {error.strerror or error}. "
            "Free some disk space, correct its permissions, or choose another folder."
        ) from error
