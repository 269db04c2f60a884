"""The settings that say how questions about a text are read and answered."""

from pydantic import Field

from kerasbert.settings.setting_types import Count
from kerasbert.settings.settings_class import settings_class


@settings_class
class QuestionSettings:
    """How a long text is read in overlapping windows, in training and for answers. The defaults are those of SQuAD.

    Example:
        >>> QuestionSettings(stride=64).max_question_tokens
        64
    """

    stride: Count = Field(
        default=128,
        description="Tokens from the start of one window of a text to the start of the next, and at most half a window "
        "(question answering).",
    )
    max_question_tokens: Count = Field(
        default=64, description="Maximum number of tokens of a question. The rest is not read (question answering)."
    )
