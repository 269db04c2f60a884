"""Reads the rows of one file, a table or a TFRecord of tf.Examples, as tf.Examples with the features of `Columns`.

`kerasbert.data` checks the rows of tables.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from kerasbert.data import ReadReport, read_labelled, read_texts
from kerasbert.data.tables.tagged import read_tagged
from kerasbert.errors import BadInputError
from kerasbert_tfx.records.labelled_records import REGRESSION, SINGLE_LABEL, TOKENS, Columns, bytes_feature, to_example
from kerasbert_tfx.records.remote_folders import copied_to_local

_TFRECORD_ENDINGS = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz")


def rows_of_file(uri: str, columns: Columns, report: ReadReport | None = None) -> Iterator[tf.train.Example]:
    """Yields the rows of one file.

    Args:
        uri: The file, on this machine or in a bucket. Its extension says whether it is a TFRecord.
        columns: The columns to read, or features of a TFRecord.
        report: Counts and notes are added to it.

    Raises:
        BadInputError: If a row cannot be used.
    """
    report = ReadReport() if report is None else report
    if uri.endswith(_TFRECORD_ENDINGS):
        yield from _rows_of_tfrecord(uri, columns, report)
        return
    table_format = columns.table_format
    with copied_to_local(uri) as path:
        if columns.task == TOKENS:
            tagged = read_tagged(path, columns.text, columns.label, report, table_format)
            yield from (to_example(columns, [text], tags) for text, tags in zip(tagged.texts, tagged.tags, strict=True))
            return
        if columns.is_labelled:
            rows = read_labelled(
                path,
                columns.text,
                columns.label,
                columns.pair,
                columns.task,  # type: ignore[arg-type]
                columns.label_separator,
                report,
                table_format,
            )
        else:
            rows = read_texts(path, columns.text, columns.pair, report, table_format)
    for index, text in enumerate(rows.texts):
        texts = (text,) if rows.pairs is None else (text, rows.pairs[index])
        yield to_example(columns, texts, None if rows.labels is None else rows.labels[index])


def _rows_of_tfrecord(uri: str, columns: Columns, report: ReadReport) -> Iterator[tf.train.Example]:
    """Yields the tf.Examples of a file, with the features of `columns` and no others."""
    wanted = [*columns.texts, *([columns.label] if columns.is_labelled else [])]
    records = tf.data.TFRecordDataset(uri, compression_type="GZIP" if uri.endswith(".gz") else "")
    count = 0
    report.files += 1
    try:
        for count, record in enumerate(records.as_numpy_iterator(), start=1):
            example = tf.train.Example.FromString(record)
            missing = [name for name in wanted if name not in example.features.feature]
            if missing:
                raise BadInputError(
                    f"A record must have the features {', '.join(map(repr, wanted))}. Received: record {count} of "
                    f"'{uri}', without {missing[0]!r}. It has: {', '.join(sorted(example.features.feature)) or 'none'}."
                    " Set `text_column`, `pair_column` and `label_column` to some of these."
                )
            report.lines += 1
            yield _normalized(example, columns, f"record {count} of '{uri}'", report)
    except tf.errors.DataLossError as error:
        raise BadInputError(
            f"A TFRecord must be complete. Received: '{uri}' ({error.message}). Write it again."
        ) from error
    if not count:
        raise BadInputError(
            f"A TFRecord must contain at least one record. Received: '{uri}', which has none. Write it again."
        )


def _normalized(example: tf.train.Example, columns: Columns, place: str, report: ReadReport) -> tf.train.Example:
    """Returns the row that a table with the same content would give: numbers that name a class are strings."""
    texts = [_one_text(example, name, place, report) for name in columns.texts]
    row = to_example(columns, texts, 0.0 if columns.task == REGRESSION else "")
    if not columns.is_labelled:
        return row
    values = _values(example.features.feature[columns.label])
    if columns.task == REGRESSION:
        if len(values) != 1 or isinstance(values[0], bytes):
            raise BadInputError(
                f"A label must be one number, for regression. Received: {values!r} in {place}. Correct the record."
            )
        row.features.feature[columns.label].float_list.value[:] = [float(values[0])]
        return row
    names = [value.decode(errors="replace").strip() if isinstance(value, bytes) else str(value) for value in values]
    if columns.task == SINGLE_LABEL and (len(names) != 1 or not names[0]):
        raise BadInputError(
            f"Each row must have one label in {columns.label!r}. Received: {names!r} in {place}. Correct the record, "
            "or set `task: multi_label_classification`."
        )
    if columns.task == TOKENS:
        if len(names) != len(texts[0].split(" ")):
            raise BadInputError(
                f"Each word of {columns.text!r} must have a tag in {columns.label!r}. Received: {len(names)} tags for "
                f"{len(texts[0].split(' '))} words in {place}. Put one space between words."
            )
    else:
        names = list(dict.fromkeys(name for name in names if name))
    row.features.feature[columns.label].CopyFrom(bytes_feature(names))
    return row


def _one_text(example: tf.train.Example, name: str, place: str, report: ReadReport) -> str:
    values = _values(example.features.feature[name])
    if len(values) != 1 or not isinstance(values[0], bytes):
        raise BadInputError(
            f"Feature {name!r} must contain one text. Received: {values!r} in {place}. Correct the record, or choose "
            "another feature."
        )
    text = str(values[0].decode(errors="replace"))
    if replaced := text.count("\ufffd") - values[0].count("\ufffd".encode()):
        report.invalid_lines += 1
        report.replaced_characters += replaced
    return text


def _values(feature: tf.train.Feature) -> list[Any]:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []
