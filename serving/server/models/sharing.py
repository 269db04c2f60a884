"""Chooses which waiting requests share the next run.

The texts of a run are padded to the longest one. Short texts that run with a long one therefore cost more than they do
on their own, and their clients wait for the long one. Requests of similar length share a run instead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

# The padding, in bytes, that takes about as much processor time as another run, measured with MiniLM on two cores.
FREE_PADDING = 2**10
# Beyond that, the padding may be this share of what is padded.
PADDING_SHARE = 0.25
# The bytes that count for a number, e.g. a token id. A word piece of English text has about as many.
NUMBER_BYTES = 4


@dataclass(frozen=True)
class BatchLimits:
    """The limits of a shared run and of the queue.

    Attributes:
        rows: The maximum number of rows in a shared run.
        run_bytes: The maximum work of a shared run: rows times the size of the longest row (`row_size`). A single
            request may exceed it; it then runs alone.
        waiting: The maximum number of requests that wait.
    """

    rows: int
    run_bytes: int
    waiting: int


class Sized(Protocol):
    """A request that waits: its kind (None if it must run alone), its rows, and the size of the longest row."""

    kind: object
    rows: int
    row_bytes: int


Request = TypeVar("Request", bound=Sized)


def choose(waiting: Sequence[Request], limits: BatchLimits) -> list[Request]:
    """Returns the requests of the next run: the one that has waited longest, and those most like it in length.

    Because the first request is always among them, each request waits for at most as many runs as there were requests
    before it.

    Args:
        waiting: The requests that wait, in the order in which they came. At least one.
        limits: The limits of a run.
    """
    oldest = waiting[0]
    chosen, rows, longest, needed = [oldest], oldest.rows, oldest.row_bytes, oldest.rows * oldest.row_bytes
    if oldest.kind is None:
        return chosen
    alike = [request for request in waiting[1:] if request.kind == oldest.kind]
    for request in sorted(alike, key=lambda request: abs(request.row_bytes - oldest.row_bytes)):
        all_rows, size = rows + request.rows, max(longest, request.row_bytes)
        work, all_needed = all_rows * size, needed + request.rows * request.row_bytes
        if (
            all_rows <= limits.rows
            and work <= limits.run_bytes
            and work - all_needed <= max(FREE_PADDING, PADDING_SHARE * all_needed)
        ):
            chosen.append(request)
            rows, longest, needed = all_rows, size, all_needed
    return chosen


def row_size(arrays: Iterable[np.ndarray]) -> int:
    """Returns the size of the longest row of a request in bytes, which stands for its number of tokens.

    The strings of a row are added up. Of its other inputs, the one with the most values counts: token ids, segment ids
    and padding mask describe the same tokens.

    Args:
        arrays: The inputs, each with at least one row.
    """
    strings = numbers = 0
    for array in arrays:
        if array.dtype != np.object_:
            numbers = max(numbers, NUMBER_BYTES * (array.size // len(array)))
        elif array.ndim == 1:
            strings += max(map(len, array))
        else:
            strings += array[0].size * max(map(len, array.reshape(-1)), default=0)
    return strings + numbers
