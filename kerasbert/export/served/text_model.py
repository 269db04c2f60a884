"""The signatures of models that answer for one text or one pair of texts, in any of the forms that a text comes in.

What they answer is in the subclasses: see served_classifier.py and its siblings.

Shapes: `B` batch, `T` tokens of the longest row.
"""

import abc
from typing import Any

import tensorflow as tf

from kerasbert.export.graph.client_ids import INPUTS_SPEC
from kerasbert.export.graph.text_inputs import TEXT_SPEC, Inputs
from kerasbert.export.served.model import Outputs, ServedModel, Signature, signature


class ServedTextModel(ServedModel):
    """A model whose answer depends on the packed inputs only. See `ServedModel` for the arguments."""

    PAIR_IS_OPTIONAL = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # One function that all signatures call, so that the graph holds the model once.
        self.run = tf.function(self.outputs, input_signature=[INPUTS_SPEC], autograph=False)

    @abc.abstractmethod
    def outputs(self, inputs: Inputs) -> Outputs:
        """What the model answers, as its users expect it: every tensor has the batch first."""

    def task_signatures(self) -> dict[str, Signature]:
        """`serving_default` and `text`, `token_ids`, `examples`, and `text_pair` where there are two segments."""
        by_text = signature(self._by_text, text=TEXT_SPEC)
        signatures = {
            "serving_default": by_text,
            "text": by_text,
            "token_ids": signature(self._by_token_ids, **INPUTS_SPEC),
            "examples": signature(self._by_examples, examples=TEXT_SPEC),
        }
        if self.takes_pairs:
            signatures["text_pair"] = signature(self._by_pair, text=TEXT_SPEC, text_pair=TEXT_SPEC)
        return signatures

    @property
    def takes_pairs(self) -> bool:
        """Whether the model tells two segments apart."""
        return self.backbone.bert_config.type_vocab_size >= 2

    def inputs_of_examples(self, examples: tf.Tensor) -> Inputs:
        """Serialized tf.Examples, string [B], to the model's inputs. The second text is there or not, row by row."""
        features: dict[str, Any] = {self.text_feature: tf.io.FixedLenFeature([], tf.string)}
        if self.takes_pairs:
            features[self.pair_feature] = tf.io.RaggedFeature(tf.string)
        parsed = tf.io.parse_example(tf.ensure_shape(examples, [None]), features)
        text = parsed[self.text_feature]
        if not self.takes_pairs:
            return self.text_inputs.of_texts(text)
        pairs = parsed[self.pair_feature]
        at_most_one = tf.debugging.Assert(
            tf.reduce_all(pairs.row_lengths() <= 1), [f"An example has at most one `{self.pair_feature}`."]
        )
        with tf.control_dependencies([at_most_one]):
            second = tf.concat([pairs, tf.fill([pairs.nrows(), 1], "")], axis=1)[:, :1].flat_values
        return self.text_inputs.of_optional_pairs(text, second, pairs.row_lengths() > 0)

    def _by_text(self, text: tf.Tensor) -> Outputs:
        return self.run(self.text_inputs.of_texts(text))

    def _by_pair(self, text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        return self.run(self.text_inputs.of_pairs(text, text_pair))

    def _by_token_ids(self, token_ids: tf.Tensor, segment_ids: tf.Tensor, padding_mask: tf.Tensor) -> Outputs:
        return self.run(self.checked(token_ids=token_ids, segment_ids=segment_ids, padding_mask=padding_mask))

    def _by_examples(self, examples: tf.Tensor) -> Outputs:
        return self.run(self.inputs_of_examples(examples))
