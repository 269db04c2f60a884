"""Draws how well a vocabulary fits a corpus: key rates, the lengths of the pieces, and the coverage of the text.

vocabulary_statistics.py does the counting.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasbert.reports.drawing import FONT_SIZE, SERIES, draw, number_ticks
from kerasbert.reports.sections.section import Block, Figure, Figures, LegendEntry, Tiles
from kerasbert.reports.sections.vocabulary_statistics import MOST_FREQUENT
from kerasbert.reports.wording import is_number, number, percent, plain_text, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_DRAWN = 20
_WIDTH, _HEIGHT = 420.0, 260.0
_MARGINS = (54.0, 10.0, 12.0, 44.0)


def vocabulary(statistics: Mapping[str, Any]) -> tuple[Block, ...]:
    """Draw key rates, the lengths of the pieces, the coverage of the text and the most frequent pieces.

    Args:
        statistics: the result of `vocabulary_statistics`, or any part of it. Missing parts are left out.

    Raises:
        ValueError: a statistic has the wrong form.
    """
    if not isinstance(statistics, Mapping):
        raise ValueError(
            f"`statistics` must be a mapping. Received: {type(statistics).__name__}. "
            "Pass the result of `vocabulary_statistics`."
        )
    figures = [
        _lengths_figure(_counts_by_length(statistics.get("pieces_by_length") or {})),
        _coverage_figure(_coverage(statistics.get("coverage") or [])),
    ]
    drawn = tuple(figure for figure in figures if figure)
    blocks: list[Block] = []
    tiles = _tiles(statistics)
    if tiles:
        blocks.append(Tiles(tiles))
    if drawn:
        blocks.append(Figures(drawn))
    frequent = _frequent_figure(statistics)
    if frequent:
        blocks.append(Figures((frequent,), size="wide"))
    return tuple(blocks)


def _tiles(statistics: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The rates that show whether the vocabulary fits the text."""
    found: dict[str, float] = {}
    for name in ("size", "special_pieces", "tokens", "words", "whole_words", "unknown_words", "used_pieces"):
        value = statistics.get(name)
        if value is None:
            continue
        if not is_number(value) or not 0 <= value < 2**53:
            raise ValueError(
                f"`{name}` must be a count. Received: {name}={value!r}. Pass a whole number of at least 0."
            )
        found[name] = value
    tiles = []
    if "size" in found:
        tiles.append(("Pieces", number(int(found["size"]))))
    usable = found.get("size", 0) - found.get("special_pieces", 0)
    words = found.get("words", 0)
    if "used_pieces" in found and usable > 0 and found.get("tokens", 1):
        tiles.append(("Pieces in use", percent(found["used_pieces"] / usable)))
    if words and "whole_words" in found:
        tiles.append(("Words kept whole", percent(found["whole_words"] / words)))
    if words and "unknown_words" in found:
        tiles.append(("Unknown words", percent(found["unknown_words"] / words, decimals=2)))
    if words and "tokens" in found:
        tiles.append(("Pieces per word", f"{found['tokens'] / words:.2f}"))
    return tuple(tiles)


def _counts_by_length(given: object) -> dict[str, dict[int, int]]:
    """The number of pieces of each kind and length."""
    try:
        return {
            plain_text(kind): {_count(length): _count(count) for length, count in counts.items()}
            for kind, counts in given.items()  # type: ignore[attr-defined]
        }
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"`pieces_by_length` must map each kind of piece to counts by length. Received: {error}. "
            'For example, {"word starts": {"3": 120}}.'
        ) from error


def _coverage(given: object) -> list[tuple[int, float]]:
    """Pairs of rank and share."""
    try:
        pairs = [(_count(rank), float(share)) for rank, share in given]  # type: ignore[attr-defined]
        if all(rank > 0 and 0 <= share <= 1 for rank, share in pairs):
            return pairs
        error: Exception = ValueError(f"pairs {pairs[:3]}")
    except (TypeError, ValueError, OverflowError) as caught:
        error = caught
    raise ValueError(
        f"`coverage` must be pairs of a rank of at least 1 and a share from 0 to 1. Received: {error}. "
        "For example, [[10, 0.25], [100, 0.6]]."
    ) from error


def _count(value: Any) -> int:
    """A whole number of at least 0, which may be a string, because the keys of JSON objects are strings."""
    if int(value) != float(value) or not 0 <= int(value) < 2**53:
        raise ValueError(f"{value!r} is not a count")
    return int(value)


