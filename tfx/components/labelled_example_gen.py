"""Labelled tables or TFRecords -> tf.Examples, in splits that a hash of each row's text chooses.

The same text goes to the same split on every machine and whatever other rows there are (see
`kerasbert.data.stable_split`). Files are read in parallel by Beam; what a row must look like is
`kerasbert.data.read_labelled`'s business. A changed file is noticed by its content, which is part of the cache's key.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
from google.protobuf import json_format, struct_pb2
from tfx import types
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.driver import FileBasedDriver
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME
from tfx.dsl.components.base import executor_spec
from tfx.orchestration.data_types import ComponentInfo, PipelineInfo
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from kerasbert.data import read_labelled, read_texts, stable_split
from kerasbert.data.tables.tagged import read_tagged
from kerasbert.errors import BadInputError
from kerasbert_tfx.records.beam_errors import plain_beam_errors
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.fingerprints import files_fingerprint
from kerasbert_tfx.records.input_files import matching_files
from kerasbert_tfx.records.labelled_records import (
    REGRESSION,
    TOKENS,
    Columns,
    bytes_feature,
    split_key,
    strings_of,
    to_example,
)
from kerasbert_tfx.records.remote_folders import copied_to_local

# Shares are whole numbers of this many buckets in TFX's own split configuration.
_BUCKETS = 10_000
_UNREADABLE = "\ufffd"  # no name of a split
_TFRECORD_ENDINGS = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz")


class LabelledExampleGenDriver(FileBasedDriver):
    """Finds the files as the executor does, and refuses rows that are not there before anything runs."""

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: PipelineInfo, component_info: ComponentInfo
    ) -> dict[str, Any]:
        """The properties, with a fingerprint of all files in place of TFX's, which knows sizes and seconds only."""
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        return {**resolved, FINGERPRINT_PROPERTY_NAME: files_fingerprint(_files_of(resolved, _pattern_of(resolved)))}


class LabelledExampleGenExecutor(BaseExampleGenExecutor):
    """Reads the files that `input_base` and the pattern stand for, and splits their rows."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the splits.

        Raises:
            BadInputError: a row cannot be used; as `kerasbert.data.read_labelled` says it.
        """
        self._examples_uri = artifact_utils.get_single_uri(output_dict[standard_component_specs.EXAMPLES_KEY])
        try:
            with plain_beam_errors():
                super().Do(input_dict, output_dict, exec_properties)
        except BadInputError as error:
            # Beam's runner within this process keeps the exception's type and puts its own words behind the message.
            raise BadInputError(str(error).partition(" [while running ")[0]) from error

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802 (TFX's name)
        """Files of one pattern -> tf.Examples."""
        return _rows_of_files

    def GenerateExamplesByBeam(  # noqa: N802 (TFX's name)
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """The rows of each split. Their numbers are noted beside them."""
        output_config = proto_utils.json_to_proto(
            exec_properties[standard_component_specs.OUTPUT_CONFIG_KEY], example_gen_pb2.Output()
        )
        splits = output_config.split_config.splits
        total = sum(split.hash_buckets for split in splits)
        shares = {split.name: split.hash_buckets / total for split in splits}
        names = list(shares)
        columns = columns_of(exec_properties)
        rows = pipeline | "ReadRows" >> _rows_of_files(exec_properties, _pattern_of(exec_properties))
        uri = self._examples_uri
        _ = (
            rows
            | "Count" >> beam.Map(_counts, columns, shares)
            | "Sum" >> beam.CombineGlobally(_sums)
            | "WriteMetrics" >> beam.Map(lambda counts: write_metrics(uri, _metrics(counts, names)))
        )
        parts = rows | "Split" >> beam.Partition(_part, len(names), columns, shares)
        return dict(zip(names, parts, strict=True))


class LabelledExampleGen(FileBasedExampleGen):
    """Emits `examples` of the splits asked for.

    Args:
        input_base: the folder of the files, local or in a bucket.
        pattern: which files of it: .csv, .tsv, .jsonl (plain or .gz) or .tfrecord; both as
            `kerasbert_tfx.records.text_ranges.folder_and_pattern` gives them.
        columns: what the columns are.
        shares: split -> share of the rows, such as {"train": 0.8, "eval": 0.1, "test": 0.1}.
    """

    DRIVER_CLASS = LabelledExampleGenDriver
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(LabelledExampleGenExecutor)

    def __init__(self, input_base: Any, pattern: str, columns: Columns, shares: Mapping[str, float]) -> None:
        if not shares or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
            raise BadInputError(
                f"The shares of the splits must not be negative and must sum to 1. Received: {dict(shares)}. "
                "Give such as 0.8, 0.1 and 0.1."
            )
        splits = [
            example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=round(share * _BUCKETS))
            for name, share in shares.items()
            if round(share * _BUCKETS) > 0
        ]
        settings = struct_pb2.Struct()
        settings.update({name: value for name, value in vars(columns).items() if value is not None})
        custom_config = example_gen_pb2.CustomConfig()
        custom_config.custom_config.Pack(settings)
        super().__init__(
            input_base=input_base,
            input_config=example_gen_pb2.Input(
                splits=[example_gen_pb2.Input.Split(name="single_split", pattern=pattern)]
            ),
            output_config=example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits)),
            custom_config=custom_config,
        )


def columns_of(exec_properties: Mapping[str, Any]) -> Columns:
    """The columns that `LabelledExampleGen` was made with."""
    config = proto_utils.json_to_proto(
        exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], example_gen_pb2.CustomConfig()
    )
    settings = struct_pb2.Struct()
    config.custom_config.Unpack(settings)
    return Columns(**json_format.MessageToDict(settings))


