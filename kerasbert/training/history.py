"""The metrics of a run, in memory and as lines of `history.jsonl`, without lost or doubled lines after a kill."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclasses.dataclass
class History:
    """What a run gave.

    Attributes:
        rows: one dict per line of `history.jsonl`: `phase`, `step` (batches trained on, over all phases), `split`
            ("train" or "validation") and metrics by name.
        best: the validation row that was best by the watched figure, or None without validation.
        steps: batches trained on, over all phases.
        stopped_early: whether validation ended the run before its last step.
    """

    rows: list[Row] = dataclasses.field(default_factory=list)
    best: Row | None = None
    steps: int = 0
    stopped_early: bool = False


class HistoryFile:
    """Appends rows to a JSON Lines file whose length is part of the training state.

    Args:
        path: the file. Lines beyond `length` (written after the training state that a run goes on from) are cut off.
        length: bytes to keep; 0 begins anew.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, length: int):
        self.path = path
        with path.open("ab") as file:
            file.truncate(length)
        text = path.read_text(encoding="utf-8")
        self.rows: list[Row] = [json.loads(line) for line in text.splitlines()]

    def append(self, phase: str, step: int, split: str, metrics: Mapping[str, Any]) -> Row:
        """Adds one row and returns it; what is not a finite number is left out."""
        row: Row = {"phase": phase, "step": step, "split": split, **_numbers(metrics)}
        with self.path.open("ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
        self.rows.append(row)
        return row

    def sync(self) -> int:
        """Puts all rows on the disk and returns the file's length in bytes."""
        with self.path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are single finite numbers: no confusion matrix, and no NaN, which JSON does not know."""
    numbers: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            numbers[name] = number
    return numbers