def _lengths_figure(by_length: Mapping[str, Mapping[int, int]]) -> Figure | None:
    """The figure of the lengths of the pieces, with a bar for each kind."""
    kinds = [kind for kind, counts in by_length.items() if sum(counts.values())]
    if not kinds:
        return None
    longest = min(_LONGEST_DRAWN, max(length for kind in kinds for length in by_length[kind]))
    heights = {kind: np.zeros(longest + 1) for kind in kinds}
    for kind in kinds:
        for length, count in by_length[kind].items():
            heights[kind][min(length, longest)] += count

    def paint(axes: "Axes") -> None:
        axes.grid(True, axis="y")
        width = 0.8 / len(kinds)
        for index, kind in enumerate(kinds):
            across = np.arange(longest + 1) - 0.4 + width * (index + 0.5)
            axes.bar(across[1:], heights[kind][1:], width * 0.94, color=SERIES[index % len(SERIES)])
        number_ticks(
            axes.xaxis, lambda length: f"{length:.0f}" + ("+" if length == _LONGEST_DRAWN else ""), count=10, whole=True
        )
        number_ticks(axes.yaxis, lambda count: f"{count:,.0f}", whole=True)
        axes.set_xlabel("characters")

    means = {
        kind: sum(length * count for length, count in by_length[kind].items()) / sum(by_length[kind].values())
        for kind in kinds
    }
    caption = " ".join(
        f"{number(sum(by_length[kind].values()))} {kind} of {means[kind]:.1f} characters on average." for kind in kinds
    )
    legend = tuple(LegendEntry(kind, f"bar-{index % len(SERIES) + 1}") for index, kind in enumerate(kinds))
    title = "Lengths of the pieces"
    return Figure(title, draw((_WIDTH, _HEIGHT), _MARGINS, paint, f"{title}. {caption}"), caption, legend)


def _coverage_figure(coverage: Sequence[tuple[int, float]]) -> Figure | None:
    """The figure of how much of the text the most frequent pieces make up."""
    if not coverage:
        return None
    ranks, shares = np.array(sorted(coverage)).T

    def paint(axes: "Axes") -> None:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

        axes.grid(True, axis="y")
        axes.set_xscale("log")
        axes.plot(ranks, shares, color=SERIES[0])
        axes.fill_between(ranks, shares, color=SERIES[0], alpha=0.1, linewidth=0)
        axes.set_ylim(0, 1.02)
        axes.xaxis.set_major_locator(LogLocator())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rank, _: f"{rank:,.0f}"))
        number_ticks(axes.yaxis, lambda share: percent(share, 0))
        axes.set_xlabel("most frequent pieces")

    caption = ""
    half = np.flatnonzero(shares >= 0.5)
    if len(half):
        caption = f"The {number(int(ranks[half[0]]))} most frequent pieces make up half of the text."
    title = "Share of the text that the most frequent pieces cover"
    return Figure(title, draw((_WIDTH, _HEIGHT), _MARGINS, paint, f"{title}. {caption}"), caption)


def _frequent_figure(statistics: Mapping[str, Any]) -> Figure | None:
    """The figure of the most frequent pieces with their counts."""
    given = statistics.get("frequent_pieces") or []
    try:
        pairs = [(shortened(plain_text(piece), 16), _count(count)) for piece, count in given][:MOST_FREQUENT]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"`frequent_pieces` must be pairs of piece and count. Received: {error}. "
            'For example, [["the", 120], ["##s", 40]].'
        ) from error
    if not pairs:
        return None
    below = max(text_width(piece, FONT_SIZE) for piece, _ in pairs) + 12

    def paint(axes: "Axes") -> None:
        axes.grid(True, axis="y")
        axes.bar(range(len(pairs)), [count for _, count in pairs], 0.75, color=SERIES[0])
        axes.set_xlim(-0.6, max(len(pairs), 8) - 0.4)
        axes.set_xticks(range(len(pairs)), [piece for piece, _ in pairs])
        axes.tick_params(axis="x", rotation=90)
        for label in axes.get_xticklabels():
            label.set(rotation_mode="anchor", ha="right", va="center")
        number_ticks(axes.yaxis, lambda count: f"{count:,.0f}", whole=True)

    caption = f"“{pairs[0][0]}” is the most frequent piece: {number(pairs[0][1])} times"
    tokens = statistics.get("tokens")
    caption += f", {percent(pairs[0][1] / tokens)} of all tokens." if tokens else "."
    title = f"The {len(pairs)} most frequent pieces"
    drawing = draw((880, 200 + below), (64, 10, 12, below), paint, f"{title}. {caption}", least_scale=0.7)
    return Figure(title, drawing, caption)
