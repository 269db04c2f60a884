"""Served encoders: hidden states, or one vector for each text.

Shapes: `B` batch, `T` tokens of the longest row, `H` hidden size, `E` size of a sentence's vector.
"""

from collections.abc import Callable

import tensorflow as tf

from kerasbert.export.graph.text_inputs import Inputs
from kerasbert.export.served.model import Outputs
from kerasbert.export.served.text_model import ServedTextModel


class ServedBackbone(ServedTextModel):
    """A `BertBackbone`. See `ServedModel` for the arguments."""

    FORM = "backbone"

    def outputs(self, inputs: Inputs) -> Outputs:
        """Hidden states [B, T, H], the pooled output [B, H] if there is a pooler, and the padding mask [B, T]."""
        encoded = self.answer(inputs, at_padding=True)
        names = ("sequence_output", "pooled_output") if self.has_pooler else ("sequence_output",)
        outputs = {name: tf.cast(encoded[name], tf.float32) for name in names}
        return {**outputs, "padding_mask": inputs["padding_mask"]}


class ServedSentenceEncoder(ServedTextModel):
    """A `BertSentenceEncoder`, which encodes each text on its own. See `ServedModel` for the arguments."""

    FORM = "sentence_encoder"

    def task_functions(self) -> dict[str, Callable[..., Outputs]]:
        """Those of every text model. `text_pair` compares two texts, and `embed` returns the model's own vector."""
        return {**super().task_functions(), "text_pair": self._similarity, "embed": self._by_text}

    def outputs(self, inputs: Inputs) -> Outputs:
        """The vector of each text, [B, E]."""
        return {"embedding": tf.cast(self.answer(inputs), tf.float32)}

    @property
    def takes_pairs(self) -> bool:
        """Never: a sentence's vector does not depend on another sentence."""
        return False

    def _similarity(self, text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        """The cosine of the two vectors [B], and the vectors themselves [B, E]."""
        answers = [self._by_text(texts) for texts in (text, text_pair)]
        first, second = (answer["embedding"] for answer in answers)
        same = tf.debugging.assert_equal(
            tf.shape(first), tf.shape(second), "Each `text` needs exactly one `text_pair`."
        )
        with tf.control_dependencies([same]):
            cosine = tf.reduce_sum(
                tf.math.l2_normalize(first, axis=-1) * tf.math.l2_normalize(second, axis=-1), axis=-1
            )
            counts = {
                "token_count": answers[0]["token_count"] + answers[1]["token_count"],
                "truncated": answers[0]["truncated"] | answers[1]["truncated"],
            }
        return {"similarity": cosine, "embedding": first, "pair_embedding": second, **counts}
