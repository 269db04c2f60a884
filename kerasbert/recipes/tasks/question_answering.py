"""Answers questions with a span predictor, as an exported model does, and measures the answers as SQuAD and CMRC do.

For training, see question_windows.py. For the exported model, see export/served/span_predictor.py.

Shapes: `B` questions, `W` windows, `T` tokens of the longest window.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasbert.data.tables.questions import AskedQuestions
from kerasbert.errors import BadInputError
from kerasbert.export.graph.answer_search import AnswerSearch
from kerasbert.export.graph.asked_windows import ONE_OF, AskedWindows, best_answers
from kerasbert.export.graph.text_inputs import text_inputs_of
from kerasbert.models.inference import compiled_forward
from kerasbert.preprocessing import TextToInputs
from kerasbert.recipes.length_order import answers_in_order, order_by_length
from kerasbert.recipes.tasks.question_windows import UNKNOWN, window_targets, windows_of
from kerasbert.recipes.token_classification import log_softmax
from kerasbert.settings import AnswerSettings, QuestionSettings
from kerasbert.training.answer_metrics import answer_metrics, metric_names

_CANDIDATES = 20
_SHOWN = 10  # in the report
_DEFAULTS = AnswerSettings()
_EVERY_WINDOW = 2**20

Logits = dict[str, np.ndarray]


def training_search(settings: QuestionSettings) -> AnswerSearch:
    """Return the windows of training, which has no limit for their number."""
    return AnswerSearch(
        max_question_tokens=settings.max_question_tokens, stride=settings.stride, max_windows=_EVERY_WINDOW
    )


def answer_search(settings: AnswerSettings) -> AnswerSearch:
    """Return how answers are searched for. By default, that is how an exported model does it."""
    return AnswerSearch(
        max_question_tokens=settings.max_question_tokens,
        max_answer_tokens=settings.max_answer_tokens,
        stride=settings.stride,
        candidates=max(_CANDIDATES, settings.answers),
        answers=settings.answers,
    )


def find_answers(
    model: keras.Model,
    to_inputs: TextToInputs,
    rows: AskedQuestions,
    batch_size: int = 32,
    settings: AnswerSettings = _DEFAULTS,
) -> Iterator[dict[str, Any]]:
    """Yield the answer to each question, in order.

    Args:
        model: a span predictor.
        to_inputs: its preprocessing.
        rows: the questions. Their answers are ignored.
        batch_size: number of questions, and of windows, in a batch.
        settings: the lengths and numbers of answers, and the threshold for no answer.

    Yields:
        A dict with `id` (if the question has one) and `question`; `answer`, a part of the context, or None for no
        answer; its `score`, `probability`, and the characters of the context where it starts and ends; `answers`, the
        best ones with the same keys; `no_answer_score`, the score of no answer; and `truncated_token_count`, the number
        of tokens of question and context that were not read.
    """
    search, threshold = answer_search(settings), settings.no_answer_threshold

    def answer(chosen: Any) -> list[dict[str, Any]]:
        part = rows.select(chosen)
        asked = windows_of(part, to_inputs, search)
        return _answers(part, asked, _logits(model, asked, batch_size), to_inputs, search)

    order = order_by_length(rows.contexts, batch_size)
    for name, found in zip(rows.ids, answers_in_order(order, batch_size, answer), strict=True):
        best: dict[str, Any] = dict(found["answers"][0]) if found["answers"] else {}
        if threshold is not None and best and _no_answer_margin(found) > threshold:
            best = {}
        shown = {
            "answer": best.get("text"),
            **{key: best.get(key) for key in ("score", "probability", "start", "end")},
        }
        asked_for = {"id": name} if name else {}
        yield {**asked_for, "question": found.pop("question"), **shown, **found}


def _no_answer_margin(found: dict[str, Any]) -> float:
    """Return how much higher the score of no answer is than that of the best answer."""
    return float(found["no_answer_score"] - found["answers"][0]["score"]) if found["answers"] else float("inf")


def evaluate_answers(
    model: keras.Model,
    rows: AskedQuestions,
    to_inputs: TextToInputs,
    batch_size: int = 32,
    settings: AnswerSettings = _DEFAULTS,
) -> dict[str, Any]:
    """Measure a span predictor on all questions, including those whose answers it does not read.

    Args:
        model: a span predictor.
        rows: the questions with their answers.
        to_inputs: the model's preprocessing.
        batch_size: number of questions, and of windows, in a batch.
        settings: the lengths of windows and answers, and the threshold for no answer.

    Returns:
        `loss` over windows whose target is known, the metrics of `answer_metrics`, and the counts `rows`, `windows` and
        `truncated_rows`, the questions of which some token is not read.
    """
    search, given = answer_search(settings), rows.targets()
    losses, texts, margins, truncated = [], [], [], 0
    for start in range(0, len(rows), batch_size):
        part = rows.select(range(start, min(start + batch_size, len(rows))))
        asked = windows_of(part, to_inputs, search)
        logits = _logits(model, asked, batch_size)
        losses.append(_losses(asked, logits, window_targets(asked, part.targets(), part.contexts)))
        for found in _answers(part, asked, logits, to_inputs, search):
            texts.append(found["answers"][0]["text"] if found["answers"] else "")
            margins.append(_no_answer_margin(found))
            truncated += found["truncated_token_count"] > 0
    loss = np.concatenate(losses)
    is_known = ~np.isnan(loss)
    references = [[answer.text for answer in answers] for answers in given]
    return {
        "loss": float(loss[is_known].mean()) if is_known.any() else 0.0,
        **answer_metrics(references, texts, margins, settings.no_answer_threshold),
        "rows": len(rows),
        "windows": len(loss),
        "truncated_rows": truncated,
    }


def check_metric(rows: AskedQuestions, metric: str) -> None:
    """Refuse to monitor a metric that the validation rows do not have.

    Raises:
        BadInputError: it exists for Chinese answers, or for questions without an answer, only.
    """
    names = metric_names([[answer.text for answer in answers] for answers in rows.targets()])
    if metric not in names:
        raise BadInputError(
            "`monitor` must be a metric that the validation rows have. "
            f"Received: monitor={metric!r} for rows without "
            f"{'a Chinese answer' if metric.startswith('cmrc') else 'a question that has no answer'}. "
            f"Choose one of {', '.join(names)}."
        )


def shown_answers(model: keras.Model, rows: AskedQuestions, to_inputs: TextToInputs) -> dict[str, Any]:
    """Return the key `answers` of a run's `evaluation.json`: the answers to the first questions, for the report."""
    chosen = rows.select(range(min(len(rows), _SHOWN)))
    answers = []
    for found, given in zip(find_answers(model, to_inputs, chosen, _SHOWN), chosen.targets(), strict=True):
        if found["answer"] is not None:
            live = {"label": found["answer"], "probability": found["probability"]}
            expected = " / ".join(dict.fromkeys(answer.text for answer in given)) or "no answer"
            answers.append({"text": found["question"], "live": live, "expected": expected})
    return {"answers": answers}


