"""The signatures of models that answer for one text or one pair of texts, in any form in which a text arrives.

The subclasses in classifier.py, encoder.py and pretrainer.py decide what the answer is.

Shapes: `B` batch, `T` tokens of the longest row.
"""

import abc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasbert.export.graph.client_ids import INPUTS_SPEC
from kerasbert.export.graph.text_inputs import Counts, Inputs
from kerasbert.export.served.model import Outputs, ServedModel
from kerasbert.preprocessing.traced_once import TracedOnce


class ServedTextModel(ServedModel):
    """A model whose answer depends only on the packed inputs. See `ServedModel` for the arguments."""

    PAIR_IS_OPTIONAL = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # All signatures call this one function, so that the graph contains the model once.
        self.run = TracedOnce(self.outputs, INPUTS_SPEC)

    @abc.abstractmethod
    def outputs(self, inputs: Inputs) -> Outputs:
        """The model's answer, as its users expect it. Every tensor has the batch as its first dimension."""

    def task_functions(self) -> dict[str, Callable[..., Outputs]]:
        """The signatures of every such model, and `text_pair` if the model has two segments."""
        functions: dict[str, Any] = {
            "serving_default": self._by_text,
            "text": self._by_text,
            "text_strict": self._by_whole_text,
            "token_ids": self._by_token_ids,
            "examples": self._by_examples,
        }
        return {**functions, "text_pair": self._by_pair} if self.takes_pairs else functions

    @property
    def takes_pairs(self) -> bool:
        """Whether a row may contain two texts."""
        return self.backbone.bert_config.type_vocab_size >= 2 or not self.text_inputs.text_to_inputs.pair_segments

    def inputs_of_examples(self, examples: tf.Tensor) -> tuple[Inputs, Counts]:
        """Turn serialized tf.Examples, string [B], into the model's inputs. Any row may lack the second text."""
        features: dict[str, Any] = {self.text_feature: tf.io.FixedLenFeature([], tf.string)}
        if self.takes_pairs:
            features[self.pair_feature] = tf.io.RaggedFeature(tf.string)
        parsed = tf.io.parse_example(tf.ensure_shape(examples, [None]), features)
        text = parsed[self.text_feature]
        if not self.takes_pairs:
            return self.text_inputs.of_texts(text)
        pairs = parsed[self.pair_feature]
        at_most_one = tf.debugging.Assert(
            tf.reduce_all(pairs.row_lengths() <= 1), [f"An example must have at most one `{self.pair_feature}`."]
        )
        with tf.control_dependencies([at_most_one]):
            second = tf.concat([pairs, tf.fill([pairs.nrows(), 1], "")], axis=1)[:, :1].flat_values
        return self.text_inputs.of_optional_pairs(text, second, pairs.row_lengths() > 0)

    def _by_text(self, text: tf.Tensor) -> Outputs:
        inputs, counts = self.text_inputs.of_texts(text)
        return {**self.run(inputs), **counts}

    def _by_whole_text(self, text: tf.Tensor) -> Outputs:
        return self.refused_if_cut(self._by_text(text))

    def _by_pair(self, text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        inputs, counts = self.text_inputs.of_pairs(text, text_pair)
        return {**self.run(inputs), **counts}

    def _by_token_ids(self, token_ids: tf.Tensor, segment_ids: tf.Tensor, padding_mask: tf.Tensor) -> Outputs:
        return self.run(self.checked(token_ids=token_ids, segment_ids=segment_ids, padding_mask=padding_mask))

    def _by_examples(self, examples: tf.Tensor) -> Outputs:
        inputs, counts = self.inputs_of_examples(examples)
        return {**self.run(inputs), **counts}