def _pattern_of(exec_properties: Mapping[str, Any]) -> str:
    """The pattern, into which TFX's driver has put span and version where it has places for them."""
    config = proto_utils.json_to_proto(
        exec_properties[standard_component_specs.INPUT_CONFIG_KEY], example_gen_pb2.Input()
    )
    return str(config.splits[0].pattern)


def _files_of(exec_properties: Mapping[str, Any], pattern: str) -> list[str]:
    """The files with the rows.

    Raises:
        BadInputError: there is none.
    """
    base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
    try:
        return matching_files(base, pattern)
    except BadInputError as error:
        raise BadInputError(
            f"There must be files with rows. Received: '{base}/{pattern}', which matches none. Check the path."
        ) from error


@beam.ptransform_fn
def _rows_of_files(pipeline: beam.Pipeline, exec_properties: Mapping[str, Any], pattern: str) -> beam.PCollection:
    """The rows of all files of one pattern."""
    return (
        pipeline
        | "Files" >> beam.Create(_files_of(exec_properties, pattern))
        | "SpreadFiles" >> beam.Reshuffle()
        | "Rows" >> beam.FlatMap(rows_of_file, columns_of(exec_properties))
        | "SpreadRows" >> beam.Reshuffle()
    )


def rows_of_file(uri: str, columns: Columns) -> Iterator[tf.train.Example]:
    """The rows of one file.

    Raises:
        BadInputError: as `kerasbert.data.read_labelled`; a feature is missing in a TFRecord.
    """
    if uri.endswith(_TFRECORD_ENDINGS):
        yield from _rows_of_tfrecord(uri, columns)
        return
    with copied_to_local(uri) as path:
        if columns.task == TOKENS:
            tagged = read_tagged(path, columns.text, columns.label)
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
            )
        else:
            rows = read_texts(path, columns.text, columns.pair)
    for index, text in enumerate(rows.texts):
        texts = (text,) if rows.pairs is None else (text, rows.pairs[index])
        yield to_example(columns, texts, None if rows.labels is None else rows.labels[index])


def _rows_of_tfrecord(uri: str, columns: Columns) -> Iterator[tf.train.Example]:
    """The tf.Examples of a file, with the features that are asked for and no others."""
    wanted = [*columns.texts, *([columns.label] if columns.is_labelled else [])]
    records = tf.data.TFRecordDataset(uri, compression_type="GZIP" if uri.endswith(".gz") else "")
    count = 0
    try:
        for count, record in enumerate(records.as_numpy_iterator(), start=1):
            example = tf.train.Example.FromString(record)
            missing = [name for name in wanted if name not in example.features.feature]
            if missing:
                raise BadInputError(
                    f"A record must hold the features asked for. Received: record {count} of '{uri}', without "
                    f"{missing[0]!r}. Features there: {', '.join(sorted(example.features.feature)) or 'none'}. "
                    "Name one of these."
                )
            yield _normalized(example, columns, f"record {count} of '{uri}'")
    except tf.errors.DataLossError as error:
        raise BadInputError(
            f"A TFRecord must be whole. Received: '{uri}' ({error.message}). Write it again."
        ) from error
    if not count:
        raise BadInputError(f"A TFRecord must hold at least one record. Received: '{uri}', without any.")


def _normalized(example: tf.train.Example, columns: Columns, place: str) -> tf.train.Example:
    """The same row as a table would have given it: numbers that name a class are strings."""
    texts = [_one_text(example, name, place) for name in columns.texts]
    row = to_example(columns, texts, 0.0 if columns.task == REGRESSION else "")
    if not columns.is_labelled:
        return row
    values = _values(example.features.feature[columns.label])
    if columns.task == REGRESSION:
        if len(values) != 1 or isinstance(values[0], bytes):
            raise BadInputError(f"A label must be one number, for regression. Received: {values!r} in {place}.")
        row.features.feature[columns.label].float_list.value[:] = [float(values[0])]
        return row
    names = [value.decode(errors="replace").strip() if isinstance(value, bytes) else str(value) for value in values]
    if columns.task == "single_label_classification" and (len(names) != 1 or not names[0]):
        raise BadInputError(f"Each row must have one label in {columns.label!r}. Received: {names!r} in {place}.")
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


def _one_text(example: tf.train.Example, name: str, place: str) -> str:
    values = _values(example.features.feature[name])
    if len(values) != 1 or not isinstance(values[0], bytes):
        raise BadInputError(f"Feature {name!r} must hold one text. Received: {values!r} in {place}.")
    return str(values[0].decode(errors="replace"))


def _values(feature: tf.train.Feature) -> list[Any]:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def _counts(example: tf.train.Example, columns: Columns, shares: Mapping[str, float]) -> Counter[str]:
    """One row of its split, and whether a text of it was no UTF-8."""
    is_unreadable = any("\ufffd" in strings_of(example, name)[0] for name in columns.texts)
    return Counter({stable_split(split_key(columns, example), shares): 1, _UNREADABLE: int(is_unreadable)})


def _sums(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """The sum of each count."""
    sums: Counter[str] = Counter()
    for counted in counts:
        sums.update(counted)
    return sums


def _metrics(counts: Mapping[str, int], splits: Iterable[str]) -> dict[str, Any]:
    """What the summary of a run says of the rows."""
    metrics: dict[str, Any] = {f"{split}_rows": counts.get(split, 0) for split in splits}
    if unreadable := counts.get(_UNREADABLE):
        metrics["note"] = f"{unreadable} rows hold U+FFFD, which stands for what was no UTF-8"
    return metrics


def _part(example: tf.train.Example, count: int, columns: Columns, shares: Mapping[str, float]) -> int:
    """The number of the split that a row goes to."""
    return list(shares).index(stable_split(split_key(columns, example), shares))
