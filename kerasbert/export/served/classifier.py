"""What the users of a sequence classifier get: labels as strings with probabilities, or the predicted numbers.

Shapes: `B` batch, `C` labels.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kerasbert.export.graph.text_inputs import TEXT_SPEC, Inputs
from kerasbert.export.served.model import Outputs, Signature, signature
from kerasbert.export.served.text_model import ServedTextModel


class ServedClassifier(ServedTextModel):
    """A `BertSequenceClassifier` of one or of several labels.

    Args:
        labels: the label names in the order of the logits.
        **kwargs: see `ServedModel`.
    """

    def __init__(self, *, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels: list[str] = list(labels)

    def task_signatures(self) -> dict[str, Signature]:
        """Those of every text model, and `classify` for TF Serving's Classify calls."""
        return {**super().task_signatures(), "classify": signature(self._classify, inputs=TEXT_SPEC)}

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

    def _classify(self, inputs: tf.Tensor) -> Outputs:
        """The input and outputs that TF Serving's Classify asks for: `classes` and `scores` [B, C], best first."""
        answer = self.run(self.inputs_of_examples(inputs))
        return {"classes": answer["labels"], "scores": answer["probabilities"]}


class ServedRegressor(ServedTextModel):
    """A `BertSequenceClassifier` whose logits are the predicted numbers. See `ServedModel` for the arguments."""

    def task_signatures(self) -> dict[str, Signature]:
        """Those of every text model, and for one number `regress` for TF Serving's Regress calls."""
        signatures = super().task_signatures()
        if self._is_single:
            signatures["regress"] = signature(self._regress, inputs=TEXT_SPEC)
        return signatures

    def outputs(self, inputs: Inputs) -> Outputs:
        """`prediction` [B], or [B, C] where there are several numbers, and the same as `logits` [B, C]."""
        logits = tf.cast(self.model(inputs, training=False), tf.float32)
        return {"prediction": logits[:, 0] if self._is_single else logits, "logits": logits}

    @property
    def _is_single(self) -> bool:
        return self.model.num_labels == 1

    def _regress(self, inputs: tf.Tensor) -> Outputs:
        """The input and output that TF Serving's Regress asks for: `outputs` [B]."""
        return {"outputs": self.run(self.inputs_of_examples(inputs))["prediction"]}
