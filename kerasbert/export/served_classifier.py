"""What the users of a sequence classifier get: labels as strings with probabilities, or the predicted numbers.

Shapes: `B` batch, `C` labels.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kerasbert.export.served_model import Outputs, ServedModel
from kerasbert.export.text_inputs import Inputs


class ServedClassifier(ServedModel):
    """A `BertSequenceClassifier` of one or of several labels.

    Args:
        labels: the label names in the order of the logits.
        **kwargs: see `ServedModel`.
    """

    def __init__(self, *, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels: list[str] = list(labels)

    def outputs(self, inputs: Inputs) -> Outputs:
        """`label` and `probability` [B] of the best, all of them [B, C] with the best first, and the raw `logits`."""
        logits = tf.cast(self.model(inputs, training=False), tf.float32)
        is_exclusive = self.model.problem_type == "single_label_classification"
        probabilities = tf.nn.softmax(logits) if is_exclusive else tf.nn.sigmoid(logits)
        sorted_probabilities, order = tf.math.top_k(probabilities, k=len(self.labels))
        labels = tf.gather(tf.constant(self.labels, tf.string), order)
        return {
            "label": labels[:, 0],
            "probability": sorted_probabilities[:, 0],
            "labels": labels,
            "probabilities": sorted_probabilities,
            "logits": logits,
        }


class ServedRegressor(ServedModel):
    """A `BertSequenceClassifier` whose logits are the predicted numbers."""

    def outputs(self, inputs: Inputs) -> Outputs:
        """`prediction` [B], or [B, C] where there are several numbers, and the same as `logits` [B, C]."""
        logits = tf.cast(self.model(inputs, training=False), tf.float32)
        return {"prediction": logits[:, 0] if self.model.num_labels == 1 else logits, "logits": logits}
