"""What the users of a question answering model get: the best spans of the original text, with scores.

The question is cut to its first tokens, the text is looked at in overlapping windows (see context_windows.py and
answer_search.py), and a span is widened to whole words.

Shapes: `B` batch, `W` windows of all texts, `T` tokens of the longest window, `N` candidates, `K` answers.
"""

from typing import Any

import tensorflow as tf

from kerasbert.export.graph.answer_search import IMPOSSIBLE, AnswerSearch, best_spans, by_text, without_repeats
from kerasbert.export.graph.client_ids import INPUTS_SPEC
from kerasbert.export.graph.context_windows import Windows, context_windows
from kerasbert.export.graph.text_inputs import TEXT_SPEC, Inputs
from kerasbert.export.graph.words import cut, word_numbers
from kerasbert.export.served.model import Outputs, ServedModel, Signature, signature

ONE_OF = {"answers": "answer", "scores": "score", "probabilities": "probability", "starts": "start", "ends": "end"}


class ServedSpanPredictor(ServedModel):
    """A `BertSpanPredictor`.

    Args:
        search: how answers are looked for.
        **kwargs: see `ServedModel`.
    """

    TEXT_FEATURE = "question"
    PAIR_FEATURE = "context"
    BEYOND_LENGTH = "A longer text is looked at in overlapping windows, up to a limit."

    def __init__(self, *, search: AnswerSearch, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._search = search
        self.run = tf.function(self._logits, input_signature=[INPUTS_SPEC], autograph=False)
        self.find = tf.function(self._answers, input_signature=[TEXT_SPEC, TEXT_SPEC], autograph=False)

    def task_signatures(self) -> dict[str, Signature]:
        """`serving_default` and `text_pair` of a question and a text, `examples`, `token_ids` with the bare logits."""
        return {
            "serving_default": signature(self._by_question, question=TEXT_SPEC, context=TEXT_SPEC),
            "text_pair": signature(self._by_pair, text=TEXT_SPEC, text_pair=TEXT_SPEC),
            "token_ids": signature(self._by_token_ids, **INPUTS_SPEC),
            "examples": signature(self._by_examples, examples=TEXT_SPEC),
        }

    def _by_question(self, question: tf.Tensor, context: tf.Tensor) -> Outputs:
        question, context = tf.ensure_shape(question, [None]), tf.ensure_shape(context, [None])
        same = tf.debugging.assert_equal(tf.size(question), tf.size(context), "Each question needs exactly one text.")
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
        return self.run(self.checked(token_ids=token_ids, segment_ids=segment_ids, padding_mask=padding_mask))

    def _logits(self, inputs: Inputs) -> Outputs:
        logits = self.model(inputs, training=False)
        return {name: tf.cast(logits[name], tf.float32) for name in ("start_logits", "end_logits")}

    def _answers(self, question: tf.Tensor, context: tf.Tensor) -> Outputs:
        """The best answer: `answer`, `score`, `probability`, `start`, `end` [B]; and the best K of them, best first.

        `answers`, `scores`, `probabilities`, `starts`, `ends` are [B, K], `answer_count` [B]: of a text of few words
        the rest is empty. `starts` and `ends` are bytes of the original text. `no_answer_score` [B] is what to compare
        `score` with, for a model that was trained to know when there is no answer.
        """
        batch = tf.shape(context)[0]
        scores, starts, ends, no_answer = self._candidates(question, context)
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
        return {**every, **best_one, "answer_count": counts, "no_answer_score": no_answer}

    def _candidates(self, question: tf.Tensor, context: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Score, first and last byte of each text's candidates [B, M], and the score of no answer [B]."""
        text_to_inputs = self.text_inputs.text_to_inputs
        ids, starts, ends = self.text_inputs.tokens_with_offsets(context)
        room = text_to_inputs.sequence_length - 3
        asked = text_to_inputs.tokenizer.tokenize(question)
        asked = tf.cast(asked[:, : min(self._search.max_question_tokens, room // 2)], tf.int32)
        asked = asked.with_row_splits_dtype(tf.int64)
        lengths = asked.row_lengths()
        windows = context_windows(ids, room - lengths, self._search.stride, self._search.max_windows)
        inputs = text_to_inputs.pack(tf.gather(asked, windows.rows), windows.tokens)
        logits = self.run(inputs)
        # A window's tokens lie behind [CLS], the question and [SEP].
        behind = tf.cast(tf.gather(lengths, windows.rows), tf.int32) + 2
        scores, first, last = self._spans(logits, inputs, behind, windows)
        numbers = word_numbers(ids, self.text_inputs.vocabulary.pieces)
        begins = tf.cast(windows.begins, tf.int32)[:, None] - behind[:, None]
        batch = tf.shape(context, tf.int64)[0]
        word_starts, word_ends = tf.math.segment_min(starts.values, numbers), tf.math.segment_max(ends.values, numbers)
        return (
            by_text(scores, windows.rows, batch, 2 * IMPOSSIBLE),
            by_text(_of_words(word_starts, numbers, begins + first), windows.rows, batch, 0),
            by_text(_of_words(word_ends, numbers, begins + last), windows.rows, batch, 0),
            tf.math.segment_min(logits["start_logits"][:, 0] + logits["end_logits"][:, 0], windows.rows),
        )

    def _spans(
        self, logits: Outputs, inputs: Inputs, behind: tf.Tensor, windows: Windows
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Scores, first and last place of each window's candidates, [W, N]."""
        places = tf.range(tf.shape(inputs["token_ids"])[1])[None, :]
        sizes = tf.cast(windows.tokens.row_lengths(), tf.int32)
        inside = (places >= behind[:, None]) & (places < (behind + sizes)[:, None])  # [W, T]
        return best_spans(
            logits["start_logits"],
            logits["end_logits"],
            inside,
            self._search.max_answer_tokens,
            self._search.candidates,
        )


def _of_words(values: tf.Tensor, numbers: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """The value of each token's word, 0 for a token that is none: [words], [tokens of all texts], [W, N] -> [W, N]."""
    is_token = (tokens >= 0) & (tokens < tf.size(numbers))
    safe = tf.where(is_token, tokens, tf.size(numbers))
    values, numbers = tf.concat([values, [0]], axis=0), tf.concat([numbers, [tf.size(values)]], axis=0)
    return tf.gather(values, tf.gather(numbers, safe))
