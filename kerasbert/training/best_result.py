"""Watches one validation figure: which result is best so far, and when further training is not worth it."""

from collections.abc import Mapping
from typing import Any

from kerasbert.errors import BadInputError

_LOWER_IS_BETTER = ("loss", "error", "mse", "mae")


class BestResult:
    """The best validation result so far.

    Args:
        metric: the figure's name, such as "loss" or "macro_f1". Lower is better if the name contains "loss", "error",
            "mse" or "mae", else higher.
        patience: validations in a row without a better figure after which to stop; None never stops.

    Raises:
        ValueError: `patience` is less than 1.
    """

    def __init__(self, metric: str, patience: int | None = None):
        if patience is not None and patience < 1:
            raise ValueError(
                f"`early_stopping_patience` must be at least 1 or None. Received: {patience}. Give such as 3."
            )
        self.metric = metric
        self.patience = patience
        self.lower_is_better = any(word in metric for word in _LOWER_IS_BETTER)
        self.row: dict[str, Any] | None = None
        self.without_improvement = 0

    def update(self, row: Mapping[str, Any]) -> bool:
        """Takes a validation row; returns whether it is the best so far.

        Raises:
            BadInputError: the row lacks the watched figure.
        """
        if self.metric not in row:
            found = sorted(name for name in row if name not in ("phase", "step", "split"))
            raise BadInputError(
                f"The validation must give the watched figure as a finite number. Received: metrics {found}, without "
                f"{self.metric!r}. Give `monitor` one of them."
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
        """Whether the patience is used up."""
        return self.patience is not None and self.without_improvement >= self.patience

    def state(self) -> dict[str, Any]:
        """What a resumed run must know, as JSON values."""
        return {"row": self.row, "without_improvement": self.without_improvement}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state` gave."""
        self.row, self.without_improvement = state["row"], state["without_improvement"]
