"""Reads text files into examples, one per document, split into training and held-out text.

This is an ExampleGen: its driver records the names and contents of the files, so changed text is read again and
unchanged text is taken from the cache. Workers read ranges of bytes and write one file each. No worker keeps or
shuffles the text in memory.
"""

import contextlib
import dataclasses
import json
from typing import Any

import apache_beam as beam
from google.protobuf import any_pb2, struct_pb2
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.driver import FileBasedDriver
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME
from tfx.components.util import examples_utils
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.orchestration.data_types import ComponentInfo, PipelineInfo
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from kerasbert.data import ReadReport, SplitStatistics, TableFormat
from kerasbert.data.pretraining.document_split import DocumentSplit, document_statistics
from kerasbert.data.tables.table_format import PLAIN
from kerasbert_tfx.records.beam_errors import plain_beam_errors
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.document_records import (
    SPLITS,
    SplitCounts,
    check_counts,
    document_example,
    read_counts,
    split_folder,
    write_counts,
)
from kerasbert_tfx.records.fingerprints import files_fingerprint
from kerasbert_tfx.records.input_files import find_files, folder_and_pattern
from kerasbert_tfx.records.record_files import record_writer
from kerasbert_tfx.records.split_planning import SplitPlanning
from kerasbert_tfx.records.text_ranges import TextRange, find_ranges, read_range

# Part of the documents -> TFX's name of the split.
_SPLIT_OF = {"train": "train", "held_out": "eval"}


class DocumentExamplesDriver(FileBasedDriver):
    """Finds the files, including those in sub-folders, and refuses missing files before anything runs."""

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: PipelineInfo, component_info: ComponentInfo
    ) -> dict[str, Any]:
        """Replaces TFX's fingerprint, which only knows sizes and whole seconds, by one of all files' content."""
        files = find_files(_options(exec_properties)["texts"])
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        return {**resolved, FINGERPRINT_PROPERTY_NAME: files_fingerprint(files)}


