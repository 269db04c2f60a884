"""Finds the best spans among start and end scores, as for SQuAD, inside the graph.

Source: google-research/bert, `run_squad.py` (`write_predictions`). Unlike there, a span that several windows see counts
with its best score, and not only where it has most context.

Shapes: `B` batch, `W` windows of all texts, `T` tokens of the longest window, `A` most tokens of an answer, `N`
candidates of a window, `M` of the text with most windows.
"""

from dataclasses import dataclass

import tensorflow as tf

# Below the score of any span that a model can give.
IMPOSSIBLE = -1e9


@dataclass(frozen=True)
class AnswerSearch:
    """How answers are looked for. The defaults are SQuAD's.

    Attributes:
        max_question_tokens: the question's tokens after these are left out.
        max_answer_tokens: longest answer.
        stride: tokens from the begin of a window to that of the next one.
        max_windows: most windows of a text, which bounds what one request can cost. What is behind is not looked at.
        candidates: spans of each window that are looked at more closely, and over which the probability is shared.
        answers: how many are given back; at most `candidates`.

    Raises:
        ValueError: a value is not as above.
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
                raise ValueError(f"`{name}` must be a whole number of at least 1. Received: {name}={value!r}.")
        if self.answers > self.candidates:
            raise ValueError(
                "`answers` must be at most `candidates`. "
                f"Received: answers={self.answers}, candidates={self.candidates}."
            )


def best_spans(
    start_logits: tf.Tensor, end_logits: tf.Tensor, inside: tf.Tensor, longest: int, count: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The spans of each window whose start and end scores have the largest sum.

    Args:
        start_logits: float32 [W, T].
        end_logits: float32 [W, T].
        inside: bool [W, T], where a span may start and end.
        longest: A, most tokens of a span.
        count: N, how many spans.

    Returns:
        Scores float32 [W, N], best first, and the spans' first and last token, int32 [W, N]. Where a window has fewer
        spans, the score is `IMPOSSIBLE` or less.
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
    """Puts the candidates of a text's windows behind each other: [W, N] -> [B, M].

    Args:
        values: [W, N].
        rows: int64 [W], ascending: which text a window is of.
        batch: int64, B.
        padding: for texts with fewer windows than the one that has most.
    """
    windows = tf.RaggedTensor.from_value_rowids(values, rows, batch)  # [B, (windows), N]
    candidates = windows.merge_dims(1, 2).to_tensor(padding)
    # Each text has a window, so only a batch without any text has fewer than N.
    missing = tf.maximum(tf.shape(values)[1] - tf.shape(candidates)[1], 0)
    return tf.pad(candidates, [[0, 0], [0, missing]], constant_values=padding)


def without_repeats(scores: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Sorts the candidates of each text, and leaves each span only its best score.

    Args:
        scores: float32 [B, M].
        starts: int32 [B, M].
        ends: int32 [B, M].

    Returns:
        The three, best first. The score of a span that comes a second time is `IMPOSSIBLE`.
    """
    scores, order = tf.math.top_k(scores, k=tf.shape(scores)[1])
    starts, ends = (tf.gather(values, order, batch_dims=1) for values in (starts, ends))
    same = (starts[:, :, None] == starts[:, None, :]) & (ends[:, :, None] == ends[:, None, :])  # [B, M, M]
    before = tf.range(tf.shape(scores)[1])[:, None] > tf.range(tf.shape(scores)[1])[None, :]
    repeats = tf.reduce_any(same & before[None, :, :], axis=2)
    return tf.where(repeats, IMPOSSIBLE, scores), starts, ends
