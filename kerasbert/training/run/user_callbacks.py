"""Calls the users' Keras callbacks as `keras.Model.fit` does: one training with epochs 0, 1, 2 and `val_*` metrics.

For the loop that says when, see loop.py.
"""

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerasbert.training.run.phases import Phase, start_of


class UserCallbacks:
    """The callbacks of one run, and the epochs that they see.

    Args:
        callbacks: Keras callbacks.
        model: the model that is trained.
        epoch_ends: the steps with which epochs end, in rising order.
    """

    def __init__(
        self, callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, epoch_ends: Sequence[int]
    ) -> None:
        self._model = model
        self._epoch_ends = epoch_ends
        self._list = keras.callbacks.CallbackList(
            list(callbacks),
            add_history=False,
            model=model,
            epochs=len(epoch_ends),
            steps=max(end - start for start, end in zip([0, *epoch_ends], epoch_ends, strict=False)),
            verbose=0,
        )
        self._logs: dict[str, Any] = {}
        self.see_batches = any(_has_own_batch_end(callback) for callback in callbacks)

    def ends_epoch(self, step: int) -> bool:
        """Return whether an epoch ends with a step."""
        index = bisect.bisect_left(self._epoch_ends, step)
        return index < len(self._epoch_ends) and self._epoch_ends[index] == step

    def begin(self) -> None:
        """Report that training begins. A callback that ended an earlier run does not end this one."""
        self._model.stop_training = False
        self._list.on_train_begin()

    def begin_epoch(self, step: int) -> None:
        """Report that the epoch after a number of steps begins."""
        self._list.on_epoch_begin(bisect.bisect_right(self._epoch_ends, step))

    def begin_batch(self, step: int) -> None:
        """Report that the batch after a number of steps begins."""
        self._list.on_train_batch_begin(step)

    def end_batch(self, step: int, metrics: Mapping[str, float]) -> None:
        """Report that a batch has ended, with the number of steps that are done and the running metrics."""
        self._list.on_train_batch_end(step - 1, dict(metrics))

    def end_epoch(self, step: int, metrics: Mapping[str, Any], validation: Mapping[str, Any]) -> None:
        """Report that an epoch has ended, with the metrics of training, and those of validation as `val_*`."""
        self._logs = {**metrics, **{f"val_{name}": value for name, value in validation.items()}}
        self._list.on_epoch_end(bisect.bisect_left(self._epoch_ends, step), dict(self._logs))

    def end(self) -> None:
        """Report that training has ended, with the metrics of the last epoch."""
        self._list.on_train_end(dict(self._logs))


def epoch_ends(phases: Sequence[Phase], every: int | None, is_validation: bool) -> list[int]:
    """Return the steps with which epochs end: those of all validations or, without validation, of all "train" rows.

    Args:
        phases: the phases of the run.
        every: steps between two validations or "train" rows. None is the end of each phase.
        is_validation: whether epochs end with validations, which do not come at the end of each phase too.
    """
    phase_ends = {start_of(phases, index + 1) for index in range(len(phases))}
    total = max(phase_ends)
    if every is None:
        return sorted(phase_ends)
    ends = set(range(every, total, every)) | ({total} if is_validation else phase_ends)
    return sorted(ends)


def _has_own_batch_end(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback does anything at the end of a batch."""
    default = keras.callbacks.Callback
    names = ("on_train_batch_end", "on_batch_end")
    return any(getattr(getattr(callback, name), "__func__", None) is not getattr(default, name) for name in names)