class DocumentExamplesExecutor(BaseBeamExecutor):
    """Reads ranges of text in parallel."""

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]
    ) -> None:
        """Writes the examples of both splits."""
        self._log_startup(input_dict, output_dict, exec_properties)
        options = _options(exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")
        write_document_examples(
            self._make_beam_pipeline(),
            examples.uri,
            options["texts"],
            options["held_out_share"],
            options["text_column"] or None,
            int(options["range_bytes"]),
            TableFormat(**json.loads(options["table_format"])),
        )


def write_document_examples(
    pipeline: beam.Pipeline,
    uri: str,
    texts: str,
    held_out_share: float,
    text_column: str | None = None,
    range_bytes: int = 32_000_000,
    table_format: TableFormat = PLAIN,
) -> None:
    """Writes the examples of both splits, and runs the pipeline until it finishes.

    Args:
        pipeline: A new Beam pipeline.
        uri: The folder to write to.
        texts: A file, a folder or a pattern.
        held_out_share: Share of documents in the split "eval".
        text_column: The column of the texts if the files are tables.
        range_bytes: How much text one worker reads at a time.
        table_format: How the files are written.

    Raises:
        BadInputError: If the texts cannot be read, or if next-sentence prediction cannot pair their documents.
        OSError: If a file cannot be written.
    """
    ranges = find_ranges(texts, range_bytes, text_column, table_format)
    with plain_beam_errors(), pipeline:
        numbered = pipeline | "Ranges" >> beam.Create(list(enumerate(ranges))) | "Spread" >> beam.Reshuffle()
        split = (
            numbered
            | "Count" >> beam.Map(_statistics_of, text_column, table_format)
            | "Plan" >> beam.CombineGlobally(_Planning(held_out_share))
        )
        write = _WriteRange(uri, len(ranges), text_column, table_format)
        _ = numbered | "Write" >> beam.ParDo(write, beam.pvalue.AsSingleton(split))
    counts, report = read_counts(uri)
    check_counts(counts, texts)
    metrics = {f"{split}_{name}": value for split, counted in counts.items() for name, value in vars(counted).items()}
    write_metrics(uri, {**metrics, **({"note": warning} if (warning := report.warning()) else {})})


def _statistics_of(
    element: tuple[int, TextRange], text_column: str | None, table_format: TableFormat
) -> SplitStatistics:
    """Returns what the plan of the split needs to know about one range."""
    return document_statistics(read_range(TextRange(*element[1]), text_column, ReadReport(), table_format))


class _Planning(SplitPlanning):
    """Plans the split of all documents, as `kerasbert.recipes.pretrain` does."""

    def __init__(self, held_out_share: float) -> None:
        self._held_out_share = held_out_share

    def add_input(self, statistics: SplitStatistics, other: SplitStatistics) -> SplitStatistics:
        statistics.merge(other)
        return statistics

    def extract_output(self, statistics: SplitStatistics) -> DocumentSplit:
        return DocumentSplit.of(statistics, self._held_out_share)


class _WriteRange(beam.DoFn):
    """Writes the documents of one range, each to the file of its split."""

    def __init__(self, uri: str, num_ranges: int, text_column: str | None, table_format: TableFormat) -> None:
        self._uri = uri
        self._num_ranges = num_ranges
        self._text_column = text_column
        self._table_format = table_format

    def process(self, element: tuple[int, TextRange], split: DocumentSplit) -> None:
        """Writes one file for each split. The report of the first range has the note on the split."""
        number, text_range = element
        name = f"documents-{number:05d}-of-{self._num_ranges:05d}"
        counts = {split: SplitCounts() for split in SPLITS}
        report = ReadReport(notes=[split.note] if split.note and number == 0 else [])
        with contextlib.ExitStack() as stack:
            writers = {
                split: stack.enter_context(record_writer(f"{split_folder(self._uri, split)}/{name}.gz", compress=True))
                for split in SPLITS
            }
            for document in read_range(TextRange(*text_range), self._text_column, report, self._table_format):
                example = document_example(document).SerializeToString(deterministic=True)
                for part in split.parts_of(document):
                    counts[_SPLIT_OF[part]].add(document)
                    writers[_SPLIT_OF[part]].write(example)
        write_counts(self._uri, name, counts, report)


class DocumentExamples(FileBasedExampleGen):
    """Reads the text of a pretraining run.

    Args:
        texts: A file, a folder or a pattern of plain text or of tables.
        held_out_share: Share of documents in the split "eval".
        text_column: The column of the texts if the files are tables. The text of each row is a document.
        range_bytes: How much text one worker reads at a time.
        table_format: How the files are written.
    """

    DRIVER_CLASS = DocumentExamplesDriver
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(DocumentExamplesExecutor)

    def __init__(
        self,
        texts: str,
        held_out_share: float,
        text_column: str | None = None,
        range_bytes: int = 32_000_000,
        table_format: TableFormat = PLAIN,
    ) -> None:
        options = struct_pb2.Struct()
        options.update(
            {
                "texts": texts,
                "held_out_share": held_out_share,
                "text_column": text_column or "",
                "range_bytes": range_bytes,
                "table_format": json.dumps(dataclasses.asdict(table_format)),
            }
        )
        packed = any_pb2.Any()
        packed.Pack(options)
        folder, pattern = folder_and_pattern(texts)
        super().__init__(
            input_base=folder,
            input_config=example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="texts", pattern=pattern)]),
            custom_config=example_gen_pb2.CustomConfig(custom_config=packed),
        )


def _options(exec_properties: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that the component was created with."""
    custom = example_gen_pb2.CustomConfig()
    proto_utils.json_to_proto(exec_properties["custom_config"], custom)
    options = struct_pb2.Struct()
    custom.custom_config.Unpack(options)
    return dict(options.items())
