"""The metrics of a run, in memory and as lines of `history.jsonl`. A kill neither loses nor repeats a line."""

import dataclasses
import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasbert.files import write_aside

_LOGGER = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclasses.dataclass
class History:
    """The course of a run.

    Attributes:
        rows: one dict per line of `history.jsonl`: `phase`, `step` (batches trained on, over all phases), `split`
            ("train" or "validation") and metrics by name.
        best: the validation row with the best monitored metric, or None without validation.
        steps: batches trained on, over all phases.
        stopped_early: whether validation ended the run before its last step.

    Example:
        >>> history = History(rows=[{"phase": "train", "step": 50, "split": "train", "loss": 0.7}], steps=50)
        >>> [row["loss"] for row in history.rows if row["split"] == "train"]
        [0.7]
    """

    rows: list[Row] = dataclasses.field(default_factory=list)
    best: Row | None = None
    steps: int = 0
    stopped_early: bool = False


class HistoryFile:
    """Appends rows to a JSON Lines file whose length is part of the training state.

    A file that was deleted, shortened or changed since the training state was written costs its rows, but not the run:
    a warning is logged, the rows that can still be read are kept, and training continues.

    Args:
        path: the file.
        length: bytes to keep; 0 begins a new file. Lines beyond it were written after the training state from which the
            run continues, and are removed.

    Raises:
        OSError: the file cannot be read or written.
    """

    def __init__(self, path: Path, length: int):
        self.path = path
        content = path.read_bytes()[:length] if length and path.exists() else b""
        lines = content.split(b"\n")[:-1]
        rows = [(line, row) for line in lines if (row := _row_of(line)) is not None]
        self.rows: list[Row] = [row for _, row in rows]
        kept = b"".join(line + b"\n" for line, _ in rows)
        if len(kept) != length:
            _LOGGER.warning(
                "%s does not have the rows that the run had written: it was deleted or changed. The run continues, and "
                "%d rows remain of its history so far.",
                path,
                len(rows),
            )
        if kept != content or not path.exists() or path.stat().st_size > length:
            with write_aside(path) as aside:
                aside.write_bytes(kept)

    def append(self, phase: str, step: int, split: str, metrics: Mapping[str, Any]) -> Row:
        """Add one row and return it. Metrics that are not single finite numbers are left out."""
        row: Row = {"phase": phase, "step": step, "split": split, **_numbers(metrics)}
        with self.path.open("ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
        self.rows.append(row)
        return row

    def sync(self) -> int:
        """Write all rows to the disk and return the file's length in bytes."""
        with self.path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()


def _row_of(line: bytes) -> Row | None:
    """Return the row in a line, or None if the line contains something else."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    is_row = isinstance(row, dict) and isinstance(row.get("step"), int) and "split" in row and "phase" in row
    return row if is_row else None


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are single finite numbers: no confusion matrix, and no NaN, which JSON lacks."""
    numbers: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            numbers[name] = number
    return numbers
