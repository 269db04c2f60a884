"""Learning rate schedules: the rate as a function of the number of updates. For the optimizers, see optimizers.py."""

import math
from typing import Any

import keras
from keras import ops


class _WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """The arguments that all schedules have, and their checks."""

    def __init__(self, peak: float, warmup_steps: int, total_steps: int):
        super().__init__()
        if not 0 < peak < math.inf:
            raise ValueError(
                f"`peak` must be a finite number greater than 0. Received: peak={peak}. For example, 1e-4."
            )
        if not 0 <= warmup_steps <= total_steps or total_steps < 1:
            raise ValueError(
                "`total_steps` must be at least 1 and `warmup_steps` between 0 and `total_steps`. "
                f"Received: warmup_steps={warmup_steps}, total_steps={total_steps}. "
                "Use a shorter warm-up or more steps."
            )
        self.peak = float(peak)
        self.warmup_steps = int(warmup_steps)
        self.total_steps = int(total_steps)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"peak": self.peak, "warmup_steps": self.warmup_steps, "total_steps": self.total_steps}


@keras.saving.register_keras_serializable(package="kerasbert")
class LinearWarmupDecay(_WarmupDecay):
    """Linear warm-up from 0 to `peak`, then linear decay to 0 at `total_steps`.

    Args:
        peak: the highest rate, reached at update `warmup_steps`.
        warmup_steps: updates of the warm-up. With 0, the schedule begins at `peak`.
        total_steps: total number of updates. The rate of later updates is 0. With gradient accumulation, there are
            fewer updates than batches.

    Raises:
        ValueError: `peak` is not a finite positive number, or the warm-up is longer than the training.

    Example:
        >>> schedule = LinearWarmupDecay(peak=1.0, warmup_steps=2, total_steps=6)
        >>> [round(float(schedule(step)), 2) for step in range(8)]
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    def __call__(self, step: Any) -> Any:
        """Return the rate (float32 scalar) of update `step`, counted from 0."""
        step = ops.cast(step, "float32")
        rise = step / max(1, self.warmup_steps)
        fall = (self.total_steps - step) / max(1, self.total_steps - self.warmup_steps)
        return self.peak * ops.where(step < self.warmup_steps, rise, ops.maximum(fall, 0.0))


@keras.saving.register_keras_serializable(package="kerasbert")
class OriginalWarmupDecay(_WarmupDecay):
    """The original BERT's schedule: the decay begins at update 0, so the rate drops at the end of the warm-up.

    Args:
        peak: the rate at which the warm-up would end. The decay is already below it by then.
        warmup_steps: updates of the warm-up.
        total_steps: total number of updates. The rate of later updates is 0.

    Raises:
        ValueError: `peak` is not a finite positive number, or the warm-up is longer than the training.

    Source: google-research/bert, `optimization.py` (`create_optimizer`).

    Example:
        >>> schedule = OriginalWarmupDecay(peak=1.0, warmup_steps=5, total_steps=10)
        >>> [round(float(schedule(step)), 2) for step in (0, 4, 5, 9, 10)]
        [0.0, 0.8, 0.5, 0.1, 0.0]
    """

    def __call__(self, step: Any) -> Any:
        """Return the rate (float32 scalar) of update `step`, counted from 0."""
        step = ops.cast(step, "float32")
        rise = step / max(1, self.warmup_steps)
        fall = 1.0 - ops.minimum(step, self.total_steps) / self.total_steps
        return self.peak * ops.where(step < self.warmup_steps, rise, fall)


@keras.saving.register_keras_serializable(package="kerasbert")
class WarmupStableDecay(_WarmupDecay):
    """Linear warm-up to `peak`, a constant rate, and a short decay to 0: peak * (1 - sqrt(share of the decay)).

    Training can go on from any update of the constant part with more data, because that part does not depend on the
    total number of updates.

    Args:
        peak: the highest rate, reached at update `warmup_steps`.
        warmup_steps: updates of the warm-up.
        total_steps: total number of updates. The rate of later updates is 0.
        decay_steps: updates of the decay, at the end.

    Raises:
        ValueError: `peak` is not a finite positive number, or warm-up and decay are longer than the training.

    Source: Hu et al. 2024, "MiniCPM", section 4 (warm-up, stable, decay); Hägele et al. 2024, "Scaling laws and
    compute-optimal training beyond fixed training durations", section 3 (the square root).

    Example:
        >>> schedule = WarmupStableDecay(peak=1.0, warmup_steps=2, total_steps=10, decay_steps=4)
        >>> [round(float(schedule(step)), 2) for step in (0, 1, 2, 6, 7, 9, 10, 11)]
        [0.0, 0.5, 1.0, 1.0, 0.5, 0.13, 0.0, 0.0]
    """

    def __init__(self, peak: float, warmup_steps: int, total_steps: int, decay_steps: int):
        super().__init__(peak, warmup_steps, total_steps)
        if not 0 <= decay_steps <= total_steps - warmup_steps:
            raise ValueError(
                "`decay_steps` must be between 0 and the updates after the warm-up. Received: "
                f"decay_steps={decay_steps}, warmup_steps={warmup_steps}, total_steps={total_steps}. "
                "Use a shorter decay or more steps."
            )
        self.decay_steps = int(decay_steps)

    def __call__(self, step: Any) -> Any:
        """Return the rate (float32 scalar) of update `step`, counted from 0."""
        step = ops.cast(step, "float32")
        rise = step / max(1, self.warmup_steps)
        share = (step - (self.total_steps - self.decay_steps)) / max(1, self.decay_steps)
        fall = 1.0 - ops.sqrt(ops.clip(share, 0.0, 1.0))
        return self.peak * ops.where(step < self.warmup_steps, rise, fall)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "decay_steps": self.decay_steps}


@keras.saving.register_keras_serializable(package="kerasbert")
class OneCycle(_WarmupDecay):
    """A cosine from peak / 25 up to `peak`, then a cosine down to peak / 250,000.

    Args:
        peak: the highest rate, reached at update `warmup_steps`.
        warmup_steps: updates of the rise, usually 30% of all.
        total_steps: total number of updates. Later updates have the last rate.

    Raises:
        ValueError: `peak` is not a finite positive number, or the warm-up is longer than the training.

    Source: Smith & Topin 2017, "Super-convergence", in the form of fastai and PyTorch's `OneCycleLR` (cosines in two
    phases). The momentum does not change.

    Example:
        >>> schedule = OneCycle(peak=1.0, warmup_steps=2, total_steps=6)
        >>> [round(float(schedule(step)), 3) for step in (0, 1, 2, 4, 6, 7)]
        [0.04, 0.52, 1.0, 0.5, 0.0, 0.0]
    """

    _FIRST, _LAST = 1 / 25, 1 / 250_000

    def __call__(self, step: Any) -> Any:
        """Return the rate (float32 scalar) of update `step`, counted from 0."""
        step = ops.cast(step, "float32")
        rise = _cosine(self._FIRST, 1.0, step / max(1, self.warmup_steps))
        fall = _cosine(1.0, self._LAST, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        return self.peak * ops.where(step < self.warmup_steps, rise, fall)


def _cosine(first: float, last: float, share: Any) -> Any:
    """Return a number between `first` (for the share 0) and `last` (for 1), on half a cosine."""
    return last + (first - last) * (1.0 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0))) / 2.0
