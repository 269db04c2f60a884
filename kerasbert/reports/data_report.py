"""Writes the result of a data check as one HTML page: what was found, with the rows to look at."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbert.reports.report import Report
from kerasbert.reports.wording import shortened

# Part of the result -> heading and explanation.
PARTS = {
    "conflicts": (
        "Same text, different labels",
        "No model can learn both labels. Decide on one, or remove the rows.",
    ),
    "doubtful_labels": (
        "Doubtful labels",
        "A linear model that has not seen the row prefers another label. Look at the first rows: some labels are "
        "wrong, others are only unusual.",
    ),
    "overlap": (
        "Test rows among the other rows",
        "Metrics on these rows do not show how the model does on new texts.",
    ),
    "duplicates": ("Repeated rows", "A row that occurs several times counts several times in training."),
    "near_duplicates": ("Nearly repeated rows", "Texts with the same sequences of characters, apart from a few."),
    "too_long": ("Rows that are cut", "The model does not read the end of these texts."),
    "empty": ("Empty rows", "There is nothing to learn from them."),
}
SIMPLE_MODELS = {
    "majority": "Most frequent label",
    "tf_idf_logistic_regression": "TF-IDF and logistic regression",
}
# Part of an example -> the heading of its column.
_MORE = {"suggested": "suggested label", "similarity": "similarity"}
_FOLDERS = re.compile(r"'.*/")
_TEXT_LENGTH = 200


def write_data_report(
    result: Mapping[str, Any], path: str | os.PathLike[str], title: str = "", problems: Sequence[str] = ()
) -> Path:
    """Write the page.

    Args:
        result: the result of a data check.
        path: the file to write.
        title: the page's heading.
        problems: the limits that are exceeded, in words.

    Returns:
        The path of the page.

    Raises:
        BadInputError: jinja2 or matplotlib is not installed.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> result = {"rows": 3, "empty": {"count": 0, "share": 0.0, "examples": []}}
        >>> "Data check" in write_data_report(result, f"{folder}/check.html").read_text()
        True
    """
    report = Report(title or "Data check", subtitle=f"{result['rows']} rows")
    if problems:
        report.add_metrics_table("Limits that are exceeded", ["limit"], [[problem] for problem in problems])
    report.add_metrics_table("Summary", ["what", "rows", "share"], _summary(result))
    _add_labels(report, result)
    if "lengths" in result:
        report.add_length_histogram({"rows": result["lengths"]}, limit=result["length_limit"])
    if result.get("scripts"):
        rows = [[script, share] for script, share in result["scripts"].items()]
        report.add_metrics_table("Scripts", ["script", "share"], rows, "The share of letters of each script.")
    for part, (heading, note) in PARTS.items():
        if part in result:
            _add_examples(report, heading, note, result[part])
    return report.write(path)


def _summary(result: Mapping[str, Any]) -> list[list[Any]]:
    return [
        [heading, result[part]["count"], result[part]["share"]]
        for part, (heading, _) in PARTS.items()
        if part in result
    ]


def _add_labels(report: Report, result: Mapping[str, Any]) -> None:
    """Add the labels that are rare, and what simple models reach."""
    rare = result.get("rare_labels", {}).get("labels", {})
    report.add_metrics_table(
        "Rare labels", ["label", "rows"], list(rare.items()), "A model hardly learns these labels."
    )
    models = [
        [SIMPLE_MODELS[name], row["accuracy"], row["macro_f1"]] for name, row in result.get("baseline", {}).items()
    ]
    if models:
        note = "On the test rows. A model that is not better than these is not worth its cost."
        report.add_metrics_table("Simple models", ["model", "accuracy", "macro F1"], models, note)


def _add_examples(report: Report, heading: str, note: str, part: Mapping[str, Any]) -> None:
    """Add a table of rows: what each says, its label, where it is, and what it is compared with."""
    examples = part["examples"]
    if not examples:
        return
    first = examples[0]
    columns = [*_columns(first), *(name for key, name in _MORE.items() if key in first)]
    columns += [f"earlier {name}" for name in _columns(first)] if "repeats" in first else []
    rows = []
    for example in examples:
        row = [*_cells(example), *(_breakable(example[key]) for key in _MORE if key in example)]
        rows.append(row + (_cells(example["repeats"]) if "repeats" in example else []))
    shown = f" The first {len(rows)} of {part['count']} rows." if part["count"] > len(rows) else ""
    report.add_metrics_table(heading, columns, rows, f"{note}{shown}")


def _columns(example: Mapping[str, Any]) -> list[str]:
    return ["text", *(["label"] if "label" in example else []), "row"]


def _cells(example: Mapping[str, Any]) -> list[str]:
    text = " / ".join(str(example[name]) for name in ("text", "text_pair") if name in example)
    label = [_breakable(example["label"])] if "label" in example else []
    return [shortened(text, _TEXT_LENGTH), *label, _FOLDERS.sub("'", example["place"])]


def _breakable(value: Any) -> Any:
    """A label that may be broken after each underscore, so that it leaves room for the text."""
    return value.replace("_", "_\u200b") if isinstance(value, str) else value
