"""Reads labelled texts for fine-tuning and evaluation, and texts without labels for prediction, from tables."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbert.data.read_report import ReadReport
from kerasbert.data.split_plan import split_rows
from kerasbert.data.tables.label_cells import label_of
from kerasbert.data.tables.labels import Labels
from kerasbert.data.tables.table_format import PLAIN, TableFormat
from kerasbert.data.tables.table_rows import Row, is_table, table_rows
from kerasbert.data.text_files import PathLike, find_text_files, text_lines
from kerasbert.errors import BadInputError
from kerasbert.settings import PROBLEM_TYPES, ProblemType


@dataclass(frozen=True)
class LabelledTexts:
    """Labelled or unlabelled texts of one or several files.

    Attributes:
        texts: the texts. An empty string is allowed.
        pairs: the second text of each row, or None.
        labels: for each row a name (single label), a tuple of names (multi-label) or a number (regression); None for
            texts without labels.
        places: the position of each row as text, for messages.
        problem_type: the kind of labels.

    Example:
        >>> rows = LabelledTexts(("I like it", "I do not"), None, ("pos", "neg"), ("line 2", "line 3"))
        >>> rows.targets(rows.label_names()).tolist()
        [1, 0]
    """

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    labels: tuple[Any, ...] | None
    places: tuple[str, ...]
    problem_type: ProblemType = "single_label_classification"

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def inputs(self) -> tuple[str, ...] | tuple[tuple[str, ...], tuple[str, ...]]:
        """The argument of a `TextToInputs`: the texts, or (texts, pairs)."""
        return self.texts if self.pairs is None else (self.texts, self.pairs)

    def label_names(self) -> Labels:
        """Returns the label names of these rows. Call it only on training rows."""
        return Labels.from_training(self.labels or ())

    def targets(self, labels: Labels | None = None) -> np.ndarray:
        """Returns the targets for the loss: int32 [rows] ids, float32 [rows, labels] of 0 and 1, or float32 [rows]
        numbers.

        Args:
            labels: the label names from training. Not needed for regression.

        Raises:
            BadInputError: a label does not occur in training. The message names the label, its row and the known
                labels.
        """
        if self.labels is None:
            raise ValueError("`targets` needs rows with labels. Received: rows without. Read them with a label column.")
        if self.problem_type == "regression":
            return np.array(self.labels, np.float32)
        if labels is None:
            raise ValueError("`labels` must be given for classification. Received: None. Pass the labels of training.")
        if self.problem_type == "multi_label_classification":
            return labels.multi_hot(self.labels, self.places)
        return labels.ids(self.labels, self.places)

    def select(self, indices: Iterable[int]) -> "LabelledTexts":
        """Returns the rows at `indices`."""
        indices = list(indices)

        def chosen(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
            return None if values is None else tuple(values[index] for index in indices)

        return LabelledTexts(
            chosen(self.texts) or (),
            chosen(self.pairs),
            chosen(self.labels),
            chosen(self.places) or (),
            self.problem_type,
        )

    def split(self, fractions: Mapping[str, float], report: ReadReport | None = None) -> dict[str, "LabelledTexts"]:
        """Splits the rows by a hash of their texts. See `SplitStatistics.plan` for the rules.

        Args:
            fractions: part name -> share, with the training part first, e.g. {"train": 0.9, "validation": 0.1}.
            report: receives a note if rows stay in training to keep every class there.

        Returns:
            Part name -> its rows, in their original order.
        """
        keys = (
            self.texts if self.pairs is None else [f"{text}\0{pair}" for text, pair in zip(*self.inputs, strict=True)]
        )
        parts, note = split_rows(keys, self._classes(), fractions)
        if note and report is not None:
            report.note(note)
        return {part: self.select(chosen) for part, chosen in parts.items()}

    def _classes(self) -> list[tuple[str, ...]]:
        """Returns the classes of each row, which training must have."""
        if self.labels is None or self.problem_type == "regression":
            return [()] * len(self)
        return [(label,) if isinstance(label, str) else tuple(label) for label in self.labels]


def read_labelled(
    paths: PathLike | Iterable[PathLike],
    text_column: str = "text",
    label_column: str = "label",
    pair_column: str | None = None,
    problem_type: ProblemType = "single_label_classification",
    label_separator: str = ";",
    report: ReadReport | None = None,
    table_format: TableFormat = PLAIN,
) -> LabelledTexts:
    """Reads labelled texts from CSV, TSV or JSONL, plain or gzipped.

    Args:
        paths: files, folders or glob patterns. The extension determines the format. The first line of CSV and TSV files
            names the columns.
        text_column: the column of the texts.
        label_column: the column of the labels. White space around a label is ignored.
        pair_column: the column of the second texts, for tasks on pairs of texts.
        problem_type: with "multi_label_classification" a row's labels are a list of names (JSON), a printed list like
            `['a', 'b']`, or names separated by `label_separator`. It may be empty. With "regression" the label is a
            finite number within float32's range.
        label_separator: separates the labels of one row.
        report: receives counts, e.g. of invalid UTF-8, and notes.
        table_format: delimiter, encoding and header of the tables. By default, they are detected.

    Returns:
        The rows of all files, in order.

    Raises:
        BadInputError: a column or a label is missing, a row has too many or too few values, a label is not a finite
            number (regression), or there is no row. The message names the line.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "train.csv")
        >>> _ = path.write_text("text,label\\nI like it,pos\\nI do not,neg\\n")
        >>> rows = read_labelled(path)
        >>> rows.texts, rows.labels
        (('I like it', 'I do not'), ('pos', 'neg'))
    """
    if problem_type not in PROBLEM_TYPES:
        raise ValueError(
            f"`problem_type` must be one of {', '.join(PROBLEM_TYPES)}. Received: problem_type={problem_type!r}."
        )
    columns = {"text_column": text_column, "label_column": label_column}
    if pair_column is not None:
        columns["pair_column"] = pair_column
    rows = [row for path in find_text_files(paths) for row in table_rows(path, columns, report, table_format)]
    return LabelledTexts(
        texts=tuple(_text(row, 0, text_column) for row in rows),
        pairs=None if pair_column is None else tuple(_text(row, 2, pair_column) for row in rows),
        labels=tuple(label_of(row.values[1], label_column, row.place, problem_type, label_separator) for row in rows),
        places=tuple(row.place for row in rows),
        problem_type=problem_type,
    )


def read_texts(
    paths: PathLike | Iterable[PathLike],
    text_column: str | None = None,
    pair_column: str | None = None,
    report: ReadReport | None = None,
    table_format: TableFormat = PLAIN,
) -> LabelledTexts:
    """Reads texts without labels, e.g. for prediction.

    Args:
        paths: files, folders or patterns.
        text_column: the column of the texts in CSV, TSV or JSONL. None means plain text, where each line is a text,
            including blank lines, and in tables the column "text" (without a header, column 1).
        pair_column: the column of the second texts.
        report: counts and notes are added to it.
        table_format: delimiter, encoding and header of the tables. The encoding also applies to plain text.

    Returns:
        The texts of all files, in order.

    Raises:
        BadInputError: as for `read_labelled`, or a file is empty.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "texts.txt")
        >>> _ = path.write_text("One text\\nAnother text\\n")
        >>> read_texts(path).texts
        ('One text', 'Another text')
    """
    default = "text" if table_format.has_header else "1"
    texts: list[str] = []
    pairs: list[str] = []
    places: list[str] = []
    report = ReadReport() if report is None else report
    for path in find_text_files(paths):
        if text_column is None and pair_column is None and not is_table(path):
            lines = list(text_lines(path, report, encoding=table_format.encoding))
            if not lines:
                raise BadInputError(
                    f"A text file must contain at least one line. Received: '{path}', which is empty. "
                    "Name another file."
                )
            report.lines += sum(bool(line.strip()) for line in lines)
            texts += lines
            places += [f"line {number + 1} of '{path}'" for number in range(len(lines))]
            continue
        columns = {"text_column": text_column or default}
        if pair_column is not None:
            columns["pair_column"] = pair_column
        for row in table_rows(path, columns, report, table_format):
            texts.append(_text(row, 0, columns["text_column"]))
            if pair_column is not None:
                pairs.append(_text(row, 1, pair_column))
            places.append(row.place)
    return LabelledTexts(tuple(texts), tuple(pairs) if pair_column is not None else None, None, tuple(places))


def _text(row: Row, index: int, column: str) -> str:
    value = row.values[index]
    if not isinstance(value, str):
        raise BadInputError(
            f"Column {column!r} must contain texts. Received: {json.dumps(value)[:80]} in {row.place}. "
            'Put texts in quotes; an empty text is "".'
        )
    return value
