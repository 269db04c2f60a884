"""Shows rows of a data check with their places, as JSON values."""

from collections.abc import Sequence
from typing import Any

from kerasbert.data import LabelledTexts


class Examples:
    """Shows rows with their places, as JSON values.

    Args:
        rows: the rows.
        test: the test rows, which are counted after the others.
        most: the largest number of examples.
    """

    def __init__(self, rows: LabelledTexts, test: LabelledTexts | None, most: int) -> None:
        self._parts = [rows, *([test] if test else [])]
        self._most = most

    def rows(self, chosen: Sequence[int]) -> dict[str, Any]:
        """The number of rows, and the first of them."""
        return {
            "count": len(chosen),
            "share": len(chosen) / max(len(self._parts[0]), 1),
            "examples": [self._row(row) for row in chosen[: self._most]],
        }

    def pairs(self, chosen: Sequence[tuple[int, int, float]], total: int | None = None) -> dict[str, Any]:
        """The number of repeated rows, and the first of them with the rows that they repeat."""
        return {
            "count": len(chosen),
            "share": len(chosen) / max(len(self._parts[0]) if total is None else total, 1),
            "examples": [
                {**self._row(row), "similarity": share, "repeats": self._row(other)}
                for other, row, share in chosen[: self._most]
            ],
        }

    def _row(self, row: int) -> dict[str, Any]:
        part, rows = (0, self._parts[0])
        if row >= len(rows):
            part, row, rows = 1, row - len(rows), self._parts[1]
        shown = {"split": ("train", "test")[part], "place": rows.places[row], "text": rows.texts[row]}
        if rows.pairs:
            shown["text_pair"] = rows.pairs[row]
        return {**shown, **({"label": rows.labels[row]} if rows.labels else {})}
