"""Pretraining from text files: segment pairs, masked LM and next-sentence prediction jointly, then a model folder.

The steps are those of the paper: most of them on short sequences, the rest on long ones, which train the later
position embeddings.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from kerasbert import checkpoints
from kerasbert.data import ReadReport, pretraining_dataset, read_documents, segment_pairs, write_pairs
from kerasbert.data.pretraining.document_split import DocumentSplit, document_statistics
from kerasbert.data.pretraining.masked_examples import masked_dataset
from kerasbert.errors import BadInputError
from kerasbert.models import BertPretrainer
from kerasbert.preprocessing import LinearMaskRate, MaskedLMMasker, TextToInputs
from kerasbert.recipes.start import make_backbone, make_optimizer
from kerasbert.recipes.text_formats import note_merged_words, table_format
from kerasbert.recipes.vocabulary_check import check_unknown_words, first_characters
from kerasbert.run_folder import RunFolder
from kerasbert.settings import PretrainingSettings
from kerasbert.training import History, Phase, compile_pretrainer, evaluate_pretrainer, fit, on_averages, use_averages

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


@dataclass(frozen=True)
class Pretrained:
    """The result of pretraining.

    Attributes:
        model: The pretrained model.
        text_to_inputs: Its preprocessing.
        history: The metrics during training.
        metrics: The metrics on held-out text.
        folder: The run's folder.
    """

    model: BertPretrainer
    text_to_inputs: TextToInputs
    history: History
    metrics: dict[str, Any]
    folder: RunFolder


def pretrain(
    settings: PretrainingSettings, report: ReadReport | None = None, records: Records | None = None
) -> Pretrained:
    """Pretrains a model, or resumes an interrupted run with the same settings.

    Args:
        settings: The settings, all of which are written to `settings.json`.
        report: A report to which counts of what was read are added.
        records: Pairs made with the vocabulary and the lengths of `settings`. By default they are made from
            `settings.texts`.

    Raises:
        BadInputError: The text, the vocabulary, the model to start from or the folder cannot be used.
        TrainingStoppedError: The loss is not a finite number.

    Example:
        >>> settings = PretrainingSettings(texts=("corpus.txt",), vocabulary="vocab.txt", output="runs/pretrain")
        >>> pretrained = pretrain(settings)  # doctest: +SKIP
        >>> pretrained.metrics["masked_lm_accuracy"]  # doctest: +SKIP
        0.21
    """
    folder = RunFolder(settings.output)
    if records and records.is_masked and settings.last_masked_lm_rate != settings.masked_lm_rate:
        raise BadInputError(
            "A masking rate that changes needs instances that are masked during training. Received: "
            f"final_masked_lm_rate={settings.final_masked_lm_rate} for masked records. Use pairs, or remove "
            "`final_masked_lm_rate`."
        )
    backbone, to_inputs = make_backbone(settings, max(settings.lengths().values()))
    if records is None:
        _check_text(settings, to_inputs, report)
    model = BertPretrainer(backbone)
    compile_pretrainer(model, make_optimizer(settings, settings.steps), jit_compile=settings.jit_compile)
    makers = {}
    for name, length in settings.lengths().items():
        written = Records(folder.data / name / "train", folder.data / name / "held_out")
        given = records and Records(records.train / name, records.held_out / name, records.is_masked)
        first_step = settings.steps - settings.long_steps if name == "long" else 0
        makers[name] = _InstanceMaker(settings, to_inputs, length, given or written, first_step)
    goes_on = folder.begin("pretrain", dataclasses.asdict(settings), settings.restart)
    if records is None:
        try:
            _write_all(settings, list(makers.values()), report)
        except BadInputError:
            # Checked before the run begins, because a run that was started accepts no other settings and no other text.
            if not goes_on:
                folder.remove()
            raise
    measured = next(iter(makers.values()))
    history = fit(
        model,
        [Phase(name, makers[name].batches, steps) for name, steps in _steps(settings).items()],
        run_dir=folder.path,
        checkpoint_every=settings.checkpoint_every,
        log_every=settings.log_every,
        validate=on_averages(lambda trained: evaluate_pretrainer(trained, measured.held_out_batches())),
        validate_every=settings.validate_every,
        seed=settings.seed,
        show_progress=settings.show_progress,
    )
    use_averages(model)
    metrics = evaluate_pretrainer(model, measured.held_out_batches())
    checkpoints.save(model, folder.model, text_to_inputs=to_inputs)
    folder.write_evaluation({"split": "held-out text", "metrics": metrics})
    return Pretrained(model, to_inputs, history, metrics, folder)


def evaluate_on_records(
    model: BertPretrainer, to_inputs: TextToInputs, settings: PretrainingSettings, records: Records
) -> dict[str, float]:
    """Returns the metrics on held-out pairs that `pretrain` computes, for a model that was trained before."""
    name, length = next(iter(settings.lengths().items()))
    maker = _InstanceMaker(settings, to_inputs, length, Records(records.train / name, records.held_out / name))
    return evaluate_pretrainer(model, maker.held_out_batches())


def _check_text(settings: PretrainingSettings, to_inputs: TextToInputs, report: ReadReport | None) -> None:
    """Refuses text with too many words that are not in the vocabulary, and notes words that normalization merges."""
    source = settings.start_from or settings.vocabulary
    lines = list(first_characters(itertools.chain.from_iterable(_read(settings, settings.texts))))
    check_unknown_words(to_inputs.tokenizer, lines, settings.max_unknown_share, source)
    note_merged_words(report, to_inputs.tokenizer, lines, settings.start_from)


def _read(settings: PretrainingSettings, paths: Sequence[str], report: ReadReport | None = None) -> Iterator[list[str]]:
    """The documents of some files."""
    return read_documents(paths, report, text_column=settings.text_column, table_format=table_format(settings))


def _write_all(settings: PretrainingSettings, makers: Sequence["_InstanceMaker"], report: ReadReport | None) -> None:
    """Writes the records of every length, unless an earlier run did.

    All are made from the same text, which is counted once.
    """
    if all(maker.is_written for maker in makers):
        return
    split = None
    if not settings.held_out:
        split = DocumentSplit.of(document_statistics(_read(settings, settings.texts)), settings.held_out_share)
        if split.note and report is not None:
            report.note(split.note)
    for maker in makers:
        maker.write(split, report)
        report = None


def _steps(settings: PretrainingSettings) -> dict[str, int]:
    """The steps of each phase, without phases of 0 steps."""
    steps = {"short": settings.steps - settings.long_steps, "long": settings.long_steps}
    return {name: number for name, number in steps.items() if number}


class _InstanceMaker:
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
            return _read(settings, settings.texts if part == "train" else settings.held_out, report)
        return (document for document in _read(settings, settings.texts, report) if part in split.parts_of(document))
