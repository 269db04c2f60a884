"""Converts texts into the inputs of a signature, and its outputs into answers: the same for REST and gRPC.

`docs/export.md` describes the signatures. `rest_protocol.py` and `grpc_protocol.py` make requests of the inputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbert_serving.clients.errors import UnexpectedReplyError
from kerasbert_serving.clients.typed_replies import (
    Classification,
    Embedding,
    Entities,
    Entity,
    QuestionAnswer,
    Regression,
    Span,
    Token,
)

Text = str | bytes
Texts = Text | Sequence[Text]
Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Question:
    """A call that is ready to be sent.

    Attributes:
        signature_name: The signature to run.
        inputs: Its inputs.
        read: A function from the outputs to one answer per row.
        is_single: Whether the caller passed one text instead of a list, and receives one answer.
    """

    signature_name: str
    inputs: dict[str, np.ndarray]
    read: Callable[[Outputs], list[Any]]
    is_single: bool

    @property
    def is_empty(self) -> bool:
        """Whether there are no texts."""
        return not len(next(iter(self.inputs.values())))

    def answer(self, outputs: Outputs) -> Any:
        """Return the answer, or the list of answers."""
        answers = self.read(outputs)
        return answers[0] if self.is_single else answers


# === The calls ===


def classify(texts: Texts, text_pairs: Texts | None, signature_name: str | None) -> Question:
    """Ask for labels of texts, or of pairs of texts."""
    return _about_texts(texts, text_pairs, signature_name, _classifications)


def regress(texts: Texts, text_pairs: Texts | None, signature_name: str | None) -> Question:
    """Ask for numbers for texts, or for pairs of texts."""
    return _about_texts(texts, text_pairs, signature_name, _regressions)


def embed(texts: Texts, signature_name: str) -> Question:
    """Ask for vectors of texts."""
    rows, is_single = _rows("texts", texts)
    return Question(signature_name, {"text": _strings(rows)}, _embeddings, is_single)


def tokenize(texts: Texts, signature_name: str) -> Question:
    """Ask for the word pieces of texts with their positions."""
    rows, is_single = _rows("texts", texts)
    return Question(signature_name, {"text": _strings(rows)}, lambda outputs: _tokens(outputs, rows), is_single)


def find_entities(texts: Texts, signature_name: str) -> Question:
    """Ask for the entities in texts."""
    rows, is_single = _rows("texts", texts)
    return Question(signature_name, {"text": _strings(rows)}, lambda outputs: _entities(outputs, rows), is_single)


def answer(questions: Texts, contexts: Texts, signature_name: str) -> Question:
    """Ask for the spans of contexts that answer questions."""
    rows, is_single = _rows("questions", questions)
    context_rows = _second_rows("contexts", contexts, "questions", len(rows), is_single)
    inputs = {"question": _strings(rows), "context": _strings(context_rows)}
    return Question(signature_name, inputs, lambda outputs: _question_answers(outputs, context_rows), is_single)


def _about_texts(
    texts: Texts, text_pairs: Texts | None, signature_name: str | None, read: Callable[[Outputs], list[Any]]
) -> Question:
    rows, is_single = _rows("texts", texts)
    inputs = {"text": _strings(rows)}
    if text_pairs is not None:
        inputs["text_pair"] = _strings(_second_rows("text_pairs", text_pairs, "texts", len(rows), is_single))
    default = "serving_default" if text_pairs is None else "text_pair"
    return Question(signature_name or default, inputs, read, is_single)


# === Texts to tensors ===


def _rows(name: str, texts: Texts) -> tuple[list[Text], bool]:
    if isinstance(texts, (str, bytes)):
        rows, is_single = [texts], True
    else:
        rows, is_single = list(texts), False
    for position, text in enumerate(rows):
        if not isinstance(text, (str, bytes)):
            raise TypeError(
                f"`{name}` must be a string or a list of strings. Received: {name}[{position}]={text!r}. Pass the "
                "two texts of a pair in two arguments."
            )
    return rows, is_single


def _second_rows(name: str, texts: Texts, first_name: str, count: int, is_single: bool) -> list[Text]:
    rows, second_is_single = _rows(name, texts)
    if second_is_single != is_single or len(rows) != count:
        raise ValueError(
            f"`{name}` must match `{first_name}`: both strings, or both lists of the same length. Received: {count} in "
            f"`{first_name}`, {len(rows)} in `{name}`."
        )
    return rows


def _strings(rows: Sequence[Text]) -> np.ndarray:
    array = np.empty(len(rows), np.object_)
    array[:] = [to_bytes(row) for row in rows]
    return array


def to_bytes(text: Text) -> bytes:
    """Return the UTF-8 bytes of a text."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"A text must not contain half of a surrogate pair, which UTF-8 cannot encode. Received: {text[:80]!r}. "
            "Replace it, or send `bytes`."
        ) from error


