"""Sets side by side what the live model and the served one say to the same texts.

Asking is the business of `kerasbert_serving` and of the command line.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kerasbert.reports.sections.section import Block, table
from kerasbert.reports.wording import is_number, number, plain_text, shortened

WAYS = {"live": "Live model", "rest": "REST", "grpc": "gRPC"}

_MOST_CHARACTERS = 280


def answers(given: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    """The table of answers.

    Args:
        given: per query a mapping with `text` (a string, or a pair of strings), and for each way that was asked
            ("live", "rest", "grpc") either `{"label": ..., "probability": ...}` or the probability alone. `label` and
            `probability` of the query itself stand for ways that give none of their own; `expected`, where it is
            known, is the true label.

    Raises:
        ValueError: a query without a text, or a probability that is no number from 0 to 1.
    """
    queries = [_Query(index, query) for index, query in enumerate(given)]
    if not queries:
        return ()
    ways = [way for way in WAYS if any(way in query.probabilities for query in queries)]
    with_expected = any(query.expected is not None for query in queries)
    plain = any("" in query.probabilities for query in queries)
    columns = ["Text", "Label", *(["Expected"] if with_expected else [])]
    columns += (["Probability"] if plain else []) + [WAYS[way] for way in ways]
    columns += ["Difference"] if len(ways) > 1 else []
    rows = []
    for query in queries:
        row: list[object] = [query.text, query.label_in_words()]
        row += [query.expected] if with_expected else []
        row += [query.cell(way) for way in ([""] if plain else []) + ways]
        rows.append(row + ([query.cell_of_difference()] if len(ways) > 1 else []))
    caption = _caption(queries) if len(ways) > 1 else ""
    return (table(columns, rows, caption=caption, text_columns=3 if with_expected else 2),)


class _Query:
    """One text with what each way answered. The way "" is a query's own probability."""

    def __init__(self, index: int, query: object) -> None:
        if not isinstance(query, Mapping) or not _is_text(query.get("text")):
            raise ValueError(
                f"Each answer must be a mapping with a `text`. Received: "
                f"answers[{index}]={shortened(repr(query), 80)}. "
                'Give for instance {"text": "a loop", "rest": {"label": "asyncio", "probability": 0.9}}.'
            )
        text = query["text"]
        self.text = shortened(plain_text(text if isinstance(text, str) else " ‖ ".join(text)), _MOST_CHARACTERS)
        self.expected = None if query.get("expected") is None else plain_text(query["expected"])
        self.probabilities: dict[str, float] = {}
        self.labels: dict[str, str] = {}
        for way in WAYS:
            if query.get(way) is not None:
                self._take(index, way, query[way])
        if not self.probabilities and query.get("probability") is not None:
            self._take(index, "", query["probability"])
        self.label = None if query.get("label") is None else plain_text(query["label"])

    def _take(self, index: int, way: str, answer: object) -> None:
        """Reads one way's answer."""
        value: Any = answer
        if isinstance(answer, Mapping):
            value = answer.get("probability")
            if answer.get("label") is not None:
                self.labels[way] = plain_text(answer["label"])
        if not is_number(value) or not -1e-3 <= value <= 1 + 1e-3:
            raise ValueError(
                f"A probability must be a number from 0 to 1. "
                f"Received: {value!r} in answers[{index}], {way or 'itself'}. "
                "Give the probability of the label, after the softmax."
            )
        self.probabilities[way] = float(value)

    def difference(self) -> float:
        """The greatest difference of probability between two ways."""
        return max(self.probabilities.values()) - min(self.probabilities.values()) if self.probabilities else math.nan

    def agrees(self) -> bool:
        """Whether all ways gave the same label."""
        return len(set(self.labels.values())) <= 1

    def label_in_words(self) -> str | None:
        """The label, or each way's label where they differ."""
        if not self.agrees():
            return ", ".join(f"{WAYS.get(way, way)}: {label}" for way, label in self.labels.items())
        return next(iter(self.labels.values()), self.label)

    def cell(self, way: str) -> str | None:
        """A way's probability with five decimals, the precision in which the ways must agree."""
        return f"{self.probabilities[way]:.5f}" if way in self.probabilities else None

    def cell_of_difference(self) -> str | None:
        """The difference as a text, so that one small number does not set the digits of the column."""
        return number(float(self.difference())) if len(self.probabilities) > 1 else None


def _is_text(value: object) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(part, str) for part in value)


def _caption(queries: list[_Query]) -> str:
    """How far the ways agree over all queries."""
    differences = [query.difference() for query in queries if len(query.probabilities) > 1]
    greatest = max(differences, default=0.0)
    disagreeing = sum(not query.agrees() for query in queries)
    words = f"Greatest difference of probability between the ways: {number(float(greatest))}."
    if disagreeing:
        return f"The ways give different labels to {disagreeing} of {len(queries)} texts. {words}"
    return f"All ways give the same labels. {words}"
