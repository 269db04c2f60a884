"""From questions and contexts to a model's inputs, and from its logits to answers, in the graph or outside of it.

What happens between them, i.e. running the model, is up to the caller: a served model, or `kerasbert predict`. The
question is truncated, the context is read in overlapping windows (see answer_search.py), and a span is widened to whole
words.

Shapes: `B` batch, `W` windows of all contexts, `T` tokens of the longest window, `N` candidates of a window, `M`
candidates of the context with the most windows, `K` answers.
"""

from typing import NamedTuple

import tensorflow as tf

from kerasbert.export.graph.answer_search import (
    IMPOSSIBLE,
    AnswerSearch,
    Windows,
    best_spans,
    by_text,
    context_windows,
    without_repeats,
)
from kerasbert.export.graph.text_inputs import Inputs, TextInputs
from kerasbert.export.graph.words import cut, word_numbers

ONE_OF = {"answers": "answer", "scores": "score", "probabilities": "probability", "starts": "start", "ends": "end"}
_EDGES = ("start_logits", "end_logits")


class AskedWindows(NamedTuple):
    """The windows of a batch of questions, before the model runs.

    Attributes:
        inputs: the model's inputs, int32 [W, T].
        questions: the questions as they are read, ragged int32 [B, (tokens)].
        windows: the windows of the contexts.
        offset: int32 [W], where a window's tokens begin in its inputs: after `[CLS]`, the question and `[SEP]`.
        ids: the tokens of the contexts, ragged int32 [B, (tokens)].
        starts: the byte of the context at which each of these tokens starts, ragged int32 likewise.
        ends: the byte after its last byte.
        counts: `token_count`, the number of tokens of question and context and of three special tokens, int32 [B];
            `truncated_token_count`, how many of them no window contains, int32 [B]; and `truncated`, whether there are
            any, bool [B].
    """

    inputs: Inputs
    questions: tf.RaggedTensor
    windows: Windows
    offset: tf.Tensor
    ids: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor
    counts: dict[str, tf.Tensor]


def asked_windows(
    question: tf.Tensor, context: tf.Tensor, text_inputs: TextInputs, search: AnswerSearch
) -> AskedWindows:
    """Cut the contexts of questions into windows.

    Args:
        question: string [B].
        context: string [B].
        text_inputs: the model's preprocessing.
        search: the lengths of questions and windows.
    """
    text_to_inputs = text_inputs.text_to_inputs
    ids, starts, ends = text_inputs.tokens_with_offsets(context)
    room = text_to_inputs.sequence_length - 3
    asked = tf.cast(text_inputs.ids(question), tf.int32).with_row_splits_dtype(tf.int64)
    whole_lengths = asked.row_lengths()
    asked = asked[:, : min(search.max_question_tokens, room // 2)]
    lengths = asked.row_lengths()
    windows = context_windows(ids, room - lengths, search.stride, search.max_windows)
    inputs = text_to_inputs.pack(tf.gather(asked, windows.rows), windows.tokens)
    offset = tf.cast(tf.gather(lengths, windows.rows), tf.int32) + 2
    unread = tf.cast((whole_lengths - lengths) + (ids.row_lengths() - windows.covered), tf.int32)
    tokens = tf.cast(whole_lengths + ids.row_lengths(), tf.int32) + 3
    counts = {"token_count": tokens, "truncated": unread > 0, "truncated_token_count": unread}
    return AskedWindows(inputs, asked, windows, offset, ids, starts, ends, counts)


def best_answers(
    context: tf.Tensor,
    asked: AskedWindows,
    logits: dict[str, tf.Tensor],
    text_inputs: TextInputs,
    search: AnswerSearch,
) -> dict[str, tf.Tensor]:
    """Find the best answer [B] and the best K answers [B, K], with scores, probabilities and byte offsets.

    A short context may have fewer than K spans: the rest of its row is empty, and `answer_count` [B] says how many
    there are. `no_answer_score` [B] is meant for models that were trained on questions without an answer.

    Args:
        context: string [B].
        asked: its windows.
        logits: `start_logits` and `end_logits`, float32 [W, T].
        text_inputs: the model's preprocessing.
        search: the lengths and numbers of answers.
    """
    batch = tf.shape(context)[0]
    scores, starts, ends = without_repeats(*_candidates(asked, logits, text_inputs, search))
    scores, best = tf.math.top_k(scores, k=search.candidates)  # [B, N]
    is_answer = scores > IMPOSSIBLE / 2
    starts, ends = (tf.where(is_answer, tf.gather(places, best, batch_dims=1), 0) for places in (starts, ends))
    rows = tf.broadcast_to(tf.range(batch)[:, None], tf.shape(starts))
    every = {
        "answers": cut(context, rows, starts, ends),
        "scores": tf.where(is_answer, scores, 0.0),
        "probabilities": tf.where(is_answer, tf.nn.softmax(scores), 0.0),
        "starts": starts,
        "ends": ends,
    }
    every = {name: values[:, : search.answers] for name, values in every.items()}
    best_one = {ONE_OF[name]: values[:, 0] for name, values in every.items()}
    counts = tf.reduce_sum(tf.cast(is_answer[:, : search.answers], tf.int32), axis=1)
    no_answer = tf.add_n([logits[edge][:, 0] for edge in _EDGES])  # at [CLS]
    return {
        **every,
        **best_one,
        "answer_count": counts,
        "no_answer_score": tf.math.segment_min(no_answer, asked.windows.rows),
        **asked.counts,
    }


def _candidates(
    asked: AskedWindows, logits: dict[str, tf.Tensor], text_inputs: TextInputs, search: AnswerSearch
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Score, first and last byte of each context's candidates, [B, M]."""
    windows, offset = asked.windows, asked.offset
    positions = tf.range(tf.shape(asked.inputs["token_ids"])[1])[None, :]
    sizes = tf.cast(windows.tokens.row_lengths(), tf.int32)
    inside = (positions >= offset[:, None]) & (positions < (offset + sizes)[:, None])  # [W, T]
    start_logits, end_logits = (logits[edge] for edge in _EDGES)
    # [W, N]
    scores, first, last = best_spans(start_logits, end_logits, inside, search.max_answer_tokens, search.candidates)
    numbers = word_numbers(asked.ids, text_inputs.vocabulary.continues_word)
    begins = tf.cast(windows.begins, tf.int32)[:, None] - offset[:, None]
    batch = asked.ids.nrows(tf.int64)
    word_starts = tf.math.segment_min(asked.starts.values, numbers)
    word_ends = tf.math.segment_max(asked.ends.values, numbers)
    return (
        by_text(scores, windows.rows, batch, 2 * IMPOSSIBLE),
        by_text(_of_words(word_starts, numbers, begins + first), windows.rows, batch, 0),
        by_text(_of_words(word_ends, numbers, begins + last), windows.rows, batch, 0),
    )


def _of_words(values: tf.Tensor, numbers: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """The value of each token's word: [words], [tokens of all contexts], [W, N] -> [W, N].

    Positions outside of the text, which come with impossible scores, get 0.
    """
    is_token = (tokens >= 0) & (tokens < tf.size(numbers))
    safe = tf.where(is_token, tokens, tf.size(numbers))
    values, numbers = tf.concat([values, [0]], axis=0), tf.concat([numbers, [tf.size(values)]], axis=0)
    return tf.gather(values, tf.gather(numbers, safe))
