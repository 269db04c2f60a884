"""What the clients give back: one small frozen class per kind of answer.

Offsets count in what was sent: characters of a `str`, bytes of a `bytes`, so that `text[start:end]` is the piece.
"""

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
    """The numbers predicted for one text: one, or as many as the model has targets."""

    values: tuple[float, ...]

    @property
    def value(self) -> float:
        """The first number, and the only one of most models."""
        return self.values[0]


@dataclass(frozen=True, eq=False)
class Embedding:
    """The vectors of one text.

    Attributes:
        vector: The text as a whole: float32 [H].
        pooled_output: The encoder's pooled output, float32 [H], where the model gives one.
    """

    vector: np.ndarray
    pooled_output: np.ndarray | None = None


@dataclass(frozen=True)
class Token:
    """One piece of a text as the model reads it; special tokens have no place in the text (0, 0)."""

    piece: str
    id: int
    start: int
    end: int


@dataclass(frozen=True)
class Entity:
    """A labelled stretch of a text."""

    text: str
    label: str
    probability: float
    start: int
    end: int


@dataclass(frozen=True)
class Span:
    """A stretch of the context that may answer the question."""

    text: str
    score: float
    probability: float
    start: int
    end: int


@dataclass(frozen=True)
class QuestionAnswer:
    """What a context says to a question.

    Attributes:
        best: The best span; None where the context holds none.
        spans: The best spans, the best first.
        no_answer_score: How much speaks against any answer, on the scale of the spans' scores.
    """

    best: Span | None
    spans: tuple[Span, ...]
    no_answer_score: float


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model on the server.

    Attributes:
        version: Its number.
        state: START, LOADING, AVAILABLE, UNLOADING, END or UNKNOWN.
        error_code: OK, or why it ended.
        error_message: The server's text for that.
    """

    version: int
    state: str
    error_code: str = "OK"
    error_message: str = ""


@dataclass(frozen=True)
class TensorInfo:
    """An input or an output: the dtype as TensorFlow names it ("int32"), and the shape.

    An open dimension is -1; the shape is None where even the number of dimensions is open.
    """

    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class SignatureInfo:
    """What a signature takes and gives."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    method_name: str = ""


@dataclass(frozen=True)
class ModelMetadata:
    """The signatures of one version."""

    name: str
    version: int
    signatures: dict[str, SignatureInfo]
