"""What the users of an encoder get: hidden states, or one vector for a text to compare texts by.

Shapes: `B` batch, `T` tokens of the longest row, `H` hidden size, `E` numbers of a sentence's vector.
"""

import tensorflow as tf

from kerasbert.export.graph.text_inputs import TEXT_SPEC, Inputs
from kerasbert.export.served.model import Outputs, Signature, signature
from kerasbert.export.served.text_model import ServedTextModel


class ServedBackbone(ServedTextModel):
    """A `BertBackbone`. See `ServedModel` for the arguments."""

    def outputs(self, inputs: Inputs) -> Outputs:
        """`sequence_output` [B, T, H], `pooled_output` [B, H] and the `padding_mask` [B, T] that tells real tokens."""
        encoded = self.model(inputs, training=False)
        outputs = {name: tf.cast(encoded[name], tf.float32) for name in ("sequence_output", "pooled_output")}
        return {**outputs, "padding_mask": inputs["padding_mask"]}


class ServedSentenceEncoder(ServedTextModel):
    """A `BertSentenceEncoder`, which takes texts one by one. See `ServedModel` for the arguments."""

    def task_signatures(self) -> dict[str, Signature]:
        """Those of every text model; `text_pair` compares two texts that are each encoded alone."""
        by_pair = signature(self._similarity, text=TEXT_SPEC, text_pair=TEXT_SPEC)
        return {**super().task_signatures(), "text_pair": by_pair}

    def outputs(self, inputs: Inputs) -> Outputs:
        """`embedding` [B, E]."""
        return {"embedding": tf.cast(self.model(inputs, training=False), tf.float32)}

    @property
    def takes_pairs(self) -> bool:
        """Never two texts in one row: a sentence's vector does not depend on another sentence."""
        return False

    def _embed(self, text: tf.Tensor) -> Outputs:
        return self._by_text(text)

    def _similarity(self, text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        """`similarity` [B], the cosine of the two vectors, and the vectors themselves."""
        first, second = self._by_text(text)["embedding"], self._by_text(text_pair)["embedding"]
        same = tf.debugging.assert_equal(tf.shape(first), tf.shape(second), "Each text needs exactly one `text_pair`.")
        with tf.control_dependencies([same]):
            cosine = tf.reduce_sum(
                tf.math.l2_normalize(first, axis=-1) * tf.math.l2_normalize(second, axis=-1), axis=-1
            )
        return {"similarity": cosine, "embedding": first, "pair_embedding": second}
