"""Makes pretraining instances from documents with Beam: shuffled and paired across workers, on any runner.

Pairing and masking follow the rules of `kerasbert.data` and `kerasbert.preprocessing`. This module adds the shuffle:
workers tokenize documents and spill them into buckets (see token_spills.py). Each bucket is a random sample of all
documents that fits in memory, and its documents are paired with each other. Order, partners and masks depend only on
the seed and the documents, so the output files are the same for any number of workers and any division of the text
into files.
"""

import dataclasses
import itertools
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import tensorflow as tf

from kerasbert.data import SegmentPair, segment_pairs, to_example
from kerasbert.data.pretraining.masked_examples import masked_examples
from kerasbert.data.pretraining.tokenized_documents import tokenized_documents
from kerasbert.data.resumable_batches import seed_for
from kerasbert.preprocessing import MaskedLMMasker, TextToInputs
from kerasbert.recipes.pretraining_instances import EVALUATION_SEED, HELD_OUT_DUPE_FACTOR, SPECIAL_TOKENS
from kerasbert_tfx.records.beam_errors import plain_beam_errors
from kerasbert_tfx.records.component_metrics import write_metrics
from kerasbert_tfx.records.document_records import SplitCounts, document_files, read_document_texts, split_folder
from kerasbert_tfx.records.record_files import record_writer, unfinished_folder
from kerasbert_tfx.records.remote_folders import copied_to_local
from kerasbert_tfx.records.token_spills import Document, Spill, keyed, read_bucket, write_spill

PREPROCESSING_FOLDER = "preprocessing"

