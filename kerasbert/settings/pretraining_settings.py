"""The settings of pretraining."""

from pydantic import Field

from kerasbert.settings.setting_types import Count, Flag, Length, PartShare, Paths, Share, SomeShare
from kerasbert.settings.settings_class import settings_class
from kerasbert.settings.table_settings import TextTableSettings
from kerasbert.settings.training_settings import RunSettings, TrainingSettings


@settings_class
class PretrainingParameters(TrainingSettings, TextTableSettings):
    """What the command and the pipeline of pretraining share.

    Example:
        >>> PretrainingParameters(steps="2e4").steps
        20000
    """

    steps: Count = Field(default=10_000, description="Number of training steps (batches).")
    long_sequence_length: Length = Field(
        default=512,
        description="Maximum number of tokens in the last steps, which train the later position embeddings.",
    )
    long_share: Share = Field(default=0.1, description="Share of the steps that use the long sequence length.")
    batch_size_ramp: Share = Field(
        default=0.0,
        description="Share of the steps over which the batches per update rise from 1 to `accumulation_steps`, through "
        "the numbers that divide it. The learning rate counts updates.",
    )
    held_out_share: PartShare = Field(
        default=0.05,
        description="Share of the documents to hold out for evaluation. They are chosen by a hash of their text.",
    )
    masked_lm_rate: SomeShare = Field(default=0.15, description="Share of the tokens that are masked.")
    final_masked_lm_rate: SomeShare | None = Field(
        default=None,
        description="Share of the tokens that are masked in the last step and in held-out text. The rate changes "
        "linearly from `masked_lm_rate` in the first step to this. By default, it does not change.",
    )
    max_predictions: Count | None = Field(
        default=None,
        description="Maximum number of masked tokens of a short input. Long inputs have proportionally more. By "
        "default, the number that the higher masking rate gives.",
    )
    whole_word: Flag = Field(default=False, description="Whether to mask whole words instead of single word pieces.")
    dupe_factor: Count = Field(default=10, description="Passes over the text, each with different segment pairs.")
    short_sequence_probability: Share = Field(
        default=0.1, description="Share of the inputs that get a random shorter length."
    )
    validate_every: Count | None = Field(
        default=None, description="Steps between evaluations on held-out text. By default, after each phase only."
    )


@settings_class
class PretrainingSettings(PretrainingParameters, RunSettings):
    """The settings of `kerasbert.recipes.pretrain` and of `kerasbert pretrain`.

    Example:
        >>> settings = PretrainingSettings(output="runs/first", texts="corpus.txt", vocabulary="vocab.txt", steps=100)
        >>> settings.long_steps, settings.lengths()
        (10, {'short': 128, 'long': 512})
    """

    texts: Paths = Field(
        default=(),
        description="Text files, folders or glob patterns: one sentence per line, a blank line between documents.",
    )
    held_out: Paths = Field(
        default=(), description="Text to evaluate on. By default, a share of the documents is held out."
    )

    @property
    def long_steps(self) -> int:
        """The number of steps on long sequences."""
        return round(self.steps * self.long_share)

    def lengths(self) -> dict[str, int]:
        """Returns the sequence length of each phase ("short", "long") that has steps."""
        lengths = {"short": self.sequence_length, "long": self.long_sequence_length}
        has_steps = {"short": self.steps > self.long_steps, "long": self.long_steps > 0}
        return {name: length for name, length in lengths.items() if has_steps[name]}

    @property
    def last_masked_lm_rate(self) -> float:
        """The masking rate of the last step and of held-out text."""
        return self.masked_lm_rate if self.final_masked_lm_rate is None else self.final_masked_lm_rate

    def predictions(self, length: int) -> int:
        """Returns the maximum number of masked positions of an input of `length` tokens."""
        if self.max_predictions is None:
            return max(1, round(length * max(self.masked_lm_rate, self.last_masked_lm_rate)))
        return max(1, round(self.max_predictions * length / self.sequence_length))
