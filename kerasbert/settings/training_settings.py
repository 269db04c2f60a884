"""The settings that pretraining and fine-tuning, commands and pipelines share."""

from typing import Annotated

from pydantic import Field

from kerasbert.settings.setting_types import (
    Count,
    Flag,
    Flags,
    Length,
    NotNegative,
    Optimizer,
    PathText,
    Positive,
    Precision,
    Rate,
    Schedule,
    Seed,
    Share,
)
from kerasbert.settings.settings_class import settings_class


@settings_class
class TrainingSettings:
    """The settings of pretraining and fine-tuning: the model, its tokenizer, the optimizer, and what is logged.

    Example:
        >>> TrainingSettings(batch_size=16).batch_size
        16
    """

    model: PathText = Field(
        default="bert-tiny",
        description="Model to train from random weights: bert-tiny, bert-mini, bert-small, bert-medium, bert-base, "
        "bert-large, or a config.json. With a model to start from, it must have that model's sizes.",
    )
    vocabulary: PathText | None = Field(
        default=None, description="Vocabulary file. With a model to start from, it must be that model's."
    )
    lower_case: Annotated[
        Flag,
        Flags(("--cased",), value=False, help="Keep capital letters. Not for a model to start from that is uncased."),
    ] = Field(
        default=True,
        description="Whether text is lower-cased. False is refused for a model to start from that is uncased.",
    )
    strip_accents: Annotated[Flag, Flags(("--strip-accents/--keep-accents",))] | None = Field(
        default=None,
        description="Whether accents are removed. By default only where text is lower-cased. With a model to start "
        "from, it must be as in that model.",
    )
    sequence_length: Length = Field(
        default=128, description="Maximum number of tokens of an input, special tokens included."
    )
    batch_size: Count = Field(default=32, description="Rows per batch.")
    learning_rate: Positive = Field(default=1e-4, description="Peak learning rate.")
    warmup_share: Share = Field(
        default=0.1, description="Share of the updates over which the learning rate rises to its peak."
    )
    weight_decay: NotNegative = Field(default=0.01, description="Weight decay. Layer norms and biases are not decayed.")
    beta_2: Rate = Field(
        default=0.999,
        description="Decay rate of the optimizer's average of squared gradients. Lower values allow a higher learning "
        "rate in a short run.",
    )
    clip_norm: Positive = Field(default=1.0, description="Maximum global norm of the gradients.")
    accumulation_steps: Count = Field(default=1, description="Batches whose gradients are averaged for one update.")
    ema: Rate | None = Field(
        default=None,
        description="Decay rate, per update, of an average of the weights over the run, e.g. 0.999. The average is "
        "validated and saved in place of the last weights. By default, no average is kept.",
    )
    optimizer: Optimizer = Field(
        default="adamw",
        description="Optimizer. `original` is that of google-research/bert: no bias correction, decay from step 0. "
        "`stable_adamw` limits the updates of variables whose gradients grow suddenly. `lamb` is for batches of "
        "thousands of rows.",
    )
    schedule: Schedule | None = Field(
        default=None,
        description="Learning rate after the warm-up. `linear` falls to 0; `original` does so from step 0 on; "
        "`warmup_stable_decay` is constant and then falls over `decay_share` of the updates; `one_cycle` rises and "
        "falls on cosines. By default linear, or original with the optimizer of that name.",
    )
    decay_share: Share = Field(
        default=0.2,
        description="Share of the updates over which the learning rate falls at the end, with the schedule "
        "`warmup_stable_decay`.",
    )
    dropout: Rate | None = Field(default=None, description="Dropout rate. Overrides the model's config.")
    precision: Precision = Field(
        default="auto",
        description="Keras dtype policy of the arithmetic. `auto` is mixed_bfloat16 where the processor or an "
        "accelerator computes in bfloat16, and otherwise float32.",
    )
    gradient_checkpointing: Flag = Field(
        default=False,
        description="Whether to compute each encoder block again for its gradients instead of keeping its intermediate "
        "results. Needs less memory, takes up to a third longer, and gives the same weights.",
    )
    jit_compile: Flag | None = Field(
        default=None, description="Whether XLA compiles the training step. By default only with an accelerator."
    )
    max_unknown_share: Share = Field(
        default=0.2, description="Maximum share of the words of the text that may be missing from the vocabulary."
    )
    seed: Seed = Field(default=0, description="Random seed for initialization, data order, masking and dropout.")
    checkpoint_every: Count = Field(
        default=500, description="Steps between training states, from which a killed run resumes."
    )
    log_every: Count = Field(default=50, description="Steps between rows of the history.")
    show_progress: Annotated[Flag, Flags(("--progress/--no-progress",))] = Field(
        default=True, description="Whether to show a progress bar on standard error."
    )


@settings_class
class RunSettings(TrainingSettings):
    """The settings of a training run in a folder of its own.

    Example:
        >>> RunSettings(output="runs/first", start_from="bert").restart
        False
    """

    output: Annotated[PathText, Flags(("--output", "-o"))] = Field(description="Folder of the run.")
    start_from: Annotated[PathText, Flags(("--from",))] | None = Field(
        default=None, description="Model to start from: a folder or a checkpoint file. By default random weights."
    )
    restart: Annotated[Flag, Flags(("--restart",), value=True)] = Field(
        default=False, description="Delete an earlier run in the folder and start again."
    )
