"""Pretraining from text files: segment pairs, masked LM and next-sentence prediction jointly, then a model folder.

The steps are those of the paper: most of them on short sequences, the rest on long ones, which train the later
position embeddings.
"""

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

from kerasbert import checkpoints
from kerasbert.data import ReadReport
from kerasbert.errors import BadInputError
from kerasbert.models import BertPretrainer
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.pretraining_instances import InstanceMaker, Records, read_texts, write_all
from kerasbert.recipes.start import make_backbone, make_optimizer
from kerasbert.recipes.text_formats import note_merged_words
from kerasbert.recipes.training_precision import with_chosen_precision
from kerasbert.recipes.vocabulary_check import check_unknown_words, first_characters
from kerasbert.run_folder import RunFolder
from kerasbert.settings import PretrainingSettings
from kerasbert.training import History, Phase, compile_pretrainer, evaluate_pretrainer, fit, on_averages, use_averages


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
    settings = with_chosen_precision(settings)
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
    optimizer = make_optimizer(settings, settings.steps, ramp_share=settings.batch_size_ramp)
    compile_pretrainer(model, optimizer, jit_compile=settings.jit_compile)
    makers = {}
    for name, length in settings.lengths().items():
        written = Records(folder.data / name / "train", folder.data / name / "held_out")
        given = records and Records(records.train / name, records.held_out / name, records.is_masked)
        first_step = settings.steps - settings.long_steps if name == "long" else 0
        makers[name] = InstanceMaker(settings, to_inputs, length, given or written, first_step)
    goes_on = folder.begin("pretrain", dataclasses.asdict(settings), settings.restart)
    if records is None:
        try:
            write_all(settings, list(makers.values()), report)
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
    maker = InstanceMaker(settings, to_inputs, length, Records(records.train / name, records.held_out / name))
    return evaluate_pretrainer(model, maker.held_out_batches())


def _check_text(settings: PretrainingSettings, to_inputs: TextToInputs, report: ReadReport | None) -> None:
    """Refuses text with too many words that are not in the vocabulary, and notes words that normalization merges."""
    source = settings.start_from or settings.vocabulary
    lines = list(first_characters(itertools.chain.from_iterable(read_texts(settings, settings.texts))))
    check_unknown_words(to_inputs.tokenizer, lines, settings.max_unknown_share, source)
    note_merged_words(report, to_inputs.tokenizer, lines, settings.start_from)


def _steps(settings: PretrainingSettings) -> dict[str, int]:
    """The steps of each phase, without phases of 0 steps."""
    steps = {"short": settings.steps - settings.long_steps, "long": settings.long_steps}
    return {name: number for name, number in steps.items() if number}