# A bucket with fewer documents would offer few partners for the second segments, or none.
_MIN_BUCKET_DOCUMENTS = 32
_MAX_BUCKETS = 99_999  # five digits in a file's name
_EVAL = "eval"


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """The settings for making instances.

    Attributes:
        lengths: Phase -> maximum number of tokens in an input, e.g. {"short": 128, "long": 512}.
        seed: Random seed for order, partners and masks.
        dupe_factor: Number of passes over each document of the split "train".
        short_sequence_probability: Share of passes that use a random shorter length.
        bucket_characters: Approximate amount of text that one worker shuffles and pairs in memory.
        masked: Whether training instances are written with their masks, as opposed to pairs that training masks anew
            each time.
        masked_lm_rate: Share of tokens that are masked.
        predictions: Phase -> maximum number of masked positions in an input.
        whole_word: Whether all pieces of a word are masked together.
    """

    lengths: Mapping[str, int]
    seed: int = 0
    dupe_factor: int = 10
    short_sequence_probability: float = 0.1
    bucket_characters: int = 16_000_000
    masked: bool = False
    masked_lm_rate: float = 0.15
    predictions: Mapping[str, int] = dataclasses.field(default_factory=dict)
    whole_word: bool = False

    def num_buckets(self, counts: SplitCounts) -> int:
        """The number of buckets for the documents of a split."""
        by_size = math.ceil(counts.characters / self.bucket_characters)
        return max(1, min(by_size, counts.documents // _MIN_BUCKET_DOCUMENTS, _MAX_BUCKETS))


def make_instances(
    pipeline: beam.Pipeline,
    documents_uri: str,
    counts: Mapping[str, SplitCounts],
    preprocessing: str,
    output_uri: str,
    values: Mapping[str, Any],
) -> None:
    """Writes `Split-<split>/<phase>/pairs-*.tfrecord`, and runs the pipeline until it finishes.

    Args:
        pipeline: A new Beam pipeline.
        documents_uri: The folder with the documents of both splits (see document_records.py).
        counts: Split -> amount of text in it.
        preprocessing: The folder that `TextToInputs.save` wrote. Every worker reads it, so with a distributed runner
            it must be on a file system that all of them can read.
        output_uri: The folder to write to.
        values: The fields of `InstanceSettings`.

    Raises:
        BadInputError: If the documents cannot be paired.
        OSError: If a file cannot be written.
    """
    settings = InstanceSettings(**values)
    buckets = {split: settings.num_buckets(counted) for split, counted in counts.items()}
    files = [(split, path) for split in counts for path in document_files(documents_uri, split)]
    tasks = [
        (split, phase, bucket, number)  # One file each.
        for split, number in buckets.items()
        for phase in settings.lengths
        for bucket in range(number)
    ]
    with unfinished_folder(output_uri) as unfinished, plain_beam_errors(), pipeline:
        spills = (
            pipeline
            | "Documents" >> beam.Create(files)
            | "SpreadDocuments" >> beam.Reshuffle()
            | "Tokenize" >> beam.ParDo(_SpillTokens(unfinished, preprocessing, buckets, settings))
        )
        write = _WritePairs(output_uri, unfinished, preprocessing, settings)
        _ = (
            pipeline
            | "Buckets" >> beam.Create(tasks)
            | "SpreadBuckets" >> beam.Reshuffle()
            | "Pair" >> beam.ParDo(write, beam.pvalue.AsList(spills))
            | "Count" >> beam.CombineGlobally(_sums)
            | "WriteCounts" >> beam.Map(lambda sums: write_metrics(output_uri, sums))
        )


class _SpillTokens(beam.DoFn):
    """Tokenizes the documents of a file and spills them, a bounded number at a time."""

    def __init__(self, folder: str, preprocessing: str, buckets: Mapping[str, int], settings: InstanceSettings) -> None:
        self._folder = folder
        self._preprocessing = preprocessing
        self._buckets = buckets
        self._settings = settings

    def setup(self) -> None:
        """Loads the tokenizer once per worker."""
        self._tokenizer = _load(self._preprocessing).tokenizer

    def process(self, element: tuple[str, str]) -> Iterator[tuple[str, str, Any]]:
        """Yields the split, the path and the offsets of each spill."""
        split, path = element
        texts = (text.decode("utf-8").split("\n") for text in read_document_texts(path))
        documents = (
            keyed(document, self._settings.seed) for document in tokenized_documents(texts, self._tokenizer.tokenize)
        )
        # A token represents about four characters.
        for block in _blocks(documents, self._settings.bucket_characters // 4):
            spill = write_spill(
                f"{self._folder}/{uuid.uuid4().hex}", block, self._buckets[split], len(self._tokenizer.vocabulary)
            )
            yield split, *spill


class _WritePairs(beam.DoFn):
    """Pairs the documents of one bucket at one length, and writes one file."""

    def __init__(self, uri: str, unfinished: str, preprocessing: str, settings: InstanceSettings) -> None:
        self._uri = uri
        self._unfinished = unfinished
        self._preprocessing = preprocessing
        self._settings = settings

    def setup(self) -> None:
        """Loads the vocabulary once per worker."""
        self._to_inputs = _load(self._preprocessing)
        self._vocabulary = self._to_inputs.vocabulary

    def process(self, task: tuple[str, str, int, int], spills: list[tuple[str, str, Any]]) -> Iterator[dict[str, int]]:
        """Yields the numbers of pairs, random pairs and tokens."""
        split, phase, bucket, num_buckets = task
        own = [Spill(path, offsets) for of_split, path, offsets in spills if of_split == split]
        documents = read_bucket(own, bucket, len(self._vocabulary))
        counts = {f"{split}_{phase}_{name}": 0 for name in ("pairs", "random_pairs", "tokens")}
        is_masked = self._settings.masked and split != _EVAL
        path = f"{split_folder(self._uri, split)}/{phase}/pairs-{bucket:05d}-of-{num_buckets:05d}.tfrecord"
        with record_writer(path, self._unfinished) as writer:
            pairs = _counted(self._pairs(documents, split, phase, bucket), counts, f"{split}_{phase}")
            for example in self._masked(pairs, phase, bucket) if is_masked else map(to_example, pairs):
                writer.write(example.SerializeToString(deterministic=True))
        yield counts

    def _pairs(self, documents: list[Document], split: str, phase: str, bucket: int) -> Iterator[SegmentPair]:
        seed = EVALUATION_SEED if split == _EVAL else self._settings.seed
        # The sentences are token ids already, so `list` replaces the tokenizer.
        sentences: Any = (document.sentences() for document in documents)
        return segment_pairs(
            sentences,
            list,
            max_tokens=self._settings.lengths[phase] - SPECIAL_TOKENS,
            seed=seed_for(seed, f"pairs of {phase} bucket {bucket}"),
            short_sequence_probability=self._settings.short_sequence_probability,
            dupe_factor=HELD_OUT_DUPE_FACTOR if split == _EVAL else self._settings.dupe_factor,
        )

    def _masked(self, pairs: Iterable[SegmentPair], phase: str, bucket: int) -> Iterator[tf.train.Example]:
        mask = MaskedLMMasker(
            self._vocabulary,
            rate=self._settings.masked_lm_rate,
            max_predictions=self._settings.predictions[phase],
            whole_word=self._settings.whole_word,
        )
        length = self._settings.lengths[phase]
        seed = seed_for(self._settings.seed, f"masks of {phase} bucket {bucket}")
        pack = self._to_inputs.replace(sequence_length=length).packer
        return masked_examples(pairs, pack, mask, seed, length, self._vocabulary.pad_id)


def _load(preprocessing: str) -> TextToInputs:
    """Loads the preprocessing from any file system."""
    with copied_to_local(preprocessing) as folder:
        return TextToInputs.load(folder)


def _blocks(documents: Iterable[Document], tokens: int) -> Iterator[list[Document]]:
    """Yields consecutive documents in blocks of about `tokens` tokens."""
    block: list[Document] = []
    size = 0
    for document in documents:
        block.append(document)
        size += len(document.ids)
        if size >= tokens:
            yield block
            block, size = [], 0
    if block:
        yield block


def _counted(pairs: Iterable[SegmentPair], counts: dict[str, int], prefix: str) -> Iterator[SegmentPair]:
    """Yields the pairs unchanged and counts them."""
    for pair in pairs:
        counts[f"{prefix}_pairs"] += 1
        counts[f"{prefix}_random_pairs"] += pair.is_random_next
        counts[f"{prefix}_tokens"] += len(pair.first_ids) + len(pair.second_ids)
        yield pair


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Adds up the counts by name."""
    sums: dict[str, int] = {}
    for name, number in itertools.chain.from_iterable(counted.items() for counted in counts):
        sums[name] = sums.get(name, 0) + number
    return dict(sorted(sums.items()))
