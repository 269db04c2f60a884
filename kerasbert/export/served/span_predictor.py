"""Served question answering models: the best spans of the original context, with scores.

The question is truncated, the context is read in overlapping windows (see ../graph/answer_search.py), and a span is
widened to whole words.

Shapes: `B` batch, `W` windows of all contexts, `T` tokens of the longest window, `N` candidates, `K` answers.
"""

from collections.abc import Callable
from typing import Any

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
from kerasbert.export.graph.client_ids import INPUTS_SPEC
from kerasbert.export.graph.text_inputs import TEXT_SPEC, Inputs
from kerasbert.export.graph.words import cut, word_numbers
from kerasbert.export.served.model import Outputs, ServedModel
from kerasbert.preprocessing.traced_once import TracedOnce

ONE_OF = {"answers": "answer", "scores": "score", "probabilities": "probability", "starts": "start", "ends": "end"}


class ServedSpanPredictor(ServedModel):
    """A `BertSpanPredictor`.

    Args:
        search: how answers are searched for.
        **kwargs: see `ServedModel`.
    """

    FORM = "span_predictor"
    TEXT_FEATURE = "question"
    PAIR_FEATURE = "context"
    BEYOND_LENGTH = "The model reads a longer context in overlapping windows, up to a limit."

    def __init__(self, *, search: AnswerSearch, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._search = search
        self.run = TracedOnce(self._logits, INPUTS_SPEC)
        self.run_on_ids = TracedOnce(self._logits_at_padding, INPUTS_SPEC)
        self.find = TracedOnce(self._answers, TEXT_SPEC, TEXT_SPEC)

    def task_functions(self) -> dict[str, Callable[..., Outputs]]:
        """`serving_default`, `text_pair` and `examples` return answers, `token_ids` the raw logits."""
        return {
            "serving_default": self._by_question,
            "text_pair": self._by_pair,
            "token_ids": self._by_token_ids,
            "examples": self._by_examples,
        }

    def _by_question(self, question: tf.Tensor, context: tf.Tensor) -> Outputs:
        question, context = tf.ensure_shape(question, [None]), tf.ensure_shape(context, [None])
        same = tf.debugging.assert_equal(
            tf.size(question), tf.size(context), "Each question needs exactly one context."
        )
        with tf.control_dependencies([same]):
            return self.find(tf.identity(question), tf.identity(context))

    def _by_pair(self, text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        return self._by_question(text, text_pair)

    def _by_examples(self, examples: tf.Tensor) -> Outputs:
        names = (self.text_feature, self.pair_feature)
        features = {name: tf.io.FixedLenFeature([], tf.string) for name in names}
        parsed = tf.io.parse_example(tf.ensure_shape(examples, [None]), features)
        return self.find(*(parsed[name] for name in names))

    def _by_token_ids(self, token_ids: tf.Tensor, segment_ids: tf.Tensor, padding_mask: tf.Tensor) -> Outputs:
        return self.run_on_ids(self.checked(token_ids=token_ids, segment_ids=segment_ids, padding_mask=padding_mask))

    def _logits(self, inputs: Inputs) -> Outputs:
        return _as_float32(self.answer(inputs))

    def _logits_at_padding(self, inputs: Inputs) -> Outputs:
        return _as_float32(self.answer(inputs, at_padding=True))

    def _answers(self, question: tf.Tensor, context: tf.Tensor) -> Outputs:
        """Return the best answer [B] and the best K answers [B, K] with scores, probabilities and byte offsets.

        A short context may have fewer than K spans: the rest of its row is empty, and `answer_count` [B] says how many
        there are. `no_answer_score` [B] is meant for models that were trained on questions without an answer.
        """
        batch = tf.shape(context)[0]
        scores, starts, ends, no_answer, lengths = self._candidates(question, context)
        scores, starts, ends = without_repeats(scores, starts, ends)
        scores, best = tf.math.top_k(scores, k=self._search.candidates)  # [B, N]
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
        every = {name: values[:, : self._search.answers] for name, values in every.items()}
        best_one = {ONE_OF[name]: values[:, 0] for name, values in every.items()}
        counts = tf.reduce_sum(tf.cast(is_answer[:, : self._search.answers], tf.int32), axis=1)
        return {
            **every,
            **best_one,
            "answer_count": counts,
            "no_answer_score": no_answer,
            **lengths,
        }

    def _candidates(self, question: tf.Tensor, context: tf.Tensor) -> tuple[Any, ...]:
        """The candidates of each context, and what is known about the whole row.

        Returns:
            Score, first and last byte of each candidate, [B, M]; the score of no answer, float32 [B]; and the row's
            `Counts` with `truncated_token_count`, the number of tokens that no window contains, int32 [B].
        """
        text_to_inputs = self.text_inputs.text_to_inputs
        ids, starts, ends = self.text_inputs.tokens_with_offsets(context)
        room = text_to_inputs.sequence_length - 3
        asked = tf.cast(self.text_inputs.ids(question), tf.int32).with_row_splits_dtype(tf.int64)
        whole_lengths = asked.row_lengths()
        asked = asked[:, : min(self._search.max_question_tokens, room // 2)]
        lengths = asked.row_lengths()
        windows = context_windows(ids, room - lengths, self._search.stride, self._search.max_windows)
        inputs = text_to_inputs.pack(tf.gather(asked, windows.rows), windows.tokens)
        logits = self.run(inputs)
        # A window's tokens come after [CLS], the question and [SEP].
        offset = tf.cast(tf.gather(lengths, windows.rows), tf.int32) + 2
        scores, first, last = self._spans(logits, inputs, offset, windows)
        numbers = word_numbers(ids, self.text_inputs.vocabulary.continues_word)
        begins = tf.cast(windows.begins, tf.int32)[:, None] - offset[:, None]
        batch = tf.shape(context, tf.int64)[0]
        word_starts, word_ends = tf.math.segment_min(starts.values, numbers), tf.math.segment_max(ends.values, numbers)
        unread = tf.cast((whole_lengths - lengths) + (ids.row_lengths() - windows.covered), tf.int32)
        tokens = tf.cast(whole_lengths + ids.row_lengths(), tf.int32) + 3
        return (
            by_text(scores, windows.rows, batch, 2 * IMPOSSIBLE),
            by_text(_of_words(word_starts, numbers, begins + first), windows.rows, batch, 0),
            by_text(_of_words(word_ends, numbers, begins + last), windows.rows, batch, 0),
            tf.math.segment_min(logits["start_logits"][:, 0] + logits["end_logits"][:, 0], windows.rows),
            {"token_count": tokens, "truncated": unread > 0, "truncated_token_count": unread},
        )

    def _spans(
        self, logits: Outputs, inputs: Inputs, offset: tf.Tensor, windows: Windows
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Score, first and last position of each window's candidates, [W, N]."""
        positions = tf.range(tf.shape(inputs["token_ids"])[1])[None, :]
        sizes = tf.cast(windows.tokens.row_lengths(), tf.int32)
        inside = (positions >= offset[:, None]) & (positions < (offset + sizes)[:, None])  # [W, T]
        return best_spans(
            logits["start_logits"],
            logits["end_logits"],
            inside,
            self._search.max_answer_tokens,
            self._search.candidates,
        )


def _of_words(values: tf.Tensor, numbers: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """The value of each token's word: [words], [tokens of all contexts], [W, N] -> [W, N].

    Positions outside of the text, which come with impossible scores, get 0.
    """
    is_token = (tokens >= 0) & (tokens < tf.size(numbers))
    safe = tf.where(is_token, tokens, tf.size(numbers))
    values, numbers = tf.concat([values, [0]], axis=0), tf.concat([numbers, [tf.size(values)]], axis=0)
    return tf.gather(values, tf.gather(numbers, safe))


def _as_float32(logits: Outputs) -> Outputs:
    return {name: tf.cast(logits[name], tf.float32) for name in ("start_logits", "end_logits")}
