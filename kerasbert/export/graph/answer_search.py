"""How are answers found in a text of any length? Overlapping windows, and the best spans of all of them, in the graph.

Source: google-research/bert, `run_squad.py` (`convert_examples_to_features` and `write_predictions`). One difference:
a span that several windows contain counts with its best score, not only with that of the window with most context.

Shapes: `B` batch, `W` windows of all texts, one after the other, `T` tokens of the longest window, `A` most tokens of
an answer, `N` candidates of a window, `M` candidates of the text with the most windows.
"""

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

# Lower than any score that a model computes.
IMPOSSIBLE = -1e9


@dataclass(frozen=True)
class AnswerSearch:
    """How a served `BertSpanPredictor` searches for answers. The defaults are those of SQuAD.

    Attributes:
        max_question_tokens: the maximum length of a question. The rest is not read.
        max_answer_tokens: the maximum length of an answer.
        stride: the distance in tokens from the start of one window to the start of the next.
        max_windows: the maximum number of windows of a text, which limits the cost of one request. The model does not
            read what comes after the last window.
        candidates: the number of spans that are kept of each window, and among which the probability is shared.
        answers: the number of answers returned; at most `candidates`.

    Raises:
        ValueError: a value is not a positive integer, or `answers` is larger than `candidates`.

    Example:
        >>> AnswerSearch(max_answer_tokens=10, answers=1).stride
        128
    """

    max_question_tokens: int = 64
    max_answer_tokens: int = 30
    stride: int = 128
    max_windows: int = 32
    candidates: int = 20
    answers: int = 5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` must be an integer of at least 1. Received: {name}={value!r}. For example, {name}=5."
                )
        if self.answers > self.candidates:
            raise ValueError(
                "`answers` must be at most `candidates`. "
                f"Received: answers={self.answers}, candidates={self.candidates}. "
                f"For example, candidates={self.answers}."
            )


class Windows(NamedTuple):
    """The windows of a batch.

    Attributes:
        rows: int64 [W], the text that a window belongs to.
        begins: int64 [W], the window's first token among the tokens of all texts.
        tokens: ragged [W, (tokens)].
        covered: int64 [B], how many tokens of each text, from its start, are in a window.
    """

    rows: tf.Tensor
    begins: tf.Tensor
    tokens: tf.RaggedTensor
    covered: tf.Tensor


def context_windows(tokens: tf.RaggedTensor, room: tf.Tensor, stride: int, limit: int) -> Windows:
    """Cut each text into overlapping windows.

    Args:
        tokens: ragged [B, (tokens)], with int64 row splits.
        room: int64 [B], the maximum number of tokens in a window; at least 1.
        stride: the distance from the start of one window to the start of the next. If `room` is less than two strides,
            the distance is half of `room`.
        limit: the maximum number of windows of a text. Tokens after the last window are left out.
    """
    lengths = tokens.row_lengths()
    strides = tf.maximum(tf.minimum(tf.constant(stride, tf.int64), room // 2), 1)
    counts = tf.minimum(1 + -(-tf.maximum(lengths - room, 0) // strides), limit)
    rows = tf.repeat(tf.range(tokens.nrows()), counts)
    within = tf.gather(strides, rows) * tf.ragged.range(counts).values
    begins = tf.gather(tokens.row_starts(), rows) + within
    sizes = tf.minimum(tf.gather(room, rows), tf.gather(lengths, rows) - within)
    places = tf.ragged.range(begins, begins + sizes)
    windows = places.with_values(tf.gather(tokens.values, places.values))
    return Windows(rows, begins, windows, tf.minimum(lengths, room + (counts - 1) * strides))


def best_spans(
    start_logits: tf.Tensor, end_logits: tf.Tensor, inside: tf.Tensor, longest: int, count: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Find the spans of each window with the largest sum of start and end score.

    Args:
        start_logits: float32 [W, T].
        end_logits: float32 [W, T].
        inside: bool [W, T], True where a span may start and end.
        longest: A, the maximum number of tokens in a span.
        count: N, the number of spans.

    Returns:
        Scores float32 [W, N], best first, and the first and last token of each span, int32 [W, N]. If a window has
        fewer than N spans, the remaining scores are `IMPOSSIBLE` or less.
    """
    starts = tf.where(inside, start_logits, IMPOSSIBLE)
    ends = tf.where(inside, end_logits, IMPOSSIBLE)
    ends = tf.pad(ends, [[0, 0], [0, longest - 1]], constant_values=IMPOSSIBLE)
    places = tf.range(tf.shape(starts)[1])[:, None] + tf.range(longest)[None, :]  # [T, A]
    scores = starts[:, :, None] + tf.gather(ends, places, axis=1)  # [W, T, A]
    flat = tf.reshape(scores, [tf.shape(scores)[0], tf.shape(scores)[1] * longest])
    flat = tf.pad(flat, [[0, 0], [0, count]], constant_values=2 * IMPOSSIBLE)
    best, index = tf.math.top_k(flat, k=count)
    first = tf.minimum(index // longest, tf.shape(starts)[1] - 1)
    return best, first, tf.minimum(first + index % longest, tf.shape(starts)[1] - 1)


def by_text(values: tf.Tensor, rows: tf.Tensor, batch: tf.Tensor, padding: float) -> tf.Tensor:
    """Join the candidates of all windows of a text: [W, N] -> [B, M].

    Args:
        values: [W, N].
        rows: int64 [W], ascending: the text that a window belongs to.
        batch: int64, B.
        padding: the value for texts with fewer windows than another.
    """
    windows = tf.RaggedTensor.from_value_rowids(values, rows, batch)  # [B, (windows), N]
    candidates = windows.merge_dims(1, 2).to_tensor(padding)
    # Every text has a window, so only an empty batch has fewer than N candidates.
    missing = tf.maximum(tf.shape(values)[1] - tf.shape(candidates)[1], 0)
    return tf.pad(candidates, [[0, 0], [0, missing]], constant_values=padding)


def without_repeats(scores: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Sort the candidates of each text, and keep only the best score of each span.

    Args:
        scores: float32 [B, M].
        starts: int32 [B, M].
        ends: int32 [B, M].

    Returns:
        Scores, starts and ends, best first. The score of a repeated span is `IMPOSSIBLE`.
    """
    scores, order = tf.math.top_k(scores, k=tf.shape(scores)[1])
    starts, ends = (tf.gather(values, order, batch_dims=1) for values in (starts, ends))
    same = (starts[:, :, None] == starts[:, None, :]) & (ends[:, :, None] == ends[:, None, :])  # [B, M, M]
    before = tf.range(tf.shape(scores)[1])[:, None] > tf.range(tf.shape(scores)[1])[None, :]
    repeats = tf.reduce_any(same & before[None, :, :], axis=2)
    return tf.where(repeats, IMPOSSIBLE, scores), starts, ends
