"""Reads labelled texts for fine-tuning and evaluation, and bare texts for prediction, from the user's own files."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kerasbert.data.stable_split import stable_split
from kerasbert.data.tables.labels import Labels
from kerasbert.data.tables.table_rows import Row, is_table, table_rows
from kerasbert.data.text_files import PathLike, ReadReport, find_text_files, text_lines
from kerasbert.errors import BadInputError

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
# Regression's targets are float32.
_LARGEST_NUMBER = float(np.finfo(np.float32).max)
PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


@dataclass(frozen=True)
class LabelledTexts:
    """Rows of one or several files.

    Attributes:
        texts: the texts. An empty string is a legal one.
        pairs: the second text of each row, or None.
        labels: of each row a name (single label), a tuple of names (multi-label), a number (regression); None for bare
            texts.
        places: where each row stands, in words, for messages.
        problem_type: what kind of labels these are.
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
        """What a `TextToInputs` takes: the texts, or (texts, pairs)."""
        return self.texts if self.pairs is None else (self.texts, self.pairs)

    def label_names(self) -> Labels:
        """The label names of these rows, to be called on training rows only."""
        return Labels.from_training(self.labels or ())

    def targets(self, labels: Labels | None = None) -> np.ndarray:
        """What the loss takes: int32 [rows] ids, float32 [rows, labels] of 0 and 1, or float32 [rows] numbers.

        Args:
            labels: the names known from training. Not needed for regression.

        Raises:
            BadInputError: a label is unseen in training; the label, its row and the known labels are named.
        """
        if self.labels is None:
            raise ValueError("`targets` needs rows with labels. Received: rows without. Read them with a label column.")
        if self.problem_type == "regression":
            return np.array(self.labels, np.float32)
        if labels is None:
            raise ValueError("`labels` must be given for classification. Received: None. Give those of training.")
        if self.problem_type == "multi_label_classification":
            return labels.multi_hot(self.labels, self.places)
        return labels.ids(self.labels, self.places)

    def select(self, indices: Iterable[int]) -> "LabelledTexts":
        """The rows at `indices`."""
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

    def split(self, fractions: Mapping[str, float]) -> dict[str, "LabelledTexts"]:
        """Splits the rows by a hash of their texts, so that a row stays in its part whatever else is added.

        Args:
            fractions: part name -> share, such as {"train": 0.9, "validation": 0.1}.
        """
        indices: dict[str, list[int]] = {part: [] for part in fractions}
        for index, text in enumerate(self.texts):
            key = text if self.pairs is None else f"{text}\0{self.pairs[index]}"
            indices[stable_split(key, fractions)].append(index)
        return {part: self.select(chosen) for part, chosen in indices.items()}


def read_labelled(
    paths: PathLike | Iterable[PathLike],
    text_column: str = "text",
    label_column: str = "label",
    pair_column: str | None = None,
    problem_type: ProblemType = "single_label_classification",
    label_separator: str = ";",
    report: ReadReport | None = None,
) -> LabelledTexts:
    """Reads labelled texts from CSV, TSV or JSONL, plain or gzipped.

    Args:
        paths: files, folders or patterns. The ending names the format; the first line of CSV and TSV names the columns.
        text_column: the column of the texts.
        label_column: the column of the labels. White space around a label does not count.
        pair_column: the column of the second texts, where the task is on pairs.
        problem_type: with "multi_label_classification" a label is a list of names (JSON), or names with
            `label_separator` between them, of which there may be none. With "regression" it is a finite number, within
            float32's range.
        label_separator: between the labels of one row.
        report: counts are added to it, such as of invalid UTF-8.

    Raises:
        BadInputError: a missing column, a ragged row, a missing label, a label that is no such number (regression), no
            row. The message names the line.

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
    columns = [text_column, label_column] + ([pair_column] if pair_column is not None else [])
    rows = [row for path in find_text_files(paths) for row in table_rows(path, columns, report)]
    return LabelledTexts(
        texts=tuple(_text(row, 0, text_column) for row in rows),
        pairs=None if pair_column is None else tuple(_text(row, 2, pair_column) for row in rows),
        labels=tuple(_label(row, label_column, problem_type, label_separator) for row in rows),
        places=tuple(row.place for row in rows),
        problem_type=problem_type,
    )


def read_texts(
    paths: PathLike | Iterable[PathLike],
    text_column: str | None = None,
    pair_column: str | None = None,
    report: ReadReport | None = None,
) -> LabelledTexts:
    """Reads bare texts, such as for prediction.

    Args:
        paths: files, folders or patterns.
        text_column: the column of the texts in CSV, TSV or JSONL. None for plain text, where each line is one text,
            blank ones included; and in tables for "text".
        pair_column: the column of the second texts.
        report: counts are added to it.

    Raises:
        BadInputError: as `read_labelled`; a file without any line.
    """
    texts: list[str] = []
    pairs: list[str] = []
    places: list[str] = []
    report = ReadReport() if report is None else report
    for path in find_text_files(paths):
        if text_column is None and pair_column is None and not is_table(path):
            lines = list(text_lines(path, report))
            if not lines:
                raise BadInputError(f"A text file must hold at least one line. Received: '{path}', which is empty.")
            report.lines += sum(bool(line.strip()) for line in lines)
            texts += lines
            places += [f"line {number + 1} of '{path}'" for number in range(len(lines))]
            continue
        columns = [text_column or "text"] + ([pair_column] if pair_column is not None else [])
        for row in table_rows(path, columns, report):
            texts.append(_text(row, 0, columns[0]))
            if pair_column is not None:
                pairs.append(_text(row, 1, pair_column))
            places.append(row.place)
    return LabelledTexts(tuple(texts), tuple(pairs) if pair_column is not None else None, None, tuple(places))


def _text(row: Row, index: int, column: str) -> str:
    value = row.values[index]
    if not isinstance(value, str):
        raise BadInputError(
            f"Column {column!r} must hold texts. Received: {json.dumps(value)[:80]} in {row.place}. "
            'Put texts in quotes; an empty text is "".'
        )
    return value


def _label(row: Row, column: str, problem_type: ProblemType, separator: str) -> str | tuple[str, ...] | float:
    value = row.values[1]
    if problem_type == "regression":
        return _number(value, column, row.place)
    if problem_type == "multi_label_classification" and value is not None:
        parts = value if isinstance(value, list) else _label_name(value, column, row.place, True).split(separator)
        names = [_label_name(part, column, row.place, not isinstance(value, list)) for part in parts]
        return tuple(dict.fromkeys(name for name in names if name))
    return _label_name(value, column, row.place, False)


def _label_name(value: Any, column: str, place: str, may_be_empty: bool) -> str:
    """A label as a string. JSON's numbers and truth values are taken as they are written there."""
    if isinstance(value, bool | int | float):
        value = json.dumps(value)
    if not isinstance(value, str) or not (value.strip() or may_be_empty):
        received = "no label" if value in (None, "") else json.dumps(value)[:80]
        raise BadInputError(
            f"Each row must have a label in column {column!r}. Received: {received} in {place}. "
            "Add the label or remove the row."
        )
    return value.strip()


def _number(value: Any, column: str, place: str) -> float:
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= _LARGEST_NUMBER:
        raise BadInputError(
            f"Column {column!r} must hold finite numbers up to {_LARGEST_NUMBER:.2g} in size, for regression. "
            f"Received: {repr(value)[:80]} in {place}. Correct the number or remove the row."
        )
    return number
