"""The instances of a pretraining run: pairs that are written once as records, then masked anew for each batch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from kerasbert.data import ReadReport, pretraining_dataset, read_documents, segment_pairs, write_pairs
from kerasbert.data.pretraining.document_split import DocumentSplit, document_statistics
from kerasbert.data.pretraining.masked_examples import masked_dataset
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import LinearMaskRate, MaskedLMMasker, TextToInputs
from kerasbert.recipes.text_formats import table_format
from kerasbert.settings import PretrainingSettings

# [CLS] first [SEP] second [SEP]
SPECIAL_TOKENS = 3
# Held-out text is used once: copies would not add information.
HELD_OUT_DUPE_FACTOR = 1
EVALUATION_SEED = 13


@dataclass(frozen=True)
class Records:
    """Pairs that were made before, e.g. by a Beam pipeline. Each folder has one folder per phase: "short", "long".

    Attributes:
        train: The training pairs: what `write_pairs` writes.
        held_out: The held-out pairs.
        is_masked: Whether the training pairs are masked already (see `kerasbert.data.pretraining.masked_examples`).
    """

    train: Path
    held_out: Path
    is_masked: bool = False


def read_texts(
    settings: PretrainingSettings, paths: Sequence[str], report: ReadReport | None = None
) -> Iterator[list[str]]:
    """The documents of some files."""
    return read_documents(paths, report, text_column=settings.text_column, table_format=table_format(settings))


def write_all(settings: PretrainingSettings, makers: Sequence["InstanceMaker"], report: ReadReport | None) -> None:
    """Writes the records of every length, unless an earlier run did.

    All are made from the same text, which is counted once.
    """
    if all(maker.is_written for maker in makers):
        return
    split = None
    if not settings.held_out:
        split = DocumentSplit.of(document_statistics(read_texts(settings, settings.texts)), settings.held_out_share)
        if split.note and report is not None:
            report.note(split.note)
    for maker in makers:
        maker.write(split, report)
        report = None


class InstanceMaker:
    """Instances of one sequence length: written once as records, then masked anew for each batch."""

    def __init__(
        self,
        settings: PretrainingSettings,
        to_inputs: TextToInputs,
        length: int,
        records: Records,
        first_step: int = 0,
    ) -> None:
        self._settings = settings
        self._tokenizer = to_inputs.tokenizer
        self._length = length
        self._records = records
        vocabulary = to_inputs.vocabulary
        self._pack = to_inputs.replace(sequence_length=length).packer
        self._mask = MaskedLMMasker(
            vocabulary,
            rate=settings.last_masked_lm_rate,
            max_predictions=settings.predictions(length),
            whole_word=settings.whole_word,
            seed=settings.seed,
        )
        rates = settings.masked_lm_rate, settings.last_masked_lm_rate
        self._mask_of_training = LinearMaskRate(self._mask, *rates, settings.steps, first_step)
        # A batch of long inputs has as many tokens as one of short inputs.
        self._batch_size = max(1, settings.batch_size * settings.sequence_length // length)

    @property
    def is_written(self) -> bool:
        """Whether the records of both splits exist."""
        return self._records.train.exists() and self._records.held_out.exists()

    def write(self, split_of_texts: DocumentSplit | None, report: ReadReport | None) -> None:
        """Writes the records of both splits, unless an earlier run with these settings did.

        Args:
            split_of_texts: Which documents are held out. None if other files are.
            report: A report to which counts of what was read are added.
        """
        splits = {
            "train": (self._records.train, self._settings.dupe_factor),
            "held_out": (self._records.held_out, HELD_OUT_DUPE_FACTOR),
        }
        for split, (folder, dupe_factor) in splits.items():
            if folder.exists():
                continue
            pairs = segment_pairs(
                self._documents(split, split_of_texts, report if split == "train" else None),
                self._tokenizer.tokenize,
                max_tokens=self._length - SPECIAL_TOKENS,
                seed=self._settings.seed if split == "train" else EVALUATION_SEED,
                short_sequence_probability=self._settings.short_sequence_probability,
                dupe_factor=dupe_factor,
            )
            try:
                write_pairs(pairs, folder)
            except BadInputError as error:
                if split == "train":
                    raise
                raise BadInputError(
                    f"Held-out text must allow next-sentence pairs too. {error} "
                    "Use more documents, or separate held-out text (`held_out`)."
                ) from error

    def batches(self, start_batch: int) -> tf.data.Dataset:
        """Endless training batches, starting with number `start_batch`."""
        if self._records.is_masked:
            return masked_dataset(
                self._records.train,
                self._length,
                self._settings.predictions(self._length),
                self._batch_size,
                self._settings.seed,
                start_batch=start_batch,
            )
        return pretraining_dataset(
            self._records.train,
            self._pack,
            self._mask_of_training,
            self._batch_size,
            self._settings.seed,
            start_batch=start_batch,
            sequence_length=self._length,
            pad_id=self._tokenizer.vocabulary.pad_id,
        )

    def held_out_batches(self) -> tf.data.Dataset:
        """All held-out pairs once, always with the same masks."""
        return pretraining_dataset(
            self._records.held_out,
            self._pack,
            self._mask,
            self._batch_size,
            EVALUATION_SEED,
            sequence_length=self._length,
            pad_id=self._tokenizer.vocabulary.pad_id,
            shuffle_buffer=0,
            epochs=1,
        )

    def _documents(self, part: str, split: DocumentSplit | None, report: ReadReport | None) -> Iterable[list[str]]:
        """The documents of one part."""
        settings = self._settings
        if split is None:
            return read_texts(settings, settings.texts if part == "train" else settings.held_out, report)
        return (
            document for document in read_texts(settings, settings.texts, report) if part in split.parts_of(document)
        )
