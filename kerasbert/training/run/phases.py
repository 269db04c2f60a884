"""The phases of a run (e.g. short sequences first, long ones after), and the phase that a step belongs to."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kerasbert.errors import BadInputError

MakeDataset = Callable[[int], Iterable[Any]]


@dataclasses.dataclass(frozen=True)
class Phase:
    """A number of steps on one dataset.

    Attributes:
        name: the phase's name in the history.
        make_dataset: maps a batch number to the phase's batches from that one on, always the same ones:
            `make_dataset(7)` yields what `make_dataset(0)` yields after seven batches. A `tf.data.Dataset`, or any
            iterable, of (inputs, labels) or (inputs, labels, sample weights).
        steps: batches to train on.

    Raises:
        ValueError: `steps` is less than 1.

    Example:
        >>> batches = lambda start: ((number, number) for number in range(start, 10))
        >>> phase = Phase("short", batches, steps=10)
        >>> next(iter(phase.make_dataset(7)))
        (7, 7)
    """

    name: str
    make_dataset: MakeDataset
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(
                f"`steps` of a phase must be at least 1. Received: steps={self.steps} in phase {self.name!r}. "
                "Remove the phase, or set a positive number of steps."
            )


def as_phases(make_dataset: MakeDataset | Sequence[Phase], steps: int | None) -> tuple[Phase, ...]:
    """Return one phase called "train" made of a function and a number of steps, or the given phases.

    Raises:
        ValueError: neither or both were given, or two phases have the same name.
    """
    if callable(make_dataset):
        if steps is None:
            raise ValueError(
                "`steps` must be given with `make_dataset`. Received: steps=None. Set the number of batches."
            )
        return (Phase("train", make_dataset, steps),)
    phases = tuple(make_dataset)
    names = [phase.name for phase in phases]
    if not phases or steps is not None or len(set(names)) < len(names):
        raise ValueError(
            "A run must have at least one phase, and each phase its own name and steps. "
            f"Received: phases={names}, steps={steps}. Pass `Phase`s with different names, and no `steps`."
        )
    return phases


def start_of(phases: Sequence[Phase], index: int) -> int:
    """Return the number of steps before phase `index`."""
    return sum(phase.steps for phase in phases[:index])


def check_same_beginning(phases: Sequence[Phase], begun: Sequence[Sequence[Any]], step: int) -> None:
    """Check that a run of the phases `begun` (name, steps) that has reached `step` can continue as `phases`.

    Phases that have not begun yet may differ, so that a run can be extended.

    Raises:
        BadInputError: it cannot continue.
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
                "A run must continue with the phases that it began with. "
                f"Received: {[(phase.name, phase.steps) for phase in phases]}, but the run in the folder has reached "
                f"step {step} of {[tuple(phase) for phase in begun]}. Use the same phases, another folder, or "
                "`restart=True`."
            )
        start += steps
