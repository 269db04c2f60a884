"""Orders texts by length within a window before they go through a model, so batches have little padding."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Answer = TypeVar("Answer")

_BATCHES = 64  # in a window, which is also how many rows wait for the others before they are returned


def order_by_length(texts: Sequence[str], batch_size: int, pairs: Sequence[str] | None = None) -> list[int]:
    """Return all row numbers, sorted by the length of the texts within each window.

    Args:
        texts: N texts.
        batch_size: texts in a batch.
        pairs: the second texts, if there are any.

    Example:
        >>> order_by_length(["long text", "x", "text"], batch_size=1)
        [1, 2, 0]
    """

    def length(row: int) -> int:
        return len(texts[row]) + (len(pairs[row]) if pairs is not None else 0)

    return [row for window in windows(range(len(texts)), batch_size) for row in sorted(window, key=length)]


def windows(rows: Sequence[int], batch_size: int) -> Iterator[Sequence[int]]:
    """Yield the rows of one window at a time. A window is a whole number of batches, except the last one."""
    size = batch_size * _BATCHES
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def answers_in_order(
    order: Sequence[int], batch_size: int, answer: Callable[[Sequence[int]], Sequence[Answer]]
) -> Iterator[Answer]:
    """Yield the answer for each text, in the order of the texts, from batches of texts of similar length.

    Args:
        order: the result of `order_by_length` for the same batch size.
        batch_size: texts in a batch.
        answer: maps the numbers of the texts of a batch to their answers. It is called for the batches of `order`, one
            after the other.

    Example:
        >>> order = order_by_length(["long text", "x"], batch_size=1)
        >>> list(answers_in_order(order, 1, lambda rows: [f"row {row}" for row in rows]))
        ['row 0', 'row 1']
    """
    for window in windows(order, batch_size):
        answers: dict[int, Answer] = {}
        for start in range(0, len(window), batch_size):
            rows = window[start : start + batch_size]
            answers.update(zip(rows, answer(rows), strict=True))
        yield from (answers[row] for row in sorted(answers))
