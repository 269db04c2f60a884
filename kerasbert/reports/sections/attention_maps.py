"""Draws the attention within a text: a small map for each head, and the mean of each layer's heads.

The layers in `kerasbert.layers` return the probabilities.

Shapes: `L` layers, `N` heads, `T` pieces.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasbert.reports.drawing import GRID, RIGHT_RGB, draw
from kerasbert.reports.sections.section import Block, Details, Figure, Figures, Legend, LegendEntry
from kerasbert.reports.wording import percent, plain_text, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_PIECES = 40
_MOST_HEADS = 48
_GAMMA = 0.6
_SPECIAL = ("[CLS]", "[SEP]")


def attention(pieces: Sequence[object], probabilities: object) -> tuple[Block, ...]:
    """Draw the maps of all heads of one layer, or of several layers: evenly spaced, as many as fit on a page.

    Args:
        pieces: the T pieces of the text, with special tokens and without padding.
        probabilities: attention after the softmax, [N, T, T] or [L, N, T, T]. Row = the piece that attends.

    Raises:
        ValueError: the array has another shape, or its values are not probabilities.
    """
    names = [plain_text(piece) for piece in pieces]
    maps = _checked(probabilities, len(names))
    layers = _chosen_layers(*maps.shape[:2])
    shown = min(len(names), _MOST_PIECES)
    caption = (
        "Each row shows how a piece distributes its attention over the pieces in the columns; a row adds up to 100%."
    )
    if shown < len(names):
        caption += f" The first {shown} of {len(names)} pieces are shown."
    if len(layers) < len(maps):
        caption += f" {len(layers)} of {len(maps)} layers are shown."
    entries = [LegendEntry(percent(share, 0), "cell-right", round(share**_GAMMA, 3)) for share in (0.01, 0.1, 0.5, 1.0)]
    blocks: list[Block] = [Legend(tuple(entries), caption)]
    for layer in layers:
        name = f"Layer {layer + 1} of {len(maps)}" if len(maps) > 1 else "The layer"
        blocks += _layer(name, names, maps[layer], shown, is_last=layer == layers[-1])
    return tuple(blocks)


def _checked(probabilities: object, pieces: int) -> np.ndarray:
    """The probabilities as [L, N, T, T]."""
    try:
        maps = np.asarray(probabilities, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`attention` must be numbers of shape [N, T, T] or [L, N, T, T]. Received: {error}. "
            "Pass one square map for each head."
        ) from error
    if maps.ndim not in (3, 4) or maps.size == 0 or maps.shape[-2:] != (pieces, pieces):
        raise ValueError(
            "`attention` must have shape [N, T, T] or [L, N, T, T], where T is the number of pieces. "
            f"Received: shape {maps.shape}, {pieces} pieces. Pass the attention of one text, without padding."
        )
    if not ((maps >= -1e-3) & (maps <= 1 + 1e-3)).all():
        raise ValueError(
            "`attention` must contain probabilities from 0 to 1. Received: values from "
            f"{maps.min():g} to {maps.max():g}. Pass the values after the softmax."
        )
    return maps.clip(0, 1).reshape(-1, *maps.shape[-3:])


def _chosen_layers(layers: int, heads: int) -> list[int]:
    """As many layers as keep the page small, always with the last one."""
    count = min(layers, max(1, _MOST_HEADS // heads))
    return sorted({round(index) for index in np.linspace(layers - 1, 0, count)})


def _layer(name: str, names: list[str], maps: np.ndarray, shown: int, is_last: bool) -> list[Block]:
    """A large map of the mean of a layer's heads, and a small one of each head. Only the last layer is open."""
    mean = maps.mean(axis=0)
    title = f"{name}, mean of {len(maps)} heads" if len(maps) > 1 else f"{name}, its only head"
    blocks: list[Block] = [
        Figures((Figure(title, _map(title, names, mean, shown, 420), _in_words(names, mean)),), "wide")
    ]
    if len(maps) > 1:
        heads = []
        for head, probabilities in enumerate(maps):
            drawing = _map(f"{name}, head {head + 1}", names, probabilities, shown, 300)
            heads.append(Figure(f"Head {head + 1}", drawing, _strongest(names, probabilities)))
        blocks.append(Figures(tuple(heads), "panel" if len(heads) <= 4 else "small"))
    return blocks if is_last else [Details(name, tuple(blocks))]


def _map(title: str, names: list[str], probabilities: np.ndarray, shown: int, size: float) -> str:
    """Draw one map. If the cells are too small for the names of the pieces, only the layer's large map has them."""
    room = size / shown
    font_size = min(12.0, room * 0.85)
    labelled = font_size >= 7
    short = [shortened(name, 16) for name in names[:shown]]
    margin = max(text_width(name, font_size) for name in short) + 10 if labelled else 4.0
    pixels = np.empty((shown, shown, 4))
    pixels[..., :3] = RIGHT_RGB
    pixels[..., 3] = probabilities[:shown, :shown] ** _GAMMA

    def paint(axes: "Axes") -> None:
        axes.imshow(pixels, interpolation="none", aspect="auto")
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(GRID)
        if not labelled:
            axes.set_xticks([])
            axes.set_yticks([])
            return
        axes.set_yticks(range(shown), short, fontsize=font_size)
        axes.set_xticks(range(shown), short, fontsize=font_size)
        axes.tick_params(axis="x", rotation=90, top=True, bottom=False, labeltop=True, labelbottom=False)
        for label in axes.get_xticklabels():
            label.set(rotation_mode="anchor", ha="left", va="center")

    side = size + margin + 4
    description = f"Attention map. {title}. {_in_words(names, probabilities)}"
    return draw((side, side), (margin, 4, margin, 4), paint, description, least_scale=0.68)


def _in_words(names: Sequence[str], probabilities: np.ndarray) -> str:
    """The average attention of a piece to itself, to its neighbours and to special tokens, in words."""
    special = np.array([name in _SPECIAL for name in names])
    itself = float(np.trace(probabilities) / len(names))
    words = f"On average {percent(itself, 0)} of a piece's attention goes to itself"
    if len(names) > 1:
        adjacent = float((np.trace(probabilities, 1) + np.trace(probabilities, -1)) / len(names))
        words += f", {percent(adjacent, 0)} to its neighbours"
    if special.any():
        words += f", {percent(float(probabilities[:, special].sum() / len(names)), 0)} to [CLS] and [SEP]"
    return words + "."


def _strongest(names: Sequence[str], probabilities: np.ndarray) -> str:
    """The strongest link between two different pieces, without special tokens if there are other pieces."""
    text = np.array([name not in _SPECIAL for name in names])
    links = probabilities * ~np.eye(len(names), dtype=bool)
    if text.sum() > 1:
        links = links * np.outer(text, text)
    row, place = divmod(int(links.argmax()), len(names))
    return f"Strongest: “{names[row]}” → “{names[place]}”, {percent(float(links[row, place]), 0)}."
