"""Labelled rows as tf.Examples: how they are written by the example generator and read by the trainer.

The features have the names of the user's own columns. A text is one string; a label is one string, any number of
strings (multi-label), one number (regression), or a string for each token of the text (token classification).
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import tensorflow as tf

from kerasbert.data import LabelledTexts
from kerasbert.data.tables.labelled import ProblemType
from kerasbert.data.tables.tagged import TaggedTexts
from kerasbert.errors import BadInputError

REGRESSION = "regression"
MULTI_LABEL = "multi_label_classification"
TOKENS = "token_classification"
UNLABELLED = "unlabelled"
TASKS = (*get_args(ProblemType), TOKENS, UNLABELLED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns of a table are, in a form that JSON can hold.

    Attributes:
        text, pair, label: names of columns; `pair` is None for tasks on one text.
        task: the problem type, or "unlabelled" for rows to predict.
        label_separator: between the labels of one row (multi-label).
    """

    text: str = "text"
    pair: str | None = None
    label: str = "label"
    task: str = "single_label_classification"
    label_separator: str = ";"

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise BadInputError(f"`task` must be one of {', '.join(TASKS)}. Received: task={self.task!r}.")
        named = [name for name in (self.text, self.pair, self.label if self.is_labelled else None) if name]
        if self.task == TOKENS and self.pair is not None:
            raise BadInputError(
                f"Token classification takes one text. Received: pair_column={self.pair!r}. Leave it out."
            )
        if len(set(named)) < len(named):
            raise BadInputError(
                f"Text, pair and label must be different columns. Received: {', '.join(named)}. Name each one's own."
            )

    @property
    def is_labelled(self) -> bool:
        """Whether the rows have labels."""
        return self.task != UNLABELLED

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of the texts."""
        return (self.text,) if self.pair is None else (self.text, self.pair)

    @property
    def has_label_lists(self) -> bool:
        """Whether a row may have several labels."""
        return self.task in (MULTI_LABEL, TOKENS)


def to_example(columns: Columns, texts: Iterable[str], label: Any) -> tf.train.Example:
    """One row.

    Args:
        columns: names the features.
        texts: the text, and the second one of a pair.
        label: a string, a tuple of strings or a number, by the task; ignored where there is none.
    """
    features = {name: bytes_feature([text]) for name, text in zip(columns.texts, texts, strict=True)}
    if columns.task == REGRESSION:
        features[columns.label] = tf.train.Feature(float_list=tf.train.FloatList(value=[label]))
    elif columns.is_labelled:
        features[columns.label] = bytes_feature([label] if isinstance(label, str) else label)
    return tf.train.Example(features=tf.train.Features(feature=features))


def bytes_feature(values: Iterable[str]) -> tf.train.Feature:
    """A feature of strings, of which there may be none."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))


def split_key(columns: Columns, example: tf.train.Example) -> str:
    """What sends a row to its split: its text, or both texts, as `LabelledTexts.split` does."""
    return "\0".join(strings_of(example, name)[0] for name in columns.texts)


def strings_of(example: tf.train.Example, name: str) -> list[str]:
    """The strings of one feature; invalid UTF-8 is replaced."""
    return [value.decode(errors="replace") for value in example.features.feature[name].bytes_list.value]


def read_rows(patterns: Iterable[str], columns: Columns, split: str) -> LabelledTexts | TaggedTexts:
    """All rows of one split, in the order of its files.

    Args:
        patterns: file patterns of gzipped TFRecords, as TFX hands them to a trainer.
        columns: names the features.
        split: its name, for messages.

    Raises:
        BadInputError: there is no row.
    """
    texts: list[str] = []
    pairs: list[str] = []
    labels: list[Any] = []
    for example in read_examples(patterns):
        texts.append(strings_of(example, columns.text)[0])
        if columns.pair is not None:
            pairs.append(strings_of(example, columns.pair)[0])
        labels.append(_label(example, columns))
    if not texts:
        raise BadInputError(
            f"Each split must have rows. Received: none in {split!r}. Give more rows, or that split a larger share."
        )
    places = tuple(f"row {number + 1} of the {split} split" for number in range(len(texts)))
    if columns.task == TOKENS:
        return TaggedTexts(tuple(tuple(text.split(" ")) for text in texts), tuple(labels), places)
    return LabelledTexts(
        texts=tuple(texts),
        pairs=None if columns.pair is None else tuple(pairs),
        labels=tuple(labels),
        places=places,
        problem_type=columns.task,  # type: ignore[arg-type]
    )


def read_examples(patterns: Iterable[str]) -> Iterator[tf.train.Example]:
    """The tf.Examples of gzipped TFRecord files, in the order of the files' names."""
    files = sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator() if files else ():
        yield tf.train.Example.FromString(record)


def _label(example: tf.train.Example, columns: Columns) -> Any:
    if columns.task == REGRESSION:
        return example.features.feature[columns.label].float_list.value[0]
    labels = strings_of(example, columns.label)
    return tuple(labels) if columns.has_label_lists else labels[0]
