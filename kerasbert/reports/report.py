"""The page: sections in the order in which they are added, laid out by the template and written as one file.

What a section shows is decided in the module of the same name in sections/.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from kerasbert.files import write_aside
from kerasbert.reports.drawing import require_extra
from kerasbert.reports.sections.attention_maps import attention as _attention
from kerasbert.reports.sections.confusion_matrix import confusion_matrix as _confusion_matrix
from kerasbert.reports.sections.length_histogram import length_histogram as _length_histogram
from kerasbert.reports.sections.section import Block, Details, Section, Table, Tiles, table
from kerasbert.reports.sections.served_answers import answers as _answers
from kerasbert.reports.sections.training_curves import training_curves as _training_curves
from kerasbert.reports.sections.vocabulary_coverage import vocabulary as _vocabulary
from kerasbert.reports.wording import is_number, metric_name, named_number, plain_text, setting
from kerasbert.version import __version__


class Report:
    """One HTML page that contains everything it shows and runs no script.

    Each `add_...` method takes plain data and adds a section at the end of the page, unless there is nothing to show.
    The same data gives the same bytes: no time is written unless `created` is given.

    Args:
        title: the page's heading.
        subtitle: a line below the heading.
        created: the time of the run, in any format, for the foot of the page.

    Raises:
        BadInputError: jinja2 or matplotlib is not installed.

    Example:
        >>> report = Report("Two intents", subtitle="demo")
        >>> report.add_confusion_matrix([[40, 2], [1, 57]], ["refund", "card arrival"])
        >>> "card arrival" in report.to_html()
        True
    """

    def __init__(self, title: str, subtitle: str = "", created: str = "") -> None:
        require_extra()
        self.title = plain_text(title)
        self.subtitle = plain_text(subtitle)
        self.created = plain_text(created)
        self.sections: list[Section] = []

    def add_part(self, title: str, note: str = "") -> None:
        """Start a part of the page, e.g. one of several runs. The sections that are added after it belong to it."""
        self.sections.append(Section(plain_text(title), note=plain_text(note), level=1))

    def add_metrics(self, metrics: Mapping[str, Any], title: str = "Evaluation", note: str = "") -> None:
        """Add a section with the most important metrics in large type.

        Args:
            metrics: numbers by name. A mapping of names to mappings of numbers, e.g. metrics per label, becomes a
                table that can be opened. Other values are left out.
            title: the section's heading.
            note: a sentence below the heading.

        Raises:
            ValueError: `metrics` is not a mapping.
        """
        if not isinstance(metrics, Mapping):
            raise ValueError(
                f'`metrics` must map names to numbers. Received: {metrics!r}. For example, {{"accuracy": 0.9}}.'
            )
        items = tuple(
            (metric_name(key), named_number(key, value)) for key, value in metrics.items() if is_number(value)
        )
        tables = tuple(
            Details(metric_name(key), (_nested(value),)) for key, value in metrics.items() if _is_table(value)
        )
        self._add(title, ((Tiles(items),) if items else ()) + tables, note)

    def add_metrics_table(
        self,
        title: str,
        columns: Sequence[object],
        rows: Sequence[Sequence[object] | Mapping[str, object]],
        note: str = "",
    ) -> None:
        """Add a section with a table of metrics, e.g. one model per row and one metric per column.

        Args:
            title: the section's heading.
            columns: the column headings. A column whose name ends in accuracy, rate, share, precision, recall or F1 is
                shown in percent if all its values are between 0 and 1.
            rows: lists in the order of the columns, or mappings by column heading. None is an unknown value.
            note: a sentence below the heading.

        Raises:
            ValueError: a row has more or fewer values than there are columns.
        """
        self._add(title, (table(columns, rows),) if len(rows) else (), note)

    def add_training_curves(
        self, history_rows: Iterable[Mapping[str, Any]], title: str = "Training", note: str = ""
    ) -> None:
        """Add a section with a figure for each logged metric: training and validation by step, with the phases marked.

        Args:
            history_rows: the lines of a run's `history.jsonl`: `{"phase": ..., "step": ..., "split": "train" or
                "validation", metric: value, ...}` in the order in which they were written.
            title: the section's heading.
            note: a sentence below the heading.

        Raises:
            ValueError: a row has no step.
        """
        self._add(title, _training_curves(history_rows), note)

    def add_confusion_matrix(
        self, matrix: object, labels: Sequence[object], title: str = "Confusion matrix", note: str = ""
    ) -> None:
        """Add a section that shows which labels the model confuses.

        Args:
            matrix: counts [C, C]; row = true label, column = predicted label.
            labels: the C label names.
            title: the section's heading.
            note: a sentence below the heading.

        Raises:
            ValueError: the matrix is not square, contains something other than counts, or does not fit the labels.
        """
        self._add(title, _confusion_matrix(matrix, labels), note)

    def add_length_histogram(
        self,
        lengths_by_name: Mapping[str, object],
        limit: int | None = None,
        title: str = "Lengths of the texts",
        note: str = "",
    ) -> None:
        """Add a section that shows how many tokens the texts have.

        Args:
            lengths_by_name: for each set of texts, its lengths (a list or an array), or a mapping of length to count.
            limit: the model's sequence length, which is marked.
            title: the section's heading.
            note: a sentence below the heading.

        Raises:
            ValueError: a length is not a whole number of at least 0.
        """
        self._add(title, _length_histogram(lengths_by_name, limit), note)

    def add_vocabulary(self, statistics: Mapping[str, Any], title: str = "Vocabulary", note: str = "") -> None:
        """Add a section that shows how well the vocabulary fits the text.

        Args:
            statistics: the result of `vocabulary_statistics`, or any part of it.
            title: the section's heading.
            note: a sentence below the heading.

        Raises:
            ValueError: a statistic has the wrong form.
        """
        self._add(title, _vocabulary(statistics), note)

    def add_attention(
        self, pieces: Sequence[object], attention: object, title: str = "Attention", note: str = ""
    ) -> None:
        """Add a section that shows the attention within one text.

        Args:
            pieces: the T pieces of the text, with special tokens and without padding.
            attention: probabilities [N, T, T] of one layer or [L, N, T, T] of all layers. Row = the piece that attends.
            title: the section's heading.
            note: a sentence below the heading.

        Raises:
            ValueError: the array has another shape, or its values are not probabilities.
        """
        self._add(title, _attention(pieces, attention), note)

    def add_answers(
        self, answers: Sequence[Mapping[str, Any]], title: str = "Answers of the served model", note: str = ""
    ) -> None:
        """Add a section that compares the answers of the live model and the served model to the same texts.

        Args:
            answers: for each query `{"text": ..., "live": {"label", "probability"}, "rest": {...}, "grpc": {...}}`.
                Interfaces that were not called are left out. `expected` may be the true label.
            title: the section's heading.
            note: a sentence below the heading.

        Raises:
            ValueError: a query has no text, or a probability is not a number from 0 to 1.
        """
        self._add(title, _answers(answers), note)

    def add_settings(self, settings: Mapping[str, Any], title: str = "Settings", note: str = "") -> None:
        """Add a section with the run's settings. Nested settings are named by their path, e.g. `model.hidden_size`."""
        rows = [(name, setting(value)) for name, value in _flat(settings)]
        self._add(title, (_settings_table(rows),) if rows else (), note)

    def to_html(self) -> str:
        """Return the page as HTML."""
        from jinja2 import DictLoader, Environment, StrictUndefined
        from markupsafe import Markup

        folder = resources.files(__package__)
        template = folder.joinpath("page.html.j2").read_text(encoding="utf-8")
        environment = Environment(
            loader=DictLoader({"page": template}),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        styles = Markup(folder.joinpath("page.css").read_text(encoding="utf-8"))
        return environment.get_template("page").render(report=self, styles=styles, version=__version__)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the page, and return its path.

        Raises:
            OSError: the file cannot be written. An earlier page at the same path is unchanged.
        """
        page = self.to_html()
        with write_aside(path) as aside:
            aside.write_text(page, encoding="utf-8", newline="\n")
        return Path(path)

    def _add(self, title: str, blocks: tuple[Block, ...], note: str) -> None:
        if blocks:
            self.sections.append(Section(plain_text(title), blocks, plain_text(note)))


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(row, Mapping) for row in value.values())


def _nested(value: Mapping[str, Mapping[str, object]]) -> Table:
    """Metrics per label as a table."""
    names = list(dict.fromkeys(name for row in value.values() for name in row))
    columns = ["", *(metric_name(name) for name in names)]
    rows = [[label, *(row.get(name) for name in names)] for label, row in value.items()]
    return table(columns, rows)


def _settings_table(rows: Sequence[tuple[str, str]]) -> Table:
    return table(["Setting", "Value"], rows, text_columns=2)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Flatten nested settings to one list of names and values."""
    found: list[tuple[str, Any]] = []
    for key, value in settings.items():
        name = f"{prefix}{plain_text(key)}"
        found += _flat(value, f"{name}.") if isinstance(value, Mapping) and value else [(name, value)]
    return found
