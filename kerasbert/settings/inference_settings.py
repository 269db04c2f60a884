"""The settings that say how a trained model answers."""

from pydantic import Field

from kerasbert.settings.question_settings import QuestionSettings
from kerasbert.settings.setting_types import Count, Finite, Flag, InferencePrecision, PathText
from kerasbert.settings.settings_class import settings_class


@settings_class
class InferenceSettings:
    """The arithmetic of a model that is not trained any more.

    Example:
        >>> InferenceSettings().precision
        'float32'
    """

    precision: InferencePrecision = Field(
        default="float32",
        description="Precision of the encoder. `bfloat16` is faster on processors with instructions for it, and takes "
        "half the space. `int8` weights take a quarter of the space and are as fast as float32. `auto` is bfloat16 "
        "where it is faster on this machine, and otherwise float32.",
    )


@settings_class
class ExportSettings(InferenceSettings):
    """The precision of an exported model.

    Example:
        >>> ExportSettings(precision="int8", sample_texts="questions.txt").sample_texts
        'questions.txt'
    """

    sample_texts: PathText | None = Field(
        default=None,
        description="Text file with typical texts, one per line. On these, the answers in another precision are "
        "compared with float32, and `auto` measures the speed. By default, random words of the vocabulary.",
    )


@settings_class
class AnswerSettings(QuestionSettings):
    """How answers are made from the outputs of a model.

    Example:
        >>> AnswerSettings(constrain_tags="yes").constrain_tags
        True
    """

    constrain_tags: Flag = Field(
        default=False,
        description="Whether to answer with the best sequence of tags that BIO, BIOES or BILOU allow, instead of the "
        "best tag of each word (token classification). Exported models do not do this.",
    )
    max_answer_tokens: Count = Field(default=30, description="Maximum number of tokens of an answer to a question.")
    answers: Count = Field(default=5, description="Number of answers to list for each question, the best one first.")
    no_answer_threshold: Finite | None = Field(
        default=None,
        description="Answer a question with nothing if the score of no answer is higher than that of the best answer "
        "by more than this. By default, every question is answered; `evaluate` uses 0 if some question has no answer.",
    )
