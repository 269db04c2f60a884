"""A figure of a load test: latency by percentile, and latency over time."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kerasbert_serving.load_test.report import Report


def save_plot(report: Report, path: str | os.PathLike) -> None:
    """Draw a report into a file.

    Args:
        report: The report.
        path: The file. Its suffix selects the format: .png, .svg or .pdf.

    Raises:
        ValueError: If matplotlib does not support the format.
        OSError: If the file cannot be written.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    by_percentile, over_time = figure.subplots(1, 2)
    _draw_percentiles(by_percentile, np.array(report.latencies()) * 1000)
    _draw_time(over_time, report)
    metrics = report.to_dict()
    load = f"{report.load.rate:g} requests/s" if report.load.rate else f"{report.load.concurrency} clients"
    figure.suptitle(
        f"{report.load.model_name} over {'REST' if report.load.rest else 'gRPC'}, {metrics['loop']} loop, {load}: "
        f"{metrics['requests_per_second']:g} answers/s, {sum(report.errors.values())} errors"
    )
    figure.savefig(Path(path), dpi=120)


def _draw_percentiles(axes: Any, latencies: np.ndarray) -> None:
    """Draw percentiles on an axis that stretches the tail: 90, 99 and 99.9 have equal distances."""
    if len(latencies):
        share = (np.arange(len(latencies)) + 0.5) / len(latencies)
        axes.plot(1 / (1 - share), latencies, drawstyle="steps-post")
    ticks = [p for p in (0, 50, 90, 99, 99.9, 99.99) if p == 0 or len(latencies) * (1 - p / 100) >= 0.5]
    axes.set_xscale("log")
    axes.set_xticks([1 / (1 - p / 100) for p in ticks], [f"{p:g}%" for p in ticks])
    axes.minorticks_off()
    axes.set(xlabel="percentile", ylabel="latency in ms", ylim=(0, None))
    axes.grid(alpha=0.3)


def _draw_time(axes: Any, report: Report) -> None:
    answered = [(sample.due, sample.latency * 1000) for sample in report.samples if sample.error is None]
    failed = [sample.due for sample in report.samples if sample.error is not None]
    if answered:
        axes.plot(*zip(*answered, strict=True), ".", markersize=2, label="answered", rasterized=True)
    if failed:
        axes.plot(failed, [0] * len(failed), "x", color="tab:red", label="error", rasterized=True)
    axes.set(xlabel="seconds", ylabel="latency in ms", ylim=(0 if answered else -1, None))
    axes.grid(alpha=0.3)
    if answered or failed:
        axes.legend(loc="upper right")
