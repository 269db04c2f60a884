"""Draws what training logged: a figure for each metric, with a line for each split and the phases marked.

The rows are those of `history.jsonl`. If a later phase counts its steps from the beginning, they are drawn after
those of the earlier phase, so that the axis is time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasbert.reports.drawing import GRID, MUTED, SERIES, draw, number_ticks
from kerasbert.reports.sections.section import Block, Details, Figure, Figures, LegendEntry
from kerasbert.reports.wording import (
    is_number,
    is_share,
    metric_name,
    named_number,
    number,
    percent,
    plain_text,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOT_METRICS = ("phase", "step", "split", "epoch", "time", "seconds")

_WIDTH, _HEIGHT = 420.0, 260.0
_MARGINS = (50.0, 10.0, 26.0, 42.0)
_MOST_POINTS = 600
_SMOOTHED_FROM = 80
# Larger values are drawn as gaps, like NaN and infinity.
_BEYOND_MEASURE = 1e30
_MAIN = ("loss", "accuracy", "f1", "precision", "recall")


@dataclass(frozen=True)
class Curve:
    """One metric of one split over the steps of all phases, in order."""

    split: str
    steps: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Phase:
    """A part of the step axis, with the name of the phase that was trained there."""

    name: str
    first: float
    last: float


def training_curves(history_rows: Iterable[Mapping[str, Any]]) -> tuple[Block, ...]:
    """Draw all metrics: losses and accuracies first, the others in a part of the page that can be opened.

    Raises:
        ValueError: a row has no `step`, or a step that is not a whole number of at least 0.
    """
    rows = [_checked(index, row) for index, row in enumerate(history_rows)]
    phases, starts = _phases(rows)
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if _is_metric(name, value)))
    main = sorted((name for name in names if _rank(name) < len(_MAIN)), key=lambda name: (_rank(name), name))
    rest = [name for name in names if name not in main]
    blocks: list[Block] = []
    if main:
        blocks.append(Figures(tuple(_panel(name, rows, phases, starts) for name in main)))
    if rest:
        panels = Figures(tuple(_panel(name, rows, phases, starts) for name in rest))
        blocks.append(Details("Other metrics of the run", (panels,), is_open=not main))
    return tuple(blocks)


def _checked(index: int, row: object) -> Mapping[str, Any]:
    """Return the row if it has a step."""
    if not isinstance(row, Mapping):
        raise ValueError(
            f"A row of the history must be a mapping. Received: row {index + 1} is {row!r}. "
            'For example, {"phase": "short", "step": 10, "split": "train", "loss": 2.3}.'
        )
    step = row.get("step")
    if not is_number(step) or not 0 <= step < 2**53 or step != int(step):
        raise ValueError(
            f"`step` must be a whole number of at least 0. Received: step={step!r} in row {index + 1} of the history. "
            "Add the step at which the row's metrics were measured."
        )
    return row


def _is_metric(name: str, value: object) -> bool:
    return name not in NOT_METRICS and is_number(value)


def _rank(name: str) -> int:
    """The place of a metric on the page: losses first, then accuracies, then the rest."""
    return next((index for index, word in enumerate(_MAIN) if word in str(name).split("_")), len(_MAIN))


def _phase_of(row: Mapping[str, Any]) -> str:
    return plain_text(row.get("phase") or "")


def _phases(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Phase], dict[str, float]]:
    """The phases in order, and the number to add to the steps of each."""
    steps: dict[str, list[float]] = {}
    trained: dict[str, list[float]] = {}
    for row in rows:
        steps.setdefault(_phase_of(row), []).append(float(row["step"]))
        if row.get("split") == "train":
            trained.setdefault(_phase_of(row), []).append(float(row["step"]))
    phases: list[Phase] = []
    starts: dict[str, float] = {}
    for name, of_phase in steps.items():
        end = phases[-1].last if phases else 0.0
        # A step is trained only once, so a phase that starts at an earlier step counts from 1 again.
        begins_again = bool(phases) and min(trained.get(name, of_phase)) <= end
        starts[name] = end if begins_again else 0.0
        phases.append(Phase(name, end, starts[name] + max(of_phase)))
    return phases, starts


def _curves(name: str, rows: Sequence[Mapping[str, Any]], starts: Mapping[str, float]) -> list[Curve]:
    """The metric's curve for each split. If a step was logged twice, e.g. after a resume, the later row counts."""
    by_split: dict[str, dict[float, float]] = {}
    for row in rows:
        if _is_metric(name, row.get(name)):
            split = plain_text(row.get("split") or "train")
            by_split.setdefault(split, {})[starts[_phase_of(row)] + float(row["step"])] = float(row[name])
    order = sorted(by_split, key=lambda split: (split != "train", split != "validation", split))
    curves = []
    for split in order:
        steps = np.array(sorted(by_split[split]))
        values = np.array([by_split[split][step] for step in steps])
        curves.append(Curve(split, steps, np.where(np.abs(values) < _BEYOND_MEASURE, values, np.nan)))
    return curves


