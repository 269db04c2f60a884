"""Served question answering models: the best spans of the original context, with scores.

For how answers are found, see ../graph/asked_windows.py and ../graph/answer_search.py.

Shapes: `B` batch, `W` windows of all contexts, `T` tokens of the longest window, `K` answers.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasbert.export.graph.answer_search import AnswerSearch
from kerasbert.export.graph.asked_windows import asked_windows, best_answers
from kerasbert.export.graph.client_ids import INPUTS_SPEC
from kerasbert.export.graph.text_inputs import TEXT_SPEC, Inputs
from kerasbert.export.served.model import Outputs, ServedModel
from kerasbert.preprocessing.traced_once import TracedOnce


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
        """Return the best answer [B] and the best K answers [B, K]. See `best_answers`."""
        asked = asked_windows(question, context, self.text_inputs, self._search)
        return best_answers(context, asked, self.run(asked.inputs), self.text_inputs, self._search)


def _as_float32(logits: Outputs) -> Outputs:
    return {name: tf.cast(logits[name], tf.float32) for name in ("start_logits", "end_logits")}
