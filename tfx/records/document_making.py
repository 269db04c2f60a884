"""Reads text files into examples with Beam, one per document, split into training and held-out text, on any runner.

Workers read ranges of bytes and write one file each. No worker keeps or shuffles the text in memory. This module
imports none of TFX's components, which would double the time that a worker takes to start. For the component, see
components/document_examples.py.
"""

import contextlib

import apache_beam as beam

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
from kerasbert_tfx.records.record_files import record_writer, unfinished_folder
from kerasbert_tfx.records.split_planning import SplitPlanning
from kerasbert_tfx.records.text_ranges import TextRange, find_ranges, read_range

# Part of the documents -> TFX's name of the split.
_SPLIT_OF = {"train": "train", "held_out": "eval"}


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
    with unfinished_folder(uri) as unfinished, plain_beam_errors(), pipeline:
        numbered = pipeline | "Ranges" >> beam.Create(list(enumerate(ranges))) | "Spread" >> beam.Reshuffle()
        split = (
            numbered
            | "Count" >> beam.Map(_statistics_of, text_column, table_format)
            | "Plan" >> beam.CombineGlobally(_Planning(held_out_share))
        )
        write = _WriteRange(uri, unfinished, len(ranges), text_column, table_format)
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

    def __init__(
        self, uri: str, unfinished: str, num_ranges: int, text_column: str | None, table_format: TableFormat
    ) -> None:
        self._uri = uri
        self._unfinished = unfinished
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
                split: stack.enter_context(
                    record_writer(f"{split_folder(self._uri, split)}/{name}.gz", self._unfinished, compress=True)
                )
                for split in SPLITS
            }
            for document in read_range(TextRange(*text_range), self._text_column, report, self._table_format):
                example = document_example(document).SerializeToString(deterministic=True)
                for part in split.parts_of(document):
                    counts[_SPLIT_OF[part]].add(document)
                    writers[_SPLIT_OF[part]].write(example)
        write_counts(self._uri, name, counts, report)
