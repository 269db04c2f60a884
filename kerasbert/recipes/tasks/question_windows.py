"""Turns questions with answers into training windows, which overlap as those of an exported model do.

A window's target is the first and the last token of the answer, or `[CLS]` for both if the window does not contain the
whole answer. For the windows, see export/graph/asked_windows.py. For answers, see question_answering.py.

Shapes: `B` questions, `W` windows, `T` tokens of the longest window.

Source: google-research/bert, `run_squad.py` (`convert_examples_to_features`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasbert.data.resumable_batches import seed_for
from kerasbert.data.tables.labelled_dataset import row_batches
from kerasbert.data.tables.questions import Answer, AskedQuestions
from kerasbert.errors import BadInputError
from kerasbert.export.graph.answer_search import AnswerSearch
from kerasbert.export.graph.asked_windows import AskedWindows, asked_windows
from kerasbert.export.graph.text_inputs import text_inputs_of
from kerasbert.preprocessing import TextToInputs

# The target of a window whose answer is not known.
UNKNOWN = -1
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class TrainingWindows:
    """The windows to train on.

    Attributes:
        questions: the question of each window, ragged int32 [W, (tokens)].
        contexts: the part of the context, ragged int32 [W, (tokens)].
        targets: the positions of the answer's first and last token in the window's inputs, int32 [W, 2].
    """

    questions: tf.RaggedTensor
    contexts: tf.RaggedTensor
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)


def training_windows(
    rows: AskedQuestions, to_inputs: TextToInputs, search: AnswerSearch, negative_share: float = 1.0, seed: int = 0
) -> TrainingWindows:
    """Cut the contexts of questions into windows with targets.

    Questions whose context does not contain their answer are left out.

    Args:
        rows: the questions.
        to_inputs: the model's preprocessing.
        search: the lengths of questions and windows.
        negative_share: share of the windows without the answer that are kept, of questions that have one.
        seed: random seed for this choice.

    Raises:
        BadInputError: no window is left.
    """
    questions, contexts, targets = [], [], []
    random = np.random.default_rng(seed_for(seed, "windows without the answer"))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        chosen = rows.select(range(start, min(start + _ROWS_AT_ONCE, len(rows))))
        asked = windows_of(chosen, to_inputs, search)
        given = chosen.targets()
        of_windows = window_targets(asked, given, chosen.contexts)
        has_answer = np.array([bool(answers) for answers in given])[asked.windows.rows.numpy()]
        is_negative = has_answer & (of_windows[:, 0] == 0)
        is_kept = (of_windows[:, 0] != UNKNOWN) & (~is_negative | (random.random(len(of_windows)) < negative_share))
        questions.append(tf.gather(asked.questions, tf.boolean_mask(asked.windows.rows, is_kept)))
        contexts.append(tf.ragged.boolean_mask(asked.windows.tokens, is_kept))
        targets.append(of_windows[is_kept])
    windows = TrainingWindows(tf.concat(questions, axis=0), tf.concat(contexts, axis=0), np.concatenate(targets))
    if not len(windows):
        raise BadInputError(
            "Training rows must have a question whose context contains its answer, or one without an answer. "
            "Received: none. Check the answers, which must be parts of their contexts."
        )
    return windows


def windows_of(rows: AskedQuestions, to_inputs: TextToInputs, search: AnswerSearch) -> AskedWindows:
    """Return the windows of a batch of questions."""
    questions, contexts = (tf.constant(list(texts), tf.string) for texts in (rows.questions, rows.contexts))
    return asked_windows(questions, contexts, text_inputs_of(to_inputs), search)


def window_targets(asked: AskedWindows, answers: Sequence[Sequence[Answer]], contexts: Sequence[str]) -> np.ndarray:
    """Return the positions of the answer's first and last token in each window's inputs, int32 [W, 2].

    Both are 0, the position of `[CLS]`, if the window does not contain the whole answer, and `UNKNOWN` if the context
    does not contain it. Of several answers, the first one counts that the context contains.

    Args:
        asked: the windows of B questions.
        answers: the answers of each question.
        contexts: the context of each question.
    """
    spans = np.array([_token_span(row, *given, asked) for row, given in enumerate(zip(answers, contexts, strict=True))])
    rows, offset = asked.windows.rows.numpy(), asked.offset.numpy()
    begins = asked.windows.begins.numpy() - asked.ids.row_starts().numpy()[rows]
    sizes = asked.windows.tokens.row_lengths().numpy()
    of_windows = spans[rows]  # [W, 2]
    is_inside = (of_windows[:, 0] >= begins) & (of_windows[:, 1] < begins + sizes)
    targets = np.where(is_inside[:, None], of_windows - begins[:, None] + offset[:, None], 0)
    is_unknown = spans[rows, 0] == _LOST
    return np.where(is_unknown[:, None], UNKNOWN, targets).astype(np.int32)


# The tokens of an answer that is not in the context, and those of no answer.
_LOST, _NONE = -2, -1


def _token_span(row: int, answers: Sequence[Answer], context: str, asked: AskedWindows) -> tuple[int, int]:
    """Return the first and the last token of a question's answer in its context."""
    if not answers:
        return _NONE, _NONE
    starts, ends = asked.starts[row].numpy(), asked.ends[row].numpy()
    for answer in answers:
        if answer.start is None:
            continue
        begin = len(context[: answer.start].encode())
        tokens = np.flatnonzero((ends > begin) & (starts < begin + len(answer.text.encode())))
        if len(tokens):
            return int(tokens[0]), int(tokens[-1])
    return _LOST, _LOST


def window_batches(windows: TrainingWindows, to_inputs: TextToInputs, batch_size: int, **order: Any) -> tf.data.Dataset:
    """Return batches (inputs, targets) for a `BertSpanPredictor`, compiled with `compile_candidates`.

    Args:
        windows: the windows.
        to_inputs: the model's preprocessing.
        batch_size: number of windows in a batch.
        **order: see `row_batches`.
    """
    lengths = windows.questions.row_lengths() + windows.contexts.row_lengths()
    targets = tf.constant(windows.targets)

    def make_batch(rows: tf.Tensor) -> Any:
        inputs = to_inputs.pack(tf.gather(windows.questions, rows), tf.gather(windows.contexts, rows))
        return inputs, span_marks(tf.gather(targets, rows), inputs["padding_mask"])

    return row_batches(len(windows), lengths, make_batch, batch_size, **order)


def span_marks(targets: tf.Tensor, padding_mask: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the targets of `CandidateLoss`, int32 [B, T], from positions [B, 2] and a padding mask [B, T]."""
    places = tf.range(tf.shape(padding_mask)[1])[None, :]

    def marks(column: int) -> tf.Tensor:
        return tf.where(padding_mask > 0, tf.cast(places == targets[:, column, None], tf.int32), -1)

    return {"start_logits": marks(0), "end_logits": marks(1)}
