"""Labelled rows as tf.Examples: how the example generator writes them and the Trainer reads them.

The features have the names of the user's own columns. A text is one string. A label is one string, any number of
strings (multi-label), one number (regression), or a string for each word of the text (token classification).
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from kerasbert.data import LabelledTexts, TableFormat
from kerasbert.data.tables.tagged import TaggedTexts
from kerasbert.errors import BadInputError
from kerasbert.settings import PROBLEM_TYPES

SINGLE_LABEL = "single_label_classification"
REGRESSION = "regression"
MULTI_LABEL = "multi_label_classification"
TOKENS = "token_classification"
UNLABELLED = "unlabelled"
TASKS = (*PROBLEM_TYPES, TOKENS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns and the format of a table. All fields are JSON values.

    Attributes:
        text: Column of the texts.
        pair: Column of the second texts, or None for tasks on single texts.
        label: Column of the labels.
        task: The task, or "unlabelled" for rows to predict.
        label_separator: Separator between the labels of one row (multi-label).
        delimiter: See `kerasbert.data.TableFormat`.
        encoding: See `kerasbert.data.TableFormat`.
        has_header: See `kerasbert.data.TableFormat`.
        word_column: See `kerasbert.data.TableFormat`.
        tag_column: See `kerasbert.data.TableFormat`.
    """

    text: str = "text"
    pair: str | None = None
    label: str = "label"
    task: str = SINGLE_LABEL
    label_separator: str = ";"
    delimiter: str | None = None
    encoding: str | None = None
    has_header: bool = True
    word_column: str | int | None = None
    tag_column: str | int | None = None

    def __post_init__(self) -> None:
        known = (*TASKS, UNLABELLED)
        if self.task not in known:
            raise BadInputError(
                f"`task` must be one of {', '.join(known)}. Received: task={self.task!r}. Use one of them."
            )
        _ = self.table_format  # It checks its values.
        named = [name for name in (self.text, self.pair, self.label if self.is_labelled else None) if name]
        if self.task == TOKENS and self.pair is not None:
            raise BadInputError(
                f"Token classification takes single texts. Received: pair_column={self.pair!r}. Remove `pair_column`."
            )
        if len(set(named)) < len(named):
            raise BadInputError(
                "`text_column`, `pair_column` and `label_column` must be different columns. "
                f"Received: {', '.join(named)}. Choose a different column for each."
            )

    @property
    def table_format(self) -> TableFormat:
        """The format of tables and column files."""
        return TableFormat(**{field.name: getattr(self, field.name) for field in dataclasses.fields(TableFormat)})

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
    """Returns one row.

    Args:
        columns: The names of the features, and the task.
        texts: The text, and the second text of a pair.
        label: A string, a tuple of strings or a number, depending on the task. Ignored for unlabelled rows.
    """
    features = {name: bytes_feature([text]) for name, text in zip(columns.texts, texts, strict=True)}
    if columns.task == REGRESSION:
        features[columns.label] = tf.train.Feature(float_list=tf.train.FloatList(value=[label]))
    elif columns.is_labelled:
        features[columns.label] = bytes_feature([label] if isinstance(label, str) else label)
    return tf.train.Example(features=tf.train.Features(feature=features))


def bytes_feature(values: Iterable[str]) -> tf.train.Feature:
    """Returns a feature of any number of strings."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))


def split_key(columns: Columns, example: tf.train.Example) -> str:
    """Returns the key that decides the split of a row: its text or both texts, as in `LabelledTexts.split`."""
    return "\0".join(strings_of(example, name)[0] for name in columns.texts)


def classes_of(columns: Columns, example: tf.train.Example) -> list[str]:
    """Returns the classes of a row that training must not lose: its label, labels or tags."""
    has_classes = columns.is_labelled and columns.task != REGRESSION
    return strings_of(example, columns.label) if has_classes else []


def strings_of(example: tf.train.Example, name: str) -> list[str]:
    """Returns the strings of one feature. Invalid UTF-8 is replaced by U+FFFD."""
    return [value.decode(errors="replace") for value in example.features.feature[name].bytes_list.value]


def read_rows(patterns: Iterable[str], columns: Columns, split: str) -> LabelledTexts | TaggedTexts:
    """Reads all rows of one split, in the order of its files.

    Args:
        patterns: File patterns of gzipped TFRecords, as TFX passes them to a Trainer.
        columns: The names of the features, and the task.
        split: The name of the split, for messages.

    Raises:
        BadInputError: If there is no row.
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
            f"Each split must have rows. Received: none in {split!r}. Add rows, or give that split a larger share."
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
    """Yields the tf.Examples of gzipped TFRecord files, in the order of the files' names."""
    files = sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator() if files else ():
        yield tf.train.Example.FromString(record)


def _label(example: tf.train.Example, columns: Columns) -> Any:
    if columns.task == REGRESSION:
        return example.features.feature[columns.label].float_list.value[0]
    labels = strings_of(example, columns.label)
    return tuple(labels) if columns.has_label_lists else labels[0]
