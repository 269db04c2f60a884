"""The rows of a fine-tuning run: reads them, splits them, and checks their words against the vocabulary."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kerasbert.data import LabelledTexts, Labels, ReadReport, read_labelled
from kerasbert.data.tables.tagged import TaggedTexts, read_tagged
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.text_formats import table_format
from kerasbert.recipes.vocabulary_check import check_unknown_words, first_characters
from kerasbert.settings import FineTuningSettings

_SEEN_CHARACTERS = 5000  # of each text; no model sees much more

Rows = LabelledTexts | TaggedTexts


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
        """The labels of training; None for regression."""
        return None if self.train.problem_type == "regression" else self.train.label_names()


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
    else:
        texts = itertools.chain(rows.texts, rows.pairs or ())
    return (text[:_SEEN_CHARACTERS] for text in texts)


def read_rows(settings: FineTuningSettings, report: ReadReport | None = None) -> FineTuningRows:
    """Reads all tables. Without validation tables, a share of the training rows is held out."""
    train = _read(settings, settings.train, report)
    if settings.validation:
        validation = _read(settings, settings.validation, report)
    else:
        share = settings.validation_share
        parts = train.split({"train": 1 - share, "validation": share}, report)
        train, validation = parts["train"], parts["validation"]
    return FineTuningRows(train, validation, _read(settings, settings.test, report) if settings.test else None)


def _read(settings: FineTuningSettings, paths: Sequence[str], report: ReadReport | None) -> Rows:
    """The rows of some tables."""
    if settings.task == "token_classification":
        return read_tagged(paths, settings.text_column, settings.label_column, report, table_format(settings))
    return read_labelled(
        paths,
        settings.text_column,
        settings.label_column,
        settings.pair_column,
        settings.task,
        settings.label_separator,
        report,
        table_format(settings),
    )
