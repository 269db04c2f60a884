"""From files to batches: documents -> segment pairs -> tf.Example -> tf.data, and labelled texts -> tf.data."""

from kerasbert.data.pretraining.documents import read_documents, read_lines
from kerasbert.data.pretraining.pair_files import find_shards
from kerasbert.data.pretraining.pretraining_dataset import pretraining_dataset
from kerasbert.data.pretraining.pretraining_examples import (
    WrittenPairs,
    from_example,
    read_pairs,
    to_example,
    write_pairs,
)
from kerasbert.data.pretraining.python_documentation import CorpusReport, write_python_documentation
from kerasbert.data.pretraining.segment_pairs import SegmentPair, segment_pairs
from kerasbert.data.read_report import ReadReport
from kerasbert.data.split_plan import SplitPlan, SplitStatistics
from kerasbert.data.stable_split import is_held_out, stable_fraction, stable_split
from kerasbert.data.tables.labelled import LabelledTexts, read_labelled, read_texts
from kerasbert.data.tables.labelled_dataset import labelled_dataset
from kerasbert.data.tables.labels import Labels
from kerasbert.data.tables.questions import AskedQuestions, read_questions
from kerasbert.data.tables.table_format import TableFormat
from kerasbert.data.tables.tagged import TaggedTexts, read_tagged
from kerasbert.data.text_files import find_text_files
from kerasbert.settings import PROBLEM_TYPES

__all__ = [
    "PROBLEM_TYPES",
    "AskedQuestions",
    "CorpusReport",
    "LabelledTexts",
    "Labels",
    "ReadReport",
    "SegmentPair",
    "SplitPlan",
    "SplitStatistics",
    "TableFormat",
    "TaggedTexts",
    "WrittenPairs",
    "find_shards",
    "find_text_files",
    "from_example",
    "is_held_out",
    "labelled_dataset",
    "pretraining_dataset",
    "read_documents",
    "read_labelled",
    "read_lines",
    "read_pairs",
    "read_questions",
    "read_tagged",
    "read_texts",
    "segment_pairs",
    "stable_fraction",
    "stable_split",
    "to_example",
    "write_pairs",
    "write_python_documentation",
]
