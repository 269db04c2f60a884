"""Monitors one validation metric: which result is the best so far, and when further training is not worthwhile."""

from collections.abc import Mapping
from typing import Any

from kerasbert.errors import BadInputError

_LOWER_IS_BETTER = ("loss", "error", "mse", "mae")


class BestResult:
    """The best validation result so far.

    Args:
        metric: the metric's name, e.g. "loss" or "macro_f1". Lower is better if the name contains "loss", "error",
            "mse" or "mae", otherwise higher.
        patience: validations in a row without an improvement after which to stop. None never stops.

    Raises:
        ValueError: `patience` is less than 1.
    """

    def __init__(self, metric: str, patience: int | None = None):
        if patience is not None and patience < 1:
            raise ValueError(
                f"`early_stopping_patience` must be at least 1 or None. Received: {patience}. For example, 3."
            )
        self.metric = metric
        self.patience = patience
        self.lower_is_better = any(word in metric for word in _LOWER_IS_BETTER)
        self.row: dict[str, Any] | None = None
        self.without_improvement = 0

    def update(self, row: Mapping[str, Any]) -> bool:
        """Add a validation row, and return whether it is the best so far.

        Raises:
            BadInputError: the row lacks the monitored metric.
        """
        if self.metric not in row:
            found = sorted(name for name in row if name not in ("phase", "step", "split"))
            raise BadInputError(
                f"The validation must return the monitored metric as a finite number. Received: metrics {found}, "
                f"without {self.metric!r}. Set `monitor` to one of them."
            )
        value = row[self.metric]
        best = None if self.row is None else self.row[self.metric]
        if best is None or (value < best if self.lower_is_better else value > best):
            self.row, self.without_improvement = dict(row), 0
            return True
        self.without_improvement += 1
        return False

    @property
    def is_exhausted(self) -> bool:
        """Whether there was no improvement for `patience` validations."""
        return self.patience is not None and self.without_improvement >= self.patience

    def state(self) -> dict[str, Any]:
        """Return what a run needs in order to continue, as JSON values."""
        return {"row": self.row, "without_improvement": self.without_improvement}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set this object to the result of `state`."""
        self.row, self.without_improvement = state["row"], state["without_improvement"]
