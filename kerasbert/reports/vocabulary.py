"""Counts how a vocabulary fits a corpus, and draws the counts.

Takes pieces and ids as plain data. Learning a vocabulary and tokenizing are the business of `kerasbert.preprocessing`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasbert.reports.drawing import FONT_SIZE, SERIES, draw, number_ticks
from kerasbert.reports.section import Block, Figure, Figures, LegendEntry, Tiles
from kerasbert.reports.wording import is_number, number, percent, plain_text, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_MOST_FREQUENT = 30
_LONGEST_DRAWN = 20
_WIDTH, _HEIGHT = 420.0, 260.0
_MARGINS = (54.0, 10.0, 12.0, 44.0)


def vocabulary_statistics(
    pieces: Sequence[str],
    encoded_texts: Iterable[Sequence[int]] = (),
    special_pieces: Sequence[str] = SPECIAL_PIECES,
    unknown_piece: str = "[UNK]",
    continuation_prefix: str = "##",
) -> dict[str, Any]:
    """Counts what `Report.add_vocabulary` shows. Texts are read one by one, so they may come from a generator.

    Args:
        pieces: the vocabulary, in the order of the ids.
        encoded_texts: the token ids of each text, with or without special pieces, which are not counted.
        special_pieces: pieces that stand for no text.
        unknown_piece: the special piece that stands for a word which the vocabulary cannot spell.
        continuation_prefix: how a piece begins that goes on with a word.

    Returns:
        A dict that JSON can hold: `size`; `special_pieces`, those of the vocabulary; `pieces_by_length`, for "word
        starts" and "continuations" the number of pieces per number of characters; `tokens`, `words`, `whole_words`
        (one piece is the word), `unknown_words`; `used_pieces`; `frequent_pieces`, pairs of piece and count;
        `coverage`, pairs of k and the share of tokens that the k most frequent pieces make up.

    Raises:
        ValueError: a token id that is not in the vocabulary.

    Example:
        >>> found = vocabulary_statistics(["[UNK]", "play", "##ing", "chess"], [[1, 2, 3], [0, 3]])
        >>> found["tokens"], found["words"], found["whole_words"], found["unknown_words"], found["used_pieces"]
        (5, 4, 2, 1, 3)
    """
    special = np.array([piece in special_pieces for piece in pieces], dtype=bool)
    unknown = np.array([piece == unknown_piece for piece in pieces], dtype=bool)
    continues = np.array([piece.startswith(continuation_prefix) for piece in pieces], dtype=bool) & ~special
    by_length: dict[str, Counter[int]] = {"word starts": Counter(), "continuations": Counter()}
    for piece, is_special, goes_on in zip(pieces, special, continues, strict=True):
        if goes_on:
            by_length["continuations"][len(piece) - len(continuation_prefix)] += 1
        elif not is_special:
            by_length["word starts"][len(piece)] += 1
    counts = np.zeros(len(pieces), dtype=np.int64)
    words = whole_words = 0
    for text in encoded_texts:
        ids = _checked_ids(text, len(pieces))
        ids = ids[~special[ids] | unknown[ids]]
        counts += np.bincount(ids, minlength=len(pieces))
        starts = ~continues[ids]
        words += int(starts.sum())
        whole_words += int((starts & ~unknown[ids] & np.append(starts[1:], True)[: len(ids)]).sum())
    return {
        "size": len(pieces),
        "special_pieces": int(special.sum()),
        "pieces_by_length": {kind: dict(sorted(found.items())) for kind, found in by_length.items()},
        "tokens": int(counts.sum()),
        "words": words,
        "whole_words": whole_words,
        "unknown_words": int(counts[unknown].sum()),
        **_usage(pieces, np.where(unknown, 0, counts), int(counts.sum())),
    }


def _checked_ids(text: Sequence[int], size: int) -> np.ndarray:
    ids = np.asarray(text, dtype=np.int64).reshape(-1)
    if len(ids) and (ids.min() < 0 or ids.max() >= size):
        raise ValueError(
            f"A token id must be from 0 to {size - 1}. Received: ids from {ids.min()} to {ids.max()}. "
            "Encode the texts with this vocabulary."
        )
    return ids


def _usage(pieces: Sequence[str], counts: np.ndarray, tokens: int) -> dict[str, Any]:
    """How many pieces occur at all, which ones most often, and how much of the text the most frequent make up."""
    order = np.argsort(-counts, kind="stable")
    used = int((counts > 0).sum())
    frequent = [[pieces[index], int(counts[index])] for index in order[: min(_MOST_FREQUENT, used)]]
    covered = counts[order].cumsum() / max(tokens, 1)
    ranks = sorted({round(rank) for rank in np.geomspace(1, used, 40)}) if used else []
    coverage = [[rank, float(covered[rank - 1])] for rank in ranks]
    return {"used_pieces": used, "frequent_pieces": frequent, "coverage": coverage}


def vocabulary(statistics: Mapping[str, Any]) -> tuple[Block, ...]:
    """Tiles, the lengths of the pieces, the coverage of the text, and the most frequent pieces; what is given of it.

    Args:
        statistics: what `vocabulary_statistics` returns, or any part of it.

    Raises:
        ValueError: a statistic of the wrong form.
    """
    if not isinstance(statistics, Mapping):
        raise ValueError(
            f"`statistics` must be a mapping. Received: {type(statistics).__name__}. Give `vocabulary_statistics(...)`."
        )
    figures = [
        _lengths_figure(_counts_by_length(statistics.get("pieces_by_length") or {})),
        _coverage_figure(_pairs("coverage", statistics.get("coverage") or [])),
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
    """The rates that tell whether the vocabulary fits the text."""
    found: dict[str, float] = {}
    for name in ("size", "special_pieces", "tokens", "words", "whole_words", "unknown_words", "used_pieces"):
        value = statistics.get(name)
        if value is None:
            continue
        if not is_number(value) or not value >= 0:
            raise ValueError(f"`{name}` must be a count. Received: {name}={value!r}. Give a whole number of 0 or more.")
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


def _counts_by_length(given: object) -> dict[str, dict[int, float]]:
    """The number of pieces per kind and length."""
    try:
        return {
            str(kind): {int(length): float(count) for length, count in counts.items()}
            for kind, counts in given.items()  # type: ignore[attr-defined]
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"`pieces_by_length` must map a kind of piece to counts per length. Received: {error}. "
            'Give for instance {"word starts": {"3": 120}}.'
        ) from error


def _pairs(name: str, given: object) -> list[tuple[float, float]]:
    """Pairs of numbers."""
    try:
        return [(float(first), float(second)) for first, second in given]  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must be pairs of numbers. Received: {error}. Give for instance [[10, 0.25], [100, 0.6]]."
        ) from error


def _lengths_figure(by_length: Mapping[str, Mapping[int, float]]) -> Figure | None:
    """How long the pieces are, a bar per kind."""
    kinds = [kind for kind, counts in by_length.items() if sum(counts.values())]
    if not kinds:
        return None
    longest = min(_LONGEST_DRAWN, max(length for kind in kinds for length in by_length[kind]))
    heights = {kind: np.zeros(longest + 1) for kind in kinds}
    for kind in kinds:
        for length, count in by_length[kind].items():
            heights[kind][min(max(length, 0), longest)] += count

    def paint(axes: "Axes") -> None:
        axes.grid(True, axis="y")
        width = 0.8 / len(kinds)
        for index, kind in enumerate(kinds):
            across = np.arange(longest + 1) - 0.4 + width * (index + 0.5)
            axes.bar(across[1:], heights[kind][1:], width * 0.94, color=SERIES[index % len(SERIES)])
        number_ticks(axes.xaxis, lambda length: f"{length:.0f}" + ("+" if length == _LONGEST_DRAWN else ""), count=10)
        number_ticks(axes.yaxis, lambda count: f"{count:,.0f}")
        axes.set_xlabel("characters")

    means = {
        kind: sum(length * count for length, count in by_length[kind].items()) / sum(by_length[kind].values())
        for kind in kinds
    }
    caption = " ".join(
        f"{number(int(sum(by_length[kind].values())))} {kind}, {means[kind]:.1f} characters on average."
        for kind in kinds
    )
    legend = tuple(LegendEntry(kind, f"bar-{index % len(SERIES) + 1}") for index, kind in enumerate(kinds))
    title = "Lengths of the pieces"
    return Figure(title, draw((_WIDTH, _HEIGHT), _MARGINS, paint, f"{title}. {caption}"), caption, legend)


def _coverage_figure(coverage: Sequence[tuple[float, float]]) -> Figure | None:
    """How much of the text the most frequent pieces make up."""
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
    """The most frequent pieces with their counts."""
    given = statistics.get("frequent_pieces") or []
    try:
        pairs = [(shortened(plain_text(piece), 16), int(count)) for piece, count in given][:_MOST_FREQUENT]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`frequent_pieces` must be pairs of piece and count. Received: {error}. "
            'Give for instance [["the", 120], ["##s", 40]].'
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
        number_ticks(axes.yaxis, lambda count: f"{count:,.0f}")

    caption = f"“{pairs[0][0]}” is the most frequent piece: {number(pairs[0][1])} times"
    tokens = statistics.get("tokens")
    caption += f", {percent(pairs[0][1] / tokens)} of all tokens." if tokens else "."
    title = f"The {len(pairs)} most frequent pieces"
    drawing = draw((880, 200 + below), (64, 10, 12, below), paint, f"{title}. {caption}", least_scale=0.7)
    return Figure(title, drawing, caption)
