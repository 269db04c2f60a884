"""Draws which labels a model confuses, for two labels or a hundred, and lists the most frequent errors.

`kerasbert.training` evaluates models. This module only shows the counts.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasbert.reports.drawing import MUTED, ON_COLOUR, RIGHT_RGB, TEXT, WRONG_RGB, draw
from kerasbert.reports.sections.section import Block, Details, Figure, Figures, LegendEntry, Table, table
from kerasbert.reports.wording import percent, plain_text, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ERRORS = 12
# Colour strength = share ** _GAMMA, so that one error in a hundred is still visible.
_GAMMA = 0.55


def confusion_matrix(matrix: object, labels: Sequence[object]) -> tuple[Block, ...]:
    """Draw the matrix with rows as shares of the true label, and list frequent errors and metrics per label.

    Args:
        matrix: counts [C, C]; row = true label, column = predicted label.
        labels: the C names in the order of the rows.

    Raises:
        ValueError: the matrix is not square, contains something other than counts, or does not fit `labels`.
    """
    counts = _counts(matrix)
    names = [plain_text(label) for label in labels]
    if counts.shape != (len(names), len(names)):
        raise ValueError(
            f"`matrix` must have one row and one column for each label. "
            f"Received: shape {counts.shape}, {len(names)} labels. "
            "Count each true label in a row and each predicted label in a column."
        )
    right, total = int(np.trace(counts)), int(counts.sum())
    caption = (
        "Rows are true labels, columns are predicted labels. Numbers count texts, colours show shares of the row. "
    )
    caption += f"{right:,} of {total:,} texts are on the diagonal ({percent(right / total)})." if total else "No texts."
    drawing = Figure("", _drawing(counts, names, caption), caption, _legend())
    blocks: list[Block] = [Figures((drawing,), size="wide")]
    errors = _errors(counts, names)
    if errors.rows:
        blocks.append(errors)
    blocks.append(Details(f"Precision and recall of each of the {len(names)} labels", (_per_label(counts, names),)))
    return tuple(blocks)


def _counts(matrix: object) -> np.ndarray:
    """The matrix as integers [C, C]."""
    try:
        counts = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`matrix` must be rows of numbers, all of the same length. Received: {error}. "
            "Pass one count for each pair of labels."
        ) from error
    if counts.ndim != 2 or counts.size == 0:
        raise ValueError(
            f"`matrix` must be square, with one row for each label. Received: shape {counts.shape}. "
            "Pass a list of rows of counts."
        )
    wrong = ~(counts < 2**53) | (counts < 0) | (counts != np.floor(counts))
    if wrong.any():
        raise ValueError(
            f"`matrix` must contain counts, i.e. whole numbers of at least 0. Received: {counts[wrong][0]}. "
            "Pass counts; the report computes the shares."
        )
    return counts.astype(np.int64)


def _drawing(counts: np.ndarray, names: Sequence[str], caption: str) -> str:
    """Draw the matrix as coloured cells: large ones for few labels, and just large enough for a count for many."""
    size = len(names)
    short = [shortened(name, 30 if size <= 40 else 24) for name in names]
    cell = float(np.interp(size, [2, 6, 16, 40, 77], [90, 62, 40, 18, 11]))
    label_size = float(np.clip(cell * 0.8, 8, 12))
    widest = max(text_width(name, label_size) for name in short)
    upright = widest <= cell - 6
    left, bottom = widest + 34, (label_size + 34 if upright else widest + 28)
    width, height = left + cell * size + 12, 8 + cell * size + bottom
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)

    def paint(axes: "Axes") -> None:
        axes.imshow(_pixels(shares), interpolation="none", aspect="auto")
        axes.set_xticks(range(size), short, fontsize=label_size)
        axes.set_yticks(range(size), short, fontsize=label_size)
        if not upright:
            axes.tick_params(axis="x", rotation=90, pad=4)
            for label in axes.get_xticklabels():
                label.set(rotation_mode="anchor", ha="right", va="center")
        axes.set_xlabel("predicted", labelpad=6, fontsize=12)
        axes.set_ylabel("true", labelpad=6, fontsize=12)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_rotation_mode("anchor")
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(MUTED)
        _paint_counts(axes, counts, shares, cell)

    description = f"Confusion matrix of {size} labels. {caption}"
    return draw((width, height), (left, 12, 8, bottom), paint, description, least_scale=0.85 if size > 6 else 0.7)


def _pixels(shares: np.ndarray) -> np.ndarray:
    """[C, C] shares -> [C, C, 4]: blue on the diagonal, orange elsewhere, more opaque for larger shares."""
    pixels = np.empty((*shares.shape, 4))
    pixels[..., :3] = WRONG_RGB
    pixels[np.arange(len(shares)), np.arange(len(shares)), :3] = RIGHT_RGB
    pixels[..., 3] = shares**_GAMMA
    return pixels


def _paint_counts(axes: "Axes", counts: np.ndarray, shares: np.ndarray, cell: float) -> None:
    """Draw the counts that are not zero, as large as the cells allow."""
    for row, place in zip(*np.nonzero(counts), strict=True):
        strong = shares[row, place] ** _GAMMA > 0.72
        text = _fitting(int(counts[row, place]), cell)
        axes.text(
            place,
            row,
            text,
            ha="center",
            va="center_baseline",
            fontsize=min(13.0, cell * 0.62, (cell - 2) / (0.62 * len(text))),
            color=ON_COLOUR if strong else TEXT,
        )


def _fitting(count: int, cell: float) -> str:
    """The count, in thousands or millions if the cell is too small for all its digits."""
    full = f"{count:,}"
    if count < 1000 or len(full) * 5 < cell:
        return full
    return f"{count / 1e3:.0f}k" if count < 999_500 else f"{count / 1e6:.0f}M"


def _legend() -> tuple[LegendEntry, ...]:
    """The meaning of the colours."""
    shares = (0.01, 0.1, 0.5, 1.0)
    right = [LegendEntry("correct: 100% of the row", "cell-right")]
    wrong = [LegendEntry(f"{percent(share, 0)}", "cell-wrong", round(share**_GAMMA, 3)) for share in shares[:-1]]
    return (*right, *wrong[::-1][:-1], LegendEntry("wrong: 1% of the row", "cell-wrong", wrong[0].strength))


def _errors(counts: np.ndarray, names: Sequence[str]) -> Table:
    """The pairs of labels that are confused most often."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_ERRORS]
    pairs = [
        (row, place) for row, place in zip(*np.unravel_index(order, wrong.shape), strict=True) if wrong[row, place]
    ]
    totals = counts.sum(axis=1)
    rows = [
        [names[row], names[place], int(wrong[row, place]), float(wrong[row, place] / totals[row])]
        for row, place in pairs
    ]
    return table(
        ["True label", "Predicted label", "Texts", "Share"],
        rows,
        "Most frequent errors",
        "Share of the texts with the true label.",
        2,
    )


def _per_label(counts: np.ndarray, names: Sequence[str]) -> Table:
    """Precision, recall and F1 of each label, empty if a label does not occur."""
    right, true, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    rows = [
        [
            name,
            int(true[index]),
            float(right[index] / predicted[index]) if predicted[index] else None,
            float(right[index] / true[index]) if true[index] else None,
            float(2 * right[index] / (true[index] + predicted[index])) if true[index] + predicted[index] else None,
        ]
        for index, name in enumerate(names)
    ]
    return table(["Label", "Texts", "Precision", "Recall", "F1"], rows)