def _panel(
    name: str, rows: Sequence[Mapping[str, Any]], phases: Sequence[Phase], starts: Mapping[str, float]
) -> Figure:
    """The figure of one metric."""
    curves = _curves(name, rows, starts)
    seen = [phase for phase in phases if any(_during(phase, curve).any() for curve in curves)]
    shares = is_share(name, [value for curve in curves for value in curve.values])
    smoothed = {curve.split for curve in curves if len(curve.steps) >= _SMOOTHED_FROM}

    def paint(axes: "Axes") -> None:
        axes.grid(True, axis="y")
        for index, curve in enumerate(curves):
            _paint_curve(axes, curve, SERIES[index % len(SERIES)], curve.split in smoothed)
        axes.margins(x=0.02)
        if len(phases) > 1:
            _paint_phases(axes, seen)
        number_ticks(axes.xaxis, lambda step: f"{step:,.0f}", whole=True)
        number_ticks(axes.yaxis, lambda value: percent(value, 0) if shares else _tick(value))
        axes.set_xlabel("step")

    caption = " ".join(_in_words(name, curve) for curve in curves)
    if smoothed:
        caption += " Thin lines: as logged. Bold lines: running mean."
    if len(phases) > 1:
        caption += f" Phases: {', '.join(phase.name or 'unnamed' for phase in seen)}."
    legend = tuple(LegendEntry(curve.split, f"line-{index % len(SERIES) + 1}") for index, curve in enumerate(curves))
    title = metric_name(name)
    return Figure(title, draw((_WIDTH, _HEIGHT), _MARGINS, paint, f"{title} by step. {caption}"), caption, legend)


def _during(phase: Phase, curve: Curve) -> np.ndarray:
    return (curve.steps >= phase.first) & (curve.steps <= phase.last)


def _paint_curve(axes: "Axes", curve: Curve, colour: str, smoothed: bool) -> None:
    """Draw a line. A long, noisy one is drawn thin, with its running mean over it. Few points are marked."""
    steps, values = _thinned(curve.steps, curve.values)
    if smoothed:
        axes.plot(steps, values, color=colour, linewidth=1, alpha=0.35)
        values = _running_mean(values, max(5, len(values) // 30))
    axes.plot(
        steps, values, color=colour, marker="o" if len(steps) <= 40 else None, markersize=4, markeredgewidth=0, zorder=3
    )


def _paint_phases(axes: "Axes", phases: Sequence[Phase]) -> None:
    """Draw a dashed line where a phase begins, and the names of the phases above it if there is room."""
    low, high = axes.get_xlim()
    pixels = (_WIDTH - _MARGINS[0] - _MARGINS[1]) / max(high - low, 1e-9)
    for index, phase in enumerate(phases):
        first, last = max(phase.first, low), min(phase.last, high)
        if index > 0:
            axes.axvline(phase.first, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        text, room = phase.name, (last - first) * pixels
        is_last = index == len(phases) - 1
        if text_width(text, 11) > room - 6 and not is_last:
            text = str(index + 1) if text_width(str(index + 1), 11) < room else ""
        across, align = (high, "right") if is_last and text_width(text, 11) > room else ((first + last) / 2, "center")
        axes.text(across, 1.03, text, transform=axes.get_xaxis_transform(), ha=align, color=MUTED)
    axes.axhline(axes.get_ylim()[1], color=GRID, linewidth=1)
    axes.set_xlim(low, high)


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reduce a curve to `_MOST_POINTS` points, each the mean of its neighbours: no window can show more."""
    if len(steps) <= _MOST_POINTS:
        return steps, values
    edges = np.linspace(0, len(steps), _MOST_POINTS + 1).astype(int)[:-1]
    sizes = np.diff(np.append(edges, len(steps)))
    return np.add.reduceat(steps, edges) / sizes, np.add.reduceat(values, edges) / sizes


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean over `window` neighbours, or fewer at both ends, without values that are not finite."""
    ones = np.ones(window)
    finite = np.isfinite(values)
    count = np.convolve(finite.astype(float), ones, mode="same")
    total = np.convolve(np.where(finite, values, 0.0), ones, mode="same")
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _tick(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.4g}"
    return number(value) if abs(value) < 1e-3 else f"{value / 1000:,.4g}k"


def _in_words(name: str, curve: Curve) -> str:
    """The first, last and best value of a curve, in words."""
    split = curve.split[:1].upper() + curve.split[1:]
    finite = np.flatnonzero(np.isfinite(curve.values))
    lost = len(curve.values) - len(finite)
    if not len(finite):
        return f"{split}: no finite value."
    values, steps = curve.values[finite], curve.steps[finite]
    words = f"{split}: {named_number(name, values[0])}"
    if len(values) > 1:
        words += f" → {named_number(name, values[-1])}"
    if len(values) > 1 and curve.split != "train" and _rank(name) < len(_MAIN):
        best = int(values.argmin() if _rank(name) == 0 else values.argmax())
        words += f" (best {named_number(name, values[best])} at step {steps[best]:,.0f})"
    return words + (f"; too large to draw or not a number: {lost}." if lost else ".")