def _logits(model: keras.Model, asked: AskedWindows, batch_size: int) -> Logits:
    """Run the model on all windows, a batch at a time: float32 [W, T] for starts and ends."""
    forward, parts = compiled_forward(model), []
    for start in range(0, len(asked.windows.rows), batch_size):
        batch = {name: values[start : start + batch_size] for name, values in asked.inputs.items()}
        outputs = forward(batch)
        parts.append({name: keras.ops.convert_to_numpy(keras.ops.cast(outputs[name], "float32")) for name in outputs})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _losses(asked: AskedWindows, logits: Logits, targets: np.ndarray) -> np.ndarray:
    """Return the loss of each window as in training, float64 [W]: NaN where the target is unknown."""
    is_real, rows = asked.inputs["padding_mask"].numpy() > 0, np.arange(len(targets))
    sides = [
        -log_softmax(np.where(is_real, logits[name].astype(np.float64), -1e9))[rows, targets[:, side]]
        for side, name in enumerate(("start_logits", "end_logits"))
    ]
    return np.where(targets[:, 0] == UNKNOWN, np.nan, (sides[0] + sides[1]) / 2)


def _answers(
    rows: AskedQuestions, asked: AskedWindows, logits: Logits, to_inputs: TextToInputs, search: AnswerSearch
) -> list[dict[str, Any]]:
    """Return `question`, `answers`, `no_answer_score` and `truncated_token_count` of each question."""
    given = {name: tf.constant(values) for name, values in logits.items()}
    contexts = tf.constant(list(rows.contexts), tf.string)
    outputs = {
        name: values.numpy()
        for name, values in best_answers(contexts, asked, given, text_inputs_of(to_inputs), search).items()
    }
    answered = []
    for row, context in enumerate(rows.contexts):
        character = _character_counter(context)
        answers = []
        for place in range(int(outputs["answer_count"][row])):
            start, end = (character(int(outputs[edge][row, place])) for edge in ("starts", "ends"))
            numbers = {ONE_OF[name]: float(outputs[name][row, place]) for name in ("scores", "probabilities")}
            answers.append({"text": context[start:end], **numbers, "start": start, "end": end})
        answered.append(
            {
                "question": rows.questions[row],
                "answers": answers,
                "no_answer_score": float(outputs["no_answer_score"][row]),
                "truncated_token_count": int(outputs["truncated_token_count"][row]),
            }
        )
    return answered


def _character_counter(text: str) -> Callable[[int], int]:
    """Return the function from a byte of the text, in UTF-8, to its character."""
    encoded = text.encode()
    return lambda byte: len(encoded[:byte].decode())
