"""Compares the answers of the live model and the served model to the same texts.

The command line collects the answers with the clients of `kerasbert_serving`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kerasbert.reports.sections.section import Block, table
from kerasbert.reports.wording import is_number, number, plain_text, shortened

INTERFACES = {"live": "Live model", "rest": "REST", "grpc": "gRPC"}

_MOST_CHARACTERS = 280


def answers(given: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    """Make the table of answers.

    Args:
        given: for each query, a mapping with `text` (a string, or a pair of strings), and for each interface that was
            called ("live", "rest", "grpc") either `{"label": ..., "probability": ...}` or the probability alone. The
            query's own `label` and `probability` are shown if no interface has one. `expected` is the true label, if
            known.

    Raises:
        ValueError: a query has no text, or a probability is not a number from 0 to 1.
    """
    queries = [_Query(index, query) for index, query in enumerate(given)]
    if not queries:
        return ()
    interfaces = [interface for interface in INTERFACES if any(interface in query.probabilities for query in queries)]
    with_expected = any(query.expected is not None for query in queries)
    plain = any("" in query.probabilities for query in queries)
    columns = ["Text", "Label", *(["Expected"] if with_expected else [])]
    columns += (["Probability"] if plain else []) + [INTERFACES[interface] for interface in interfaces]
    columns += ["Difference"] if len(interfaces) > 1 else []
    rows = []
    for query in queries:
        row: list[object] = [query.text, query.label_in_words()]
        row += [query.expected] if with_expected else []
        row += [query.cell(interface) for interface in ([""] if plain else []) + interfaces]
        rows.append(row + ([query.cell_of_difference()] if len(interfaces) > 1 else []))
    caption = _caption(queries) if len(interfaces) > 1 else ""
    return (table(columns, rows, caption=caption, text_columns=3 if with_expected else 2),)


class _Query:
    """One text with the answer of each interface. The interface "" is the query's own probability."""

    def __init__(self, index: int, query: object) -> None:
        if not isinstance(query, Mapping) or not _is_text(query.get("text")):
            raise ValueError(
                f"Each answer must be a mapping with a `text`. Received: "
                f"answers[{index}]={shortened(repr(query), 80)}. "
                'For example, {"text": "a loop", "rest": {"label": "asyncio", "probability": 0.9}}.'
            )
        text = query["text"]
        self.text = shortened(plain_text(text if isinstance(text, str) else " ‖ ".join(text)), _MOST_CHARACTERS)
        self.expected = None if query.get("expected") is None else plain_text(query["expected"])
        self.probabilities: dict[str, float] = {}
        self.labels: dict[str, str] = {}
        for interface in INTERFACES:
            if query.get(interface) is not None:
                self._take(index, interface, query[interface])
        if not self.probabilities and query.get("probability") is not None:
            self._take(index, "", query["probability"])
        self.label = None if query.get("label") is None else plain_text(query["label"])

    def _take(self, index: int, interface: str, answer: object) -> None:
        """Read the answer of one interface."""
        value: Any = answer
        if isinstance(answer, Mapping):
            value = answer.get("probability")
            if answer.get("label") is not None:
                self.labels[interface] = plain_text(answer["label"])
        if not is_number(value) or not -1e-3 <= value <= 1 + 1e-3:
            raise ValueError(
                f"A probability must be a number from 0 to 1. "
                f"Received: {value!r} in answers[{index}], {interface or 'probability'}. "
                "Use the probability of the label, after the softmax."
            )
        self.probabilities[interface] = float(value)

    def difference(self) -> float:
        """The largest difference between the probabilities of two interfaces."""
        return max(self.probabilities.values()) - min(self.probabilities.values()) if self.probabilities else math.nan

    def agrees(self) -> bool:
        """Whether all interfaces returned the same label."""
        return len(set(self.labels.values())) <= 1

    def label_in_words(self) -> str | None:
        """The label, or the label of each interface if they differ."""
        if not self.agrees():
            return ", ".join(
                f"{INTERFACES.get(interface, interface)}: {label}" for interface, label in self.labels.items()
            )
        return next(iter(self.labels.values()), self.label)

    def cell(self, interface: str) -> str | None:
        """The probability of an interface with five decimals, the precision to which the interfaces must agree."""
        return f"{self.probabilities[interface]:.5f}" if interface in self.probabilities else None

    def cell_of_difference(self) -> str | None:
        """The difference as text, so that one small number does not decide the digits of the whole column."""
        return number(float(self.difference())) if len(self.probabilities) > 1 else None


def _is_text(value: object) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(part, str) for part in value)


def _caption(queries: list[_Query]) -> str:
    """How well the interfaces agree over all queries."""
    differences = [query.difference() for query in queries if len(query.probabilities) > 1]
    greatest = max(differences, default=0.0)
    disagreeing = sum(not query.agrees() for query in queries)
    words = f"Largest difference between their probabilities: {number(float(greatest))}."
    if disagreeing:
        return f"The interfaces return different labels for {disagreeing} of {len(queries)} texts. {words}"
    return f"All interfaces return the same labels. {words}"
