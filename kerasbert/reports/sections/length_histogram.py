"""Draws how long the texts are, in tokens: an outline for each set of texts, and a table of statistics.

`kerasbert.preprocessing` counts the tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kerasbert.reports.drawing import MUTED, SERIES, draw, number_ticks
from kerasbert.reports.sections.section import Block, Figure, Figures, LegendEntry, table
from kerasbert.reports.wording import number, percent, plain_text, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BINS = 48
_WIDTH, _HEIGHT = 900.0, 300.0
_MARGINS = (58.0, 20.0, 26.0, 44.0)


@dataclass(frozen=True)
class Lengths:
    """The lengths of one set of texts: each length that occurs, and how often it occurs."""

    name: str
    values: np.ndarray
    counts: np.ndarray

    def percentile(self, share: float) -> int:
        """Return the smallest length that a share of the texts does not exceed."""
        reached = np.searchsorted(self.counts.cumsum(), share * self.counts.sum())
        return int(self.values[min(reached, len(self.values) - 1)])

    def mean(self) -> float:
        """Return the mean length."""
        return float((self.values * self.counts).sum() / self.counts.sum())

    def share_over(self, limit: int) -> float:
        """Return the share of texts that are longer than `limit`."""
        return float(self.counts[self.values > limit].sum() / self.counts.sum())


def length_histogram(lengths_by_name: Mapping[str, object], limit: int | None = None) -> tuple[Block, ...]:
    """Make the histogram and the table.

    Args:
        lengths_by_name: for each set of texts, its lengths in tokens: a list or an array, or a mapping of length to
            the number of texts of that length.
        limit: the model's sequence length, which is marked. Longer texts are truncated.

    Raises:
        ValueError: a length is not a whole number of at least 0.
    """
    if not isinstance(lengths_by_name, Mapping):
        raise ValueError(
            f"`lengths_by_name` must map a name to lengths. Received: {type(lengths_by_name).__name__}. "
            'For example, {"train": [12, 40, 7]}.'
        )
    sets = [_lengths(plain_text(name), lengths) for name, lengths in lengths_by_name.items()]
    sets = [lengths for lengths in sets if len(lengths.values)]
    if not sets:
        return ()
    if limit is not None and (not isinstance(limit, (int, np.integer)) or isinstance(limit, bool) or limit < 1):
        raise ValueError(
            f"`limit` must be an integer of at least 1. Received: limit={limit!r}. "
            "Pass the model's sequence length in tokens."
        )
    edges, cut = _edges(sets, limit)
    caption = " ".join(_in_words(lengths, limit) for lengths in sets)
    if cut:
        caption += " The last bar contains all longer texts."
    legend = tuple(LegendEntry(lengths.name, f"line-{index % len(SERIES) + 1}") for index, lengths in enumerate(sets))
    svg = _drawing(sets, edges, limit, caption)
    return (Figures((Figure("", svg, caption, legend),), size="wide"), _table(sets, limit))


def _lengths(name: str, lengths: object) -> Lengths:
    """Return lengths of either form as sorted values and counts."""
    try:
        if isinstance(lengths, Mapping):
            values = np.array([float(length) for length in lengths])
            counts = np.array([float(count) for count in lengths.values()])
        else:
            values = np.asarray(lengths, dtype=np.float64)
            counts = np.ones_like(values)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Lengths must be numbers of tokens. Received: {error} in {name!r}. Pass one whole number for each text."
        ) from error
    wrong = ~np.isfinite(values) | (values < 0) | (values != np.floor(values))
    wrong |= (values >= 2**53) | ~(counts >= 0) | (counts >= 2**53)
    if values.ndim != 1 or wrong.any():
        received = (
            f"shape {values.shape}" if values.ndim != 1 else f"length {values[wrong][0]:g}, {counts[wrong][0]:g} times"
        )
        raise ValueError(
            f"Lengths must be whole numbers of at least 0. Received: {received} in {name!r}. "
            "Pass one number for each text."
        )
    kept = counts > 0
    unique, where = np.unique(values[kept], return_inverse=True)
    return Lengths(name, unique.astype(np.int64), np.bincount(where, weights=counts[kept], minlength=len(unique)))


def _edges(sets: list[Lengths], limit: int | None) -> tuple[np.ndarray, bool]:
    """The edges of bars with the same whole width, and whether some texts are longer than the last edge."""
    longest = max(int(lengths.values[-1]) for lengths in sets)
    nearly_all = max(lengths.percentile(0.995) for lengths in sets)
    end = min(longest, max(nearly_all, limit or 0))
    start = min(int(lengths.values[0]) for lengths in sets)
    width = max(1, -(-(end - start + 1) // _MOST_BINS))
    edges = np.arange(start, end + width + 1, width) - 0.5
    return edges, bool(longest > edges[-1])


def _drawing(sets: list[Lengths], edges: np.ndarray, limit: int | None, caption: str) -> str:
    """Draw each outline as shares of its own set, so that sets of different sizes can be compared."""

    def paint(axes: "Axes") -> None:
        axes.grid(True, axis="y")
        for index, lengths in enumerate(sets):
            colour = SERIES[index % len(SERIES)]
            within = np.minimum(lengths.values, edges[-1] - 0.25)
            shares = np.histogram(within, edges, weights=lengths.counts)[0] / lengths.counts.sum()
            axes.stairs(shares, edges, color=colour, linewidth=2)
            axes.stairs(shares, edges, color=colour, fill=True, alpha=0.12)
        axes.margins(x=0.01)
        if limit is not None and limit < edges[-1]:
            axes.axvline(limit + 0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            text = f"sequence length {limit:,}"
            low, high = axes.get_xlim()
            room = (high - limit) / (high - low) * (_WIDTH - _MARGINS[0] - _MARGINS[1])
            align = "left" if text_width(text, 11) < room else "right"
            axes.text(limit + 0.5, 1.03, text, transform=axes.get_xaxis_transform(), ha=align, color=MUTED)
        number_ticks(axes.xaxis, lambda length: f"{length:,.0f}", count=10, whole=True)
        number_ticks(axes.yaxis, lambda share: f"{100 * share:g}%")
        axes.set_xlabel("tokens")

    return draw((_WIDTH, _HEIGHT), _MARGINS, paint, f"Lengths of texts in tokens. {caption}", least_scale=0.6)


def _in_words(lengths: Lengths, limit: int | None) -> str:
    words = f"{lengths.name}: half of the texts have at most {number(lengths.percentile(0.5))} tokens"
    if limit is not None:
        words += f", {percent(lengths.share_over(limit))} have more than {limit:,}"
    return words + "."


def _table(sets: list[Lengths], limit: int | None) -> Block:
    """The table, with a row for each set of texts."""
    columns: list[str] = ["Texts", "Number", "Tokens", "Mean", "Median", "95% have at most", "Longest"]
    if limit is not None:
        columns.append("Truncated share")
    rows: list[list[object]] = []
    for lengths in sets:
        row: list[object] = [lengths.name, int(lengths.counts.sum()), int((lengths.values * lengths.counts).sum())]
        row += [lengths.mean(), lengths.percentile(0.5), lengths.percentile(0.95), int(lengths.values[-1])]
        rows.append(row + ([lengths.share_over(limit)] if limit is not None else []))
    return table(columns, rows)
