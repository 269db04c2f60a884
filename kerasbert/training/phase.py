"""The stretches of a run, such as short sequences first and long ones after, and where in them a step lies."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kerasbert.errors import BadInputError

MakeDataset = Callable[[int], Iterable[Any]]


@dataclasses.dataclass(frozen=True)
class Phase:
    """Some steps on one dataset.

    Attributes:
        name: as it appears in the history.
        make_dataset: maps a batch number to the phase's batches from that one on, always the same ones:
            `make_dataset(7)` gives what `make_dataset(0)` gives after seven batches. A `tf.data.Dataset`, or any
            iterable, of (inputs, labels) or (inputs, labels, sample weights).
        steps: batches to train on.

    Raises:
        ValueError: `steps` is less than 1.
    """

    name: str
    make_dataset: MakeDataset
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(
                f"`steps` of a phase must be at least 1. Received: steps={self.steps} in phase {self.name!r}. "
                "Leave the phase out, or give it steps."
            )


def as_phases(make_dataset: MakeDataset | Sequence[Phase], steps: int | None) -> tuple[Phase, ...]:
    """One phase called "train" from a function and a number of steps, or the phases that were given.

    Raises:
        ValueError: neither or both were given, or two phases share a name.
    """
    if callable(make_dataset):
        if steps is None:
            raise ValueError("`steps` must be given with `make_dataset`. Received: steps=None. Give their number.")
        return (Phase("train", make_dataset, steps),)
    phases = tuple(make_dataset)
    names = [phase.name for phase in phases]
    if not phases or steps is not None or len(set(names)) < len(names):
        raise ValueError(
            "A run must have at least one phase, each with a name and steps of its own. "
            f"Received: phases={names}, steps={steps}. Give `Phase`s with different names, and no `steps` beside them."
        )
    return phases


def start_of(phases: Sequence[Phase], index: int) -> int:
    """The steps before phase `index`."""
    return sum(phase.steps for phase in phases[:index])


def check_same_beginning(phases: Sequence[Phase], begun: Sequence[Sequence[Any]], step: int) -> None:
    """Checks that a run of `begun` phases (name, steps) that has come to `step` can go on as `phases`.

    What has not begun yet may differ, so that a run can be made longer.

    Raises:
        BadInputError: it cannot.
    """
    start = 0
    for index, (name, steps) in enumerate(begun):
        if start >= step:
            return
        ours = phases[index] if index < len(phases) else None
        is_done = start + steps <= step
        is_last = index == len(begun) - 1
        least = step - start if not is_done or is_last else steps
        if ours is None or ours.name != name or ours.steps < least or (is_done and not is_last and ours.steps != steps):
            raise BadInputError(
                "A run must go on with the phases that it began with. "
                f"Received: {[(phase.name, phase.steps) for phase in phases]}, and the run folder has come to step "
                f"{step} of {[tuple(phase) for phase in begun]}. Use another run folder, or the same phases."
            )
        start += steps