# === Tensors to answers ===


def _columns(outputs: Outputs, names: Sequence[str], kind: str) -> list[np.ndarray]:
    missing = [name for name in names if name not in outputs]
    if missing:
        raise UnexpectedReplyError(
            f"The signature must have the outputs of this call ({kind}). Received: {', '.join(sorted(outputs))}, "
            f"without {', '.join(missing)}. Choose another signature with `signature_name`, or call `predict`.",
            "FAILED_PRECONDITION",
        )
    return [outputs[name] for name in names]


def _classifications(outputs: Outputs) -> list[Classification]:
    columns = _columns(outputs, ("label", "probability", "labels", "probabilities"), "classification")
    return [
        Classification(_text(label), probability, tuple(map(_text, labels)), tuple(probabilities))
        for label, probability, labels, probabilities in _zip(columns)
    ]


def _regressions(outputs: Outputs) -> list[Regression]:
    [predictions] = _columns(outputs, ("prediction",), "regression")
    return [Regression(tuple(row)) for row in predictions.reshape(len(predictions), -1).tolist()]


def _embeddings(outputs: Outputs) -> list[Embedding]:
    [vectors] = _columns(outputs, ("embedding",), "embedding")
    # Not every model has a pooler, and exports of other tools do not count tokens.
    pooled = outputs.get("pooled_output", [None] * len(vectors))
    counts, truncated = (
        outputs[name].tolist() if name in outputs else [None] * len(vectors) for name in ("token_count", "truncated")
    )
    return [Embedding(*row) for row in zip(vectors, pooled, counts, truncated, strict=True)]


def _tokens(outputs: Outputs, texts: Sequence[Text]) -> list[tuple[Token, ...]]:
    columns = _columns(outputs, ("pieces", "token_ids", "starts", "ends", "padding_mask"), "tokens")
    answers = []
    for text, pieces, ids, starts, ends, mask in zip(texts, *(column.tolist() for column in columns), strict=True):
        place = _places(text)
        answers.append(
            tuple(
                Token(_text(piece), token_id, place(start), place(end))
                for piece, token_id, start, end, real in zip(pieces, ids, starts, ends, mask, strict=True)
                if real
            )
        )
    return answers


def _entities(outputs: Outputs, texts: Sequence[Text]) -> list[Entities]:
    names = ("entity_count", "entities", "labels", "probabilities", "starts", "ends")
    rows = _zip(_columns(outputs, names, "entities"))
    answers = []
    for text, (count, *row), truncated in zip(texts, rows, _truncated(outputs, len(texts)), strict=True):
        place = _places(text)
        entities = (
            Entity(_text(entity), _text(label), probability, place(start), place(end))
            for entity, label, probability, start, end in list(zip(*row, strict=True))[:count]
        )
        answers.append(Entities(entities, truncated))
    return answers


def _question_answers(outputs: Outputs, contexts: Sequence[Text]) -> list[QuestionAnswer]:
    names = ("answer_count", "no_answer_score", "answers", "scores", "probabilities", "starts", "ends")
    rows = _zip(_columns(outputs, names, "answers"))
    answers = []
    for context, (count, no_answer_score, *row), truncated in zip(
        contexts, rows, _truncated(outputs, len(contexts)), strict=True
    ):
        place = _places(context)
        spans = tuple(
            Span(_text(span), score, probability, place(start), place(end))
            for span, score, probability, start, end in list(zip(*row, strict=True))[:count]
        )
        answers.append(QuestionAnswer(spans[0] if spans else None, spans, no_answer_score, truncated))
    return answers


def _truncated(outputs: Outputs, rows: int) -> list[Any]:
    """Return how many tokens of each row the model did not read. Exports of other tools do not say."""
    counts = outputs.get("truncated_token_count")
    return [None] * rows if counts is None else counts.tolist()


def _zip(columns: Sequence[np.ndarray]) -> list[tuple[Any, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _places(text: Text) -> Callable[[int], int]:
    """Return a function from an offset in the UTF-8 bytes to one in the text that the caller passed."""
    if isinstance(text, bytes) or text.isascii():
        return lambda offset: offset
    # Every byte that does not continue a character starts one.
    begins = (np.frombuffer(text.encode("utf-8"), np.uint8) & 0xC0) != 0x80
    characters = np.concatenate([[0], np.cumsum(begins)]).tolist()
    return lambda offset: characters[offset]
