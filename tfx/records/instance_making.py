"""Makes pretraining instances from documents with Beam: shuffled and paired across workers, on any runner.

The rules of pairing and masking are those of `kerasbert.data` and `kerasbert.preprocessing`. What is added here is the
shuffle: workers tokenize documents and spill them into buckets (token_spills.py), then each bucket, a random sample
of all documents that fits in memory, is paired within itself. Order, partners and masks follow from the seed and the
documents alone: the same files come out whatever the number of workers, and however the text was cut into files.
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
from kerasbert.preprocessing import MaskedLMMasker, SegmentPacker, TextToInputs
from kerasbert.recipes.pretraining import EVALUATION_SEED, HELD_OUT_DUPE_FACTOR, SPECIAL_TOKENS
from kerasbert_tfx.components.component_metrics import write_metrics
from kerasbert_tfx.records.beam_errors import plain_beam_errors
from kerasbert_tfx.records.document_records import SplitCounts, document_files, read_document_texts, split_folder
from kerasbert_tfx.records.record_files import record_writer
from kerasbert_tfx.records.token_spills import Document, Spill, keyed, read_bucket, write_spill

# With fewer documents in a bucket than this, partners would be few, or none.
_MIN_BUCKET_DOCUMENTS = 32
_MAX_BUCKETS = 99_999  # five digits in a file's name
_EVAL = "eval"


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """How instances are made.

    Attributes:
        lengths: phase -> the most tokens of an input, such as {"short": 128, "long": 512}.
        seed: of order, partners and masks.
        dupe_factor: passes over each document of the split "train".
        short_sequence_probability: share of passes with a random shorter length.
        bucket_characters: so much text, about, is mixed and paired in one worker's memory.
        masked: write masked instances for training, rather than pairs that are masked when they are trained on.
        masked_lm_rate: share of tokens that are masked.
        predictions: phase -> the most masked positions of an input.
        whole_word: mask whole words.
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
        """Into how many buckets the documents of a split go."""
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
    """Writes `Split-<split>/<phase>/pairs-*.tfrecord`, and runs the pipeline to its end.

    Args:
        pipeline: a new Beam pipeline.
        documents_uri: folder with the documents of both splits (see document_records.py).
        counts: split -> what it holds.
        preprocessing: folder that `TextToInputs.save` wrote.
        output_uri: folder to write to.
        values: fields of `InstanceSettings`.

    Raises:
        BadInputError: the documents cannot be paired.
        OSError: a file cannot be written.
    """
    settings = InstanceSettings(**values)
    spill_folder = f"{output_uri}/spills-{uuid.uuid4().hex}"
    tf.io.gfile.makedirs(spill_folder)
    buckets = {split: settings.num_buckets(counted) for split, counted in counts.items()}
    files = [(split, path) for split in counts for path in document_files(documents_uri, split)]
    tasks = [
        (split, phase, bucket, number)  # one file each
        for split, number in buckets.items()
        for phase in settings.lengths
        for bucket in range(number)
    ]
    try:
        with plain_beam_errors(), pipeline:
            spills = (
                pipeline
                | "Documents" >> beam.Create(files)
                | "SpreadDocuments" >> beam.Reshuffle()
                | "Tokenize" >> beam.ParDo(_SpillTokens(spill_folder, preprocessing, buckets, settings))
            )
            _ = (
                pipeline
                | "Buckets" >> beam.Create(tasks)
                | "SpreadBuckets" >> beam.Reshuffle()
                | "Pair" >> beam.ParDo(_WritePairs(output_uri, preprocessing, settings), beam.pvalue.AsList(spills))
                | "Count" >> beam.CombineGlobally(_sums)
                | "WriteCounts" >> beam.Map(lambda sums: write_metrics(output_uri, sums))
            )
    finally:
        tf.io.gfile.rmtree(spill_folder)


class _SpillTokens(beam.DoFn):
    """Tokenizes the documents of a file and spills them, a bounded number at a time."""

    def __init__(self, folder: str, preprocessing: str, buckets: Mapping[str, int], settings: InstanceSettings) -> None:
        self._folder = folder
        self._preprocessing = preprocessing
        self._buckets = buckets
        self._settings = settings

    def setup(self) -> None:
        """Loads the tokenizer, once in each worker."""
        self._tokenizer = TextToInputs.load(self._preprocessing).tokenizer

    def process(self, element: tuple[str, str]) -> Iterator[tuple[str, str, Any]]:
        """Gives the split, the path and the offsets of each spill."""
        split, path = element
        texts = (text.decode("utf-8").split("\n") for text in read_document_texts(path))
        documents = (
            keyed(document, self._settings.seed) for document in tokenized_documents(texts, self._tokenizer.tokenize)
        )
        # A token stands for some four characters.
        for block in _blocks(documents, self._settings.bucket_characters // 4):
            spill = write_spill(
                f"{self._folder}/{uuid.uuid4().hex}", block, self._buckets[split], len(self._tokenizer.vocabulary)
            )
            yield split, *spill


class _WritePairs(beam.DoFn):
    """Pairs the documents of one bucket at one length, and writes one file."""

    def __init__(self, uri: str, preprocessing: str, settings: InstanceSettings) -> None:
        self._uri = uri
        self._preprocessing = preprocessing
        self._settings = settings

    def setup(self) -> None:
        """Loads the vocabulary, once in each worker."""
        self._vocabulary = TextToInputs.load(self._preprocessing).vocabulary

    def process(self, task: tuple[str, str, int, int], spills: list[tuple[str, str, Any]]) -> Iterator[dict[str, int]]:
        """Gives the numbers of pairs, random pairs and tokens."""
        split, phase, bucket, num_buckets = task
        own = [Spill(path, offsets) for of_split, path, offsets in spills if of_split == split]
        documents = read_bucket(own, bucket, len(self._vocabulary))
        counts = {f"{split}_{phase}_{name}": 0 for name in ("pairs", "random_pairs", "tokens")}
        is_masked = self._settings.masked and split != _EVAL
        path = f"{split_folder(self._uri, split)}/{phase}/pairs-{bucket:05d}-of-{num_buckets:05d}.tfrecord"
        with record_writer(path) as writer:
            pairs = _counted(self._pairs(documents, split, phase, bucket), counts, f"{split}_{phase}")
            for example in self._masked(pairs, phase, bucket) if is_masked else map(to_example, pairs):
                writer.write(example.SerializeToString(deterministic=True))
        yield counts

    def _pairs(self, documents: list[Document], split: str, phase: str, bucket: int) -> Iterator[SegmentPair]:
        seed = EVALUATION_SEED if split == _EVAL else self._settings.seed
        return segment_pairs(
            (document.sentences() for document in documents),
            list,  # They are token ids already.
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
        pack = SegmentPacker(self._vocabulary, length)
        return masked_examples(pairs, pack, mask, seed, length, self._vocabulary.pad_id)


def _blocks(documents: Iterable[Document], tokens: int) -> Iterator[list[Document]]:
    """Runs of documents with about so many tokens."""
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
    """The same pairs; they are counted as they pass."""
    for pair in pairs:
        counts[f"{prefix}_pairs"] += 1
        counts[f"{prefix}_random_pairs"] += pair.is_random_next
        counts[f"{prefix}_tokens"] += len(pair.first_ids) + len(pair.second_ids)
        yield pair


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of each count."""
    sums: dict[str, int] = {}
    for name, number in itertools.chain.from_iterable(counted.items() for counted in counts):
        sums[name] = sums.get(name, 0) + number
    return dict(sorted(sums.items()))
