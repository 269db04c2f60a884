"""The label names of a task and their ids. Label names are taken only from the training rows."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import numpy as np

from kerasbert.errors import BadInputError

_MOST_NAMES_IN_A_MESSAGE = 20


class Labels:
    """Label names in the order of their ids.

    Args:
        names: the names, without repetition.

    Raises:
        BadInputError: a name is repeated, or there is no name.

    Example:
        >>> labels = Labels.from_training(["pos", "neg", "pos"])
        >>> labels.names
        ('neg', 'pos')
        >>> labels.ids(["pos", "neg"])
        array([1, 0], dtype=int32)
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._ids = {name: index for index, name in enumerate(self.names)}
        if len(self._ids) < len(self.names) or not self.names:
            raise BadInputError(
                f"Label names must differ, and there must be at least one. Received: {_listed(self.names)}."
            )

    @classmethod
    def from_training(cls, labels: Iterable[str | Sequence[str]]) -> "Labels":
        """Returns the names in the labels of training rows: whole numbers in order of value, then other names.

        Args:
            labels: one name for each row, or a list of names for each row (multi-label).

        Raises:
            BadInputError: there is only one class (single label), or no label.
        """
        rows = list(labels)
        names = {name for row in rows for name in ([row] if isinstance(row, str) else row)}
        if not names:
            raise BadInputError("Training rows must have labels. Received: none. Check the label column.")
        if len(names) == 1 and any(isinstance(row, str) for row in rows):
            raise BadInputError(
                f"Classification needs at least two classes. Received: {len(rows)} rows, all labelled "
                f"{_listed(names)}. Add rows of another class, or check the label column."
            )
        return cls(sorted(names, key=_by_number_then_name))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Labels) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        return f"Labels({list(self.names)})"

    def id_of(self, name: str, where: str = "") -> int:
        """Returns the id of one name.

        Args:
            name: a label.
            where: the position of the label's row, for the message.

        Raises:
            BadInputError: the label does not occur in training.
        """
        if name not in self._ids:
            raise BadInputError(
                f"A label must be one of those in training. Received: {name!r}{where and f' in {where}'}. "
                f"Known labels: {_listed(self.names)}. Correct the label, or add such rows to training."
            )
        return self._ids[name]

    def ids(self, labels: Sequence[str], rows: Sequence[str] | None = None) -> np.ndarray:
        """Returns the ids of single labels, int32 [rows]. `rows` contains the position of each label for messages."""
        rows = rows or [f"row {index + 1}" for index in range(len(labels))]
        return np.array([self.id_of(*pair) for pair in zip(labels, rows, strict=True)], np.int32)

    def multi_hot(self, labels: Sequence[Sequence[str]], rows: Sequence[str] | None = None) -> np.ndarray:
        """Returns 1 for each label of a row and 0 elsewhere, float32 [rows, labels]."""
        rows = rows or [f"row {index + 1}" for index in range(len(labels))]
        hot = np.zeros((len(labels), len(self.names)), np.float32)
        for index, (names, row) in enumerate(zip(labels, rows, strict=True)):
            hot[index, [self.id_of(name, row) for name in names]] = 1
        return hot


def _by_number_then_name(name: str) -> tuple[int, Decimal, str]:
    is_number = name.isascii() and name.removeprefix("-").isdigit()
    # `int` rejects thousands of digits.
    return (0, Decimal(name), name) if is_number else (1, Decimal(), name)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _MOST_NAMES_IN_A_MESSAGE
    return ", ".join(map(repr, names[:_MOST_NAMES_IN_A_MESSAGE])) + (f" and {more} more" if more > 0 else "")
