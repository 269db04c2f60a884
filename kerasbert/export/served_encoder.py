"""What the users of a bare encoder get: its hidden states, and which of them are real.

Shapes: `B` batch, `T` tokens of the longest row, `H` hidden size.
"""

import tensorflow as tf

from kerasbert.export.served_model import Outputs, ServedModel
from kerasbert.export.text_inputs import Inputs


class ServedBackbone(ServedModel):
    """A `BertBackbone`."""

    def outputs(self, inputs: Inputs) -> Outputs:
        """`sequence_output` [B, T, H], `pooled_output` [B, H] and the `padding_mask` [B, T] that tells real tokens."""
        encoded = self.model(inputs, training=False)
        outputs = {name: tf.cast(encoded[name], tf.float32) for name in ("sequence_output", "pooled_output")}
        return {**outputs, "padding_mask": inputs["padding_mask"]}
