"""Served multiple choice models: which of the given choices fits, and how well each one fits.

Shapes: `B` batch, `C` choices, `T` tokens of the longest row.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasbert.export.graph.client_ids import INPUT_NAMES
from kerasbert.export.graph.text_inputs import Inputs
from kerasbert.export.served.model import Outputs, ServedModel
from kerasbert.preprocessing.traced_once import TracedOnce

INPUTS_SPEC = {name: tf.TensorSpec([None, None, None], tf.int32) for name in INPUT_NAMES}


class ServedMultipleChoice(ServedModel):
    """A `BertMultipleChoice`. `pair_feature` contains an example's choices. See `ServedModel` for the arguments."""

    FORM = "multiple_choice"
    PAIR_FEATURE = "choices"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = TracedOnce(self._logits, INPUTS_SPEC)

    def task_functions(self) -> dict[str, Callable[..., Outputs]]:
        """`serving_default` takes a text and its choices, `token_ids` returns the raw logits."""
        return {
            "serving_default": self._by_text,
            "token_ids": self._by_token_ids,
            "examples": self._by_examples,
        }

    def _by_text(self, text: tf.Tensor, choices: tf.Tensor) -> Outputs:
        text, choices = tf.ensure_shape(text, [None]), tf.ensure_shape(choices, [None, None])
        return self._chosen(text, choices, tf.ones_like(choices, tf.bool))

    def _by_examples(self, examples: tf.Tensor) -> Outputs:
        features = {
            self.text_feature: tf.io.FixedLenFeature([], tf.string),
            self.pair_feature: tf.io.RaggedFeature(tf.string),
        }
        parsed = tf.io.parse_example(tf.ensure_shape(examples, [None]), features)
        given = parsed[self.pair_feature]
        choices, is_choice = given.to_tensor(""), tf.ones_like(given, tf.bool).to_tensor(False)
        # A batch without examples has no choices, and the best choice can only be found among at least one.
        missing = [[0, 0], [0, tf.maximum(1 - tf.shape(choices)[1], 0)]]
        choices, is_choice = tf.pad(choices, missing), tf.pad(is_choice, missing)
        return self._chosen(parsed[self.text_feature], choices, is_choice)

    def _by_token_ids(self, token_ids: tf.Tensor, segment_ids: tf.Tensor, padding_mask: tf.Tensor) -> Outputs:
        inputs = {"token_ids": token_ids, "segment_ids": segment_ids, "padding_mask": padding_mask}
        inputs = {name: tf.ensure_shape(values, [None, None, None]) for name, values in inputs.items()}
        shape = tf.shape(token_ids)
        same = [
            tf.debugging.assert_equal(tf.shape(values), shape, "All inputs must have the same shape.")
            for values in inputs.values()
        ]
        with tf.control_dependencies(same):
            rows = self.checked(**{name: tf.reshape(values, [-1, shape[2]]) for name, values in inputs.items()})
        return {"logits": self.run({name: tf.reshape(values, shape) for name, values in rows.items()})}

    def _logits(self, inputs: Inputs) -> tf.Tensor:
        return tf.cast(self.answer(inputs), tf.float32)

    def _chosen(self, text: tf.Tensor, choices: tf.Tensor, is_choice: tf.Tensor) -> Outputs:
        """Return the best choice with its index and probability [B], and the scores of all choices [B, C].

        Args:
            text: string [B].
            choices: string [B, C].
            is_choice: bool [B, C], False for the padding of a row that has fewer choices than another.
        """
        checks = [
            tf.debugging.assert_equal(tf.size(text), tf.shape(choices)[0], "`choices` needs a row for each text."),
            tf.debugging.Assert(
                tf.reduce_all(tf.reduce_any(is_choice, axis=1)), ["Each text needs at least one choice."]
            ),
        ]
        with tf.control_dependencies(checks):
            count = tf.identity(tf.shape(choices)[1])
        inputs, counts = self.text_inputs.of_pairs(tf.repeat(text, count), tf.reshape(choices, [-1]))
        tokens = tf.shape(inputs["token_ids"])[1]
        shape = tf.stack([tf.shape(choices)[0], count, tokens])
        logits = self.run({name: tf.reshape(values, shape) for name, values in inputs.items()})
        logits = tf.where(is_choice, logits, logits.dtype.min)
        probabilities = tf.nn.softmax(logits)
        best = tf.argmax(probabilities, axis=1, output_type=tf.int32)
        return {
            "choice": tf.gather(choices, best, batch_dims=1),
            "choice_index": best,
            "probability": tf.gather(probabilities, best, batch_dims=1),
            "probabilities": probabilities,
            "logits": logits,
            **{name: tf.reshape(values, shape[:2]) for name, values in counts.items()},
        }
