"""Makes the page of a run: one section for each thing that its folder holds."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert.reports.report import Report
from kerasbert.reports.run_reading import EVALUATION, HISTORY, SETTINGS, Run, read_run
from kerasbert.reports.wording import shortened
from kerasbert.run_folder import RunFolder


def write_run_report(
    run_dir: str | os.PathLike[str], path: str | os.PathLike[str] | None = None, title: str = "", created: str = ""
) -> Path:
    """Writes the report of one run.

    Args:
        run_dir: the folder that `kerasbert pretrain` or `kerasbert fine-tune` wrote.
        path: the HTML file; `report.html` in the run's folder if not given.
        title: the page's heading; the folder's name if not given.
        created: when the run was, in any form, for the foot of the page.

    Returns:
        The path of the page.

    Raises:
        BadInputError: the folder is no run, a file of it is damaged (the message names file and line), or the extra
            `report` is not installed.
        OSError: the page cannot be written.
    """
    folder = Path(run_dir)
    report = Report(title or f"Run {folder.resolve().name}", created=created)
    add_run(report, read_run(folder))
    return report.write(RunFolder(folder).report if path is None else path)


def add_run(report: Report, run: Run, heading: str = "") -> None:
    """Adds the sections of one run to a report, which may hold several.

    Args:
        report: the report.
        run: what `read_run` returns.
        heading: opens a part of the page for this run.

    Raises:
        BadInputError: something that the run's files hold cannot be shown; the message names the file.
    """
    if heading:
        report.add_part(heading)
    evaluation = {name: value for name, value in run.evaluation.items() if value is not None}
    with _naming(run.folder / EVALUATION):
        _add_results(report, evaluation)
    with _naming(run.folder / HISTORY):
        report.add_training_curves(run.history)
    with _naming(run.folder / EVALUATION):
        _add_text_metrics(report, evaluation)
    with _naming(run.folder / SETTINGS):
        report.add_settings(run.settings)


def _add_results(report: Report, evaluation: Mapping[str, Any]) -> None:
    """How good the model is."""
    split = evaluation.get("split", "")
    if "metrics" in evaluation:
        # The confusion matrix brings the metrics of each label along.
        twice = "per_label" if "confusion_matrix" in evaluation else None
        metrics = {name: value for name, value in evaluation["metrics"].items() if name != twice}
        report.add_metrics(metrics, note=f"Measured on the {split} split." if split else "")
    if "comparison" in evaluation:
        comparison = _with_lists("comparison", evaluation["comparison"], "columns", "rows")
        title, note = (str(comparison.get(name) or "") for name in ("title", "note"))
        report.add_metrics_table(title or "Comparison", comparison["columns"], comparison["rows"], note)
    if "confusion_matrix" in evaluation and "labels" not in evaluation:
        raise ValueError(
            "`confusion_matrix` must come with `labels`. Received: no labels. "
            "Write the label names in the order of its rows."
        )
    if "confusion_matrix" in evaluation:
        report.add_confusion_matrix(evaluation["confusion_matrix"], evaluation["labels"])


def _add_text_metrics(report: Report, evaluation: Mapping[str, Any]) -> None:
    """What the texts are like and what the model makes of them."""
    if "answers" in evaluation:
        report.add_answers(evaluation["answers"])
    if "attention" in evaluation:
        attention = _with_lists("attention", evaluation["attention"], "pieces", "attention")
        report.add_attention(attention["pieces"], attention["attention"])
    if "lengths" in evaluation:
        report.add_length_histogram(evaluation["lengths"], limit=evaluation.get("sequence_length"))
    if "vocabulary" in evaluation:
        report.add_vocabulary(evaluation["vocabulary"])


def _with_lists(name: str, value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The value, if each of the keys holds a list."""
    for key in keys:
        if not isinstance(value.get(key), list):
            raise ValueError(
                f"`{name}` must hold a list `{key}`. Received: {key}={shortened(repr(value.get(key)), 60)}. "
                f"Evaluate again, or delete `{name}`."
            )
    return value


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Puts the file's name in front of what is wrong with its content."""
    try:
        yield
    except ValueError as error:
        raise BadInputError(f"{str(path)!r}: {error}") from error
