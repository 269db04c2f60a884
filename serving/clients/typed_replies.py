"""The answers of the clients: one small frozen class for each kind.

Offsets count characters if a `str` was sent and bytes if a `bytes` was sent, so `text[start:end]` is the piece.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Classification:
    """The labels of one text.

    Attributes:
        label: The most probable label.
        probability: Its probability.
        labels: All labels, the most probable first.
        probabilities: Their probabilities, in the same order.
    """

    label: str
    probability: float
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Regression:
    """The numbers predicted for one text.

    Attributes:
        values: One number for each target of the model.
    """

    values: tuple[float, ...]

    @property
    def value(self) -> float:
        """The first number. Most models predict only one."""
        return self.values[0]


@dataclass(frozen=True, eq=False)
class Embedding:
    """The vectors of one text.

    Attributes:
        vector: Vector of the whole text: float32 [H].
        pooled_output: The encoder's pooled output, float32 [H], or None if the model has none.
        token_count: Number of tokens of the text with special tokens, or None if the model does not say it.
        truncated: Whether the model did not read all of them, or None if the model does not say it.
    """

    vector: np.ndarray
    pooled_output: np.ndarray | None = None
    token_count: int | None = None
    truncated: bool | None = None


@dataclass(frozen=True)
class Token:
    """One word piece of a text.

    Attributes:
        piece: The piece, e.g. "##ing".
        id: Its id in the vocabulary.
        start: Where it starts in the text. 0 for a special token.
        end: Where it ends in the text, exclusive. 0 for a special token.
    """

    piece: str
    id: int
    start: int
    end: int


@dataclass(frozen=True)
class Entity:
    """A span of a text with a label.

    Attributes:
        text: The words.
        label: The label, without a prefix such as "B-".
        probability: Mean of the probabilities of its words.
        start: Where it starts in the text.
        end: Where it ends in the text, exclusive.
    """

    text: str
    label: str
    probability: float
    start: int
    end: int


class Entities(tuple[Entity, ...]):
    """The entities of one text, in the order of the text. A tuple.

    Attributes:
        truncated_token_count: How many tokens at the end of the text the model did not read, because the text is too
            long, or None if the model does not say.
    """

    truncated_token_count: int | None

    def __new__(cls, entities: Iterable[Entity] = (), truncated_token_count: int | None = None) -> "Entities":
        """Make a tuple with one more attribute."""
        made = super().__new__(cls, entities)
        made.truncated_token_count = truncated_token_count
        return made


@dataclass(frozen=True)
class Span:
    """A span of a context that may answer a question.

    Attributes:
        text: The words.
        score: Sum of the logits of its start and its end.
        probability: Its share among the best spans.
        start: Where it starts in the context.
        end: Where it ends in the context, exclusive.
    """

    text: str
    score: float
    probability: float
    start: int
    end: int


@dataclass(frozen=True)
class QuestionAnswer:
    """The answers of a context to a question.

    Attributes:
        best: The best span, or None if the context contains no answer.
        spans: The best spans, the best first.
        no_answer_score: The score of having no answer, on the scale of the spans' scores.
        truncated_token_count: How many tokens of the question and the context the model did not read, because they are
            too long, or None if the model does not say.
    """

    best: Span | None
    spans: tuple[Span, ...]
    no_answer_score: float
    truncated_token_count: int | None = None


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model on the server.

    Attributes:
        version: Its number.
        state: START, LOADING, AVAILABLE, UNLOADING, END or UNKNOWN.
        error_code: "OK", or the code of the error that ended it.
        error_message: The server's message about it.
    """

    version: int
    state: str
    error_code: str = "OK"
    error_message: str = ""


@dataclass(frozen=True)
class TensorInfo:
    """An input or an output of a signature.

    Attributes:
        dtype: TensorFlow's name of the dtype, e.g. "int32".
        shape: The shape. A dimension of any size is -1. None if the number of dimensions is unknown.
    """

    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class SignatureInfo:
    """The inputs and outputs of a signature.

    Attributes:
        inputs: The inputs by name.
        outputs: The outputs by name.
        method_name: TF Serving's name of the kind of signature, e.g. "tensorflow/serving/predict".
    """

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    method_name: str = ""


@dataclass(frozen=True)
class ModelMetadata:
    """The signatures of one version of a model.

    Attributes:
        name: The model's name on the server.
        version: The version.
        signatures: The signatures by name.
    """

    name: str
    version: int
    signatures: dict[str, SignatureInfo]
