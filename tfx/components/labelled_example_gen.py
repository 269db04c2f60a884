"""Reads labelled tables or TFRecords into tf.Examples, in the splits that `kerasbert fine-tune` would choose.

Files are read in parallel by Beam, each row as `records/labelled_reading.py` reads it. A changed file is detected by
its content, which is part of the cache key.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
from google.protobuf import struct_pb2
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

from kerasbert.data import ReadReport, SplitPlan, SplitStatistics
from kerasbert.errors import BadInputError
from kerasbert_tfx.records.beam_errors import plain_beam_errors
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.fingerprints import files_fingerprint
from kerasbert_tfx.records.input_files import matching_files
from kerasbert_tfx.records.labelled_reading import rows_of_file
from kerasbert_tfx.records.labelled_records import Columns, classes_of, split_key
from kerasbert_tfx.records.split_planning import SplitPlanning

# TFX's own split configuration has whole numbers of buckets. Only the names of the splits are used.
_BUCKETS = 10_000


class LabelledExampleGenDriver(FileBasedDriver):
    """Finds the same files as the executor, and refuses missing files before anything runs."""

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: PipelineInfo, component_info: ComponentInfo
    ) -> dict[str, Any]:
        """Replaces TFX's fingerprint, which only knows sizes and whole seconds, by one of all files' content."""
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        return {**resolved, FINGERPRINT_PROPERTY_NAME: files_fingerprint(_files_of(resolved))}


class LabelledExampleGenExecutor(BaseExampleGenExecutor):
    """Reads the files that match `input_base` and the pattern, and splits their rows."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the splits.

        Raises:
            BadInputError: If a row cannot be used.
        """
        self._examples_uri = artifact_utils.get_single_uri(output_dict[standard_component_specs.EXAMPLES_KEY])
        try:
            with plain_beam_errors():
                super().Do(input_dict, output_dict, exec_properties)
        except BadInputError as error:
            # Beam's runner within this process keeps the type of the exception and appends to the message.
            raise BadInputError(str(error).partition(" [while running ")[0]) from error

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802 (TFX's name)
        """Returns the transform from files to tf.Examples, which TFX requires. `GenerateExamplesByBeam` replaces it."""
        return beam.ParDo(_ReadRows(Columns()))

    def GenerateExamplesByBeam(  # noqa: N802 (TFX's name)
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """Returns the rows of each split, and writes their numbers as metrics."""
        columns, shares = options_of(exec_properties)
        read = (
            pipeline
            | "Files" >> beam.Create(_files_of(exec_properties))
            | "SpreadFiles" >> beam.Reshuffle()
            | "ReadRows" >> beam.ParDo(_ReadRows(columns)).with_outputs(_ReadRows.REPORTS, main="rows")
        )
        rows = read.rows | "SpreadRows" >> beam.Reshuffle()
        plan = rows | "PlanSplit" >> beam.CombineGlobally(_Planning(columns, shares))
        report = read[_ReadRows.REPORTS] | "SumReports" >> beam.CombineGlobally(_sum_of_reports)
        names, uri = list(shares), self._examples_uri
        parts = rows | "Split" >> beam.FlatMap(_tagged, columns, beam.pvalue.AsSingleton(plan)).with_outputs(*names)
        _ = (
            rows
            | "Names" >> beam.Map(_split_counts, columns, beam.pvalue.AsSingleton(plan))
            | "Count" >> beam.CombineGlobally(_sum_of_counts)
            | "WriteMetrics"
            >> beam.Map(_write_metrics, uri, names, beam.pvalue.AsSingleton(plan), beam.pvalue.AsSingleton(report))
        )
        return {name: parts[name] for name in names}


class LabelledExampleGen(FileBasedExampleGen):
    """Emits `examples` with the given splits.

    Args:
        input_base: The folder of the files, on this machine or in a bucket.
        pattern: Which files of it to read: .csv, .tsv, .jsonl (plain or .gz), .tfrecord or column files. Both arguments
            are as `kerasbert_tfx.records.input_files.folder_and_pattern` returns them.
        columns: The columns of the tables.
        shares: Split -> share of the rows, e.g. {"train": 0.8, "eval": 0.1, "test": 0.1}. The first is for training.
    """

    DRIVER_CLASS = LabelledExampleGenDriver
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(LabelledExampleGenExecutor)

    def __init__(self, input_base: Any, pattern: str, columns: Columns, shares: Mapping[str, float]) -> None:
        if not shares or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
            raise BadInputError(
                "The shares of the splits must not be negative and must sum to 1. Received: "
                f"{', '.join(f'{name}={share}' for name, share in shares.items())}. "
                "For example, `train_share: 0.8`, `validation_share: 0.1` and `test_share: 0.1`."
            )
        wanted = {name: share for name, share in shares.items() if share > 0}
        splits = [
            example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=max(1, round(share * _BUCKETS)))
            for name, share in wanted.items()
        ]
        options = struct_pb2.Struct()
        # A Struct has no order and no whole numbers.
        options.update({"columns": json.dumps(vars(columns)), "shares": json.dumps(list(wanted.items()))})
        custom_config = example_gen_pb2.CustomConfig()
        custom_config.custom_config.Pack(options)
        super().__init__(
            input_base=input_base,
            input_config=example_gen_pb2.Input(
                splits=[example_gen_pb2.Input.Split(name="single_split", pattern=pattern)]
            ),
            output_config=example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits)),
            custom_config=custom_config,
        )


def options_of(exec_properties: Mapping[str, Any]) -> tuple[Columns, dict[str, float]]:
    """Returns the columns and the shares that `LabelledExampleGen` was created with."""
    config = proto_utils.json_to_proto(
        exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], example_gen_pb2.CustomConfig()
    )
    options = struct_pb2.Struct()
    config.custom_config.Unpack(options)
    return Columns(**json.loads(options["columns"])), dict(json.loads(options["shares"]))


def _files_of(exec_properties: Mapping[str, Any]) -> list[str]:
    """Returns the files with the rows.

    Raises:
        BadInputError: If there are no files.
    """
    config = proto_utils.json_to_proto(
        exec_properties[standard_component_specs.INPUT_CONFIG_KEY], example_gen_pb2.Input()
    )
    base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
    pattern = str(config.splits[0].pattern)
    try:
        return matching_files(base, pattern)
    except BadInputError as error:
        raise BadInputError(
            f"There must be files with rows. Received: '{base}/{pattern}', which matches none. Check the path."
        ) from error


# === Beam ===


class _ReadRows(beam.DoFn):
    """Yields the rows of a file, and a report of how it was read as a second output."""

    REPORTS = "reports"

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def process(self, uri: str) -> Iterator[Any]:
        """Reads one file."""
        report = ReadReport()
        yield from rows_of_file(uri, self._columns, report)
        yield beam.pvalue.TaggedOutput(self.REPORTS, report)


class _Planning(SplitPlanning):
    """Plans the split of all rows, as `LabelledTexts.split` does."""

    def __init__(self, columns: Columns, shares: Mapping[str, float]) -> None:
        self._columns = columns
        self._shares = dict(shares)

    def add_input(self, statistics: SplitStatistics, row: tf.train.Example) -> SplitStatistics:
        statistics.add(split_key(self._columns, row), classes_of(self._columns, row))
        return statistics

    def extract_output(self, statistics: SplitStatistics) -> SplitPlan:
        return statistics.plan(self._shares)


def _tagged(row: tf.train.Example, columns: Columns, plan: SplitPlan) -> Iterator[beam.pvalue.TaggedOutput]:
    """Sends a row to its split. See `SplitPlan.parts_of` for when there are two."""
    for part in plan.parts_of(split_key(columns, row)):
        yield beam.pvalue.TaggedOutput(part, row)


def _split_counts(row: tf.train.Example, columns: Columns, plan: SplitPlan) -> Counter[str]:
    """Returns split -> 1 for the splits of one row."""
    return Counter(plan.parts_of(split_key(columns, row)))


def _sum_of_counts(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counted in counts:
        total.update(counted)
    return total


def _sum_of_reports(reports: Iterable[ReadReport]) -> ReadReport:
    total = ReadReport()
    for report in reports:
        total.add(report)
    return total


def _write_metrics(
    counts: Mapping[str, int], uri: str, names: Iterable[str], plan: SplitPlan, report: ReadReport
) -> None:
    """Writes what the summary of a run shows about the rows."""
    metrics: dict[str, Any] = {f"{split}_rows": counts.get(split, 0) for split in names}
    if notes := "; ".join(note for note in (report.warning(), plan.note) if note):
        metrics["note"] = notes
    write_metrics(uri, metrics)
