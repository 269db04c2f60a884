"""The rows of a fine-tuning run: reads them, splits them, and checks their words against the vocabulary."""

import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from kerasbert.data import LabelledTexts, Labels, ReadReport, read_labelled
from kerasbert.data.tables.questions import AskedQuestions, read_questions
from kerasbert.data.tables.tagged import TaggedTexts, read_tagged
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.text_formats import table_format
from kerasbert.recipes.vocabulary_check import check_unknown_words, first_characters
from kerasbert.settings import FineTuningSettings, ProblemType, TableSettings, settings_of

_SEEN_CHARACTERS = 5000  # of each text; no model sees much more

Rows = LabelledTexts | TaggedTexts | AskedQuestions


@dataclass(frozen=True)
class FineTuningRows:
    """The rows of each split.

    Attributes:
        train: The training rows, which alone define the labels.
        validation: The rows to validate on during training.
        test: The rows for the final metrics, or None for the validation rows.
    """

    train: Rows
    validation: Rows
    test: Rows | None = None

    @property
    def final(self) -> Rows:
        """The rows of the final metrics."""
        return self.validation if self.test is None else self.test

    @functools.cached_property
    def labels(self) -> Labels | None:
        """The labels of training; None for regression and question answering."""
        if isinstance(self.train, AskedQuestions) or self.train.problem_type == "regression":
            return None
        return self.train.label_names()


def check_vocabulary(settings: FineTuningSettings, to_inputs: TextToInputs, rows: Rows) -> None:
    """Refuses rows with too many words that are not in the vocabulary.

    Raises:
        BadInputError: Their share is larger than `settings.max_unknown_share`.
    """
    check_unknown_words(
        to_inputs.tokenizer,
        first_characters(texts_of(rows)),
        settings.max_unknown_share,
        settings.start_from or settings.vocabulary,
    )


def texts_of(rows: Rows) -> Iterator[str]:
    """The texts of some rows, up to the length that a model reads."""
    if isinstance(rows, TaggedTexts):
        texts: Iterator[str] = (" ".join(words) for words in rows.words)
    elif isinstance(rows, AskedQuestions):
        texts = itertools.chain(rows.texts, rows.questions)
    else:
        texts = itertools.chain(rows.texts, rows.pairs or ())
    return (text[:_SEEN_CHARACTERS] for text in texts)


def read_rows(settings: FineTuningSettings, report: ReadReport | None = None) -> FineTuningRows:
    """Reads all tables. Without validation tables, a share of the training rows is held out."""
    train = read_task_rows(settings.task, settings.train, settings, report)
    if settings.validation:
        validation = read_task_rows(settings.task, settings.validation, settings, report)
    else:
        share = settings.validation_share
        parts = train.split({"train": 1 - share, "validation": share}, report)
        train, validation = parts["train"], parts["validation"]
    test = read_task_rows(settings.task, settings.test, settings, report) if settings.test else None
    return FineTuningRows(train, validation, test)


def read_task_rows(
    task: str, paths: Iterable[str], columns: TableSettings, report: ReadReport | None = None, is_labelled: bool = True
) -> Rows:
    """Reads the labelled rows of a task.

    Args:
        task: The task, as `FineTuningSettings.task` names it.
        paths: The files.
        columns: Their columns and format.
        report: A report to which counts of what was read are added.
        is_labelled: Whether the answers to questions are read. The rows of other tasks always have labels.
    """
    if task == "question_answering":
        return read_questions(
            paths,
            _renamed(columns.text_column, "text_column", "question"),
            columns.pair_column or "context",
            _renamed(columns.label_column, "label_column", "answers") if is_labelled else None,
            report,
            table_format(columns),
        )
    if task == "token_classification":
        return read_tagged(paths, columns.text_column, columns.label_column, report, table_format(columns))
    return read_labelled(
        paths,
        columns.text_column,
        columns.label_column,
        columns.pair_column,
        cast(ProblemType, task),
        columns.label_separator,
        report,
        table_format(columns),
    )


def _renamed(column: str, setting: str, default: str) -> str:
    """The column, or the task's own default if it is that of other tasks."""
    return default if column == settings_of(TableSettings)[setting].default else column
