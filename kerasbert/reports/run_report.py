"""Makes the report of a run: one section for each kind of data in the run's folder."""

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
    """Write the report of one run.

    Args:
        run_dir: the folder that `kerasbert pretrain` or `kerasbert fine-tune` wrote.
        path: the HTML file. By default `report.html` in the run's folder.
        title: the page's heading. By default the folder's name.
        created: the time of the run, in any format, for the foot of the page.

    Returns:
        The path of the page.

    Raises:
        BadInputError: the folder is not a run's folder, one of its files is damaged (the message names the file and
            line), or the extra `report` is not installed.
        OSError: the page cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "history.jsonl").write_text('{"step": 1, "loss": 2.5}')
        >>> write_run_report(folder).name
        'report.html'
    """
    folder = Path(run_dir)
    report = Report(title or f"Run {folder.resolve().name}", created=created)
    add_run(report, read_run(folder))
    return report.write(RunFolder(folder).report if path is None else path)


def add_run(report: Report, run: Run, heading: str = "") -> None:
    """Add the sections of one run to a report, which may contain several runs.

    Args:
        report: the report.
        run: the result of `read_run`.
        heading: if given, starts a part of the page for this run.

    Raises:
        BadInputError: the content of one of the run's files cannot be shown. The message names the file.

    Example:
        >>> report = Report("Two runs")
        >>> add_run(report, Run(Path("first"), settings={"seed": 1}), heading="First")
        >>> [section.title for section in report.sections]
        ['First', 'Settings']
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
    """Add the model's metrics."""
    split = evaluation.get("split", "")
    if "metrics" in evaluation:
        # The section of the confusion matrix shows the metrics of each label.
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
            "Add the label names in the order of the rows."
        )
    if "confusion_matrix" in evaluation:
        report.add_confusion_matrix(evaluation["confusion_matrix"], evaluation["labels"])


def _add_text_metrics(report: Report, evaluation: Mapping[str, Any]) -> None:
    """Add statistics of the texts, and the model's attention and answers."""
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
    """Return the value if each of the keys contains a list."""
    for key in keys:
        if not isinstance(value.get(key), list):
            raise ValueError(
                f"`{name}` must contain a list `{key}`. Received: {key}={shortened(repr(value.get(key)), 60)}. "
                f"Evaluate the model again, or delete `{name}`."
            )
    return value


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name in front of an error message about its content."""
    try:
        yield
    except ValueError as error:
        raise BadInputError(f"{str(path)!r}: {error}") from error
