"""The settings of fine-tuning."""

from typing import Annotated

from pydantic import AliasChoices, Field

from kerasbert.settings.question_settings import QuestionSettings
from kerasbert.settings.setting_types import (
    ClassWeights,
    Count,
    CountFromZero,
    Flag,
    Flags,
    LabelPieces,
    NotNegative,
    PartShare,
    Paths,
    Positive,
    Rate,
    Share,
    SomeShare,
    Task,
    Text,
)
from kerasbert.settings.settings_class import settings_class
from kerasbert.settings.table_settings import TableSettings
from kerasbert.settings.training_settings import RunSettings, TrainingSettings


@settings_class
class FineTuningParameters(TrainingSettings, TableSettings):
    """What the command and the pipeline of fine-tuning share.

    Example:
        >>> FineTuningParameters(class_weights="spam=4").class_weights
        {'spam': 4.0}
    """

    task: Annotated[Task, Flags(("--task", "--problem-type"))] = Field(
        default="single_label_classification",
        validation_alias=AliasChoices("task", "problem_type"),
        description="Kind of labels.",
    )
    learning_rate: Positive = Field(default=5e-5, description="Peak learning rate.")
    epochs: Count = Field(default=3, description="Passes over the training rows.")
    layer_wise_decay: SomeShare = Field(
        default=1.0,
        description="Factor of the learning rate from each encoder block to the one below it, e.g. 0.95. The head has "
        "the full learning rate.",
    )
    freeze_layers: CountFromZero = Field(
        default=0, description="Number of encoder blocks, from the lowest one on, that are not trained."
    )
    freeze_embeddings: Flag = Field(default=False, description="Whether the embeddings are left as they are.")
    lora: Count | None = Field(
        default=None,
        description="Rank of matrices that are trained beside the kernels of attention, and added to them after "
        "training (LoRA), e.g. 8. The rest of the encoder is not trained. By default, all weights are trained.",
    )
    class_weights: ClassWeights | None = Field(
        default=None,
        description="Weights of the labels in the loss, for imbalanced tables: `balanced`, or label=weight pairs "
        "separated by commas. Other labels have the weight 1. By default, all labels have the weight 1.",
    )
    class_weights_beta: Share = Field(
        default=1.0,
        description="With `class_weights` balanced, how much the number of rows of a label counts: 0 gives all labels "
        "the same weight, 0.999 is usual (class-balanced loss), 1 gives weights proportional to 1 / rows.",
    )
    label_smoothing: Rate = Field(
        default=0.0,
        description="Share of the target of training that all labels have in common, e.g. 0.1, so that scores are less "
        "extreme. Metrics are computed without it. Not for regression.",
    )
    r_drop: NotNegative = Field(
        default=0.0,
        description="Weight of the distance between two answers to the same row with different dropout (R-Drop), e.g. "
        "1. Each batch has its rows twice. Metrics are computed without it. Not for question answering.",
    )
    label_pieces: LabelPieces = Field(
        default="first",
        description="Which pieces of a word have its label in training (token classification). Answers and metrics are "
        "always those of first pieces.",
    )
    validation_share: PartShare = Field(
        default=0.1,
        description="Share of the rows to hold out for validation. They are chosen by a hash of their text.",
    )
    early_stopping_patience: Count | None = Field(
        default=None,
        description="Epochs without an improvement of the monitored metric after which training stops. The weights of "
        "the best epoch are kept. By default, training runs to the end.",
    )
    monitor: Text | None = Field(
        default=None,
        description="Validation metric that tells which epoch is best. By default, accuracy, micro_f1 (multi-label), "
        "entity_f1 (tokens), f1 (question answering) or loss (regression).",
    )


@settings_class
class FineTuningSettings(FineTuningParameters, QuestionSettings, RunSettings):
    """The settings of `kerasbert.recipes.fine_tune` and of `kerasbert fine-tune`.

    Example:
        >>> settings = FineTuningSettings(output="runs/first", train="train.csv", start_from="bert", epochs=2)
        >>> settings.train, settings.learning_rate, settings.task
        (('train.csv',), 5e-05, 'single_label_classification')
    """

    train: Paths = Field(default=(), description="Tables with the training rows.")
    validation: Paths = Field(
        default=(),
        description="Tables to validate on during training. By default, a share of the training rows is held out.",
    )
    test: Paths = Field(default=(), description="Tables for the final metrics. By default, the validation rows.")
    negative_window_share: Share = Field(
        default=1.0,
        description="Share of the windows without the answer to train on, of questions that have one (question "
        "answering). They are chosen at random.",
    )
