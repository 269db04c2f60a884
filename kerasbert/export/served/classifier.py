"""Served sequence classifiers: labels as strings with probabilities, or predicted numbers.

Shapes: `B` batch, `C` labels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasbert.export.graph.text_inputs import Inputs
from kerasbert.export.served.model import Outputs
from kerasbert.export.served.text_model import ServedTextModel


class ServedClassifier(ServedTextModel):
    """A `BertSequenceClassifier` of one label or of several labels at once.

    Args:
        labels: the label names in the order of the logits.
        **kwargs: see `ServedModel`.
    """

    FORM = "classifier"

    def __init__(self, *, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels: list[str] = list(labels)

    def task_functions(self) -> dict[str, Callable[..., Outputs]]:
        """Those of every text model, and `classify` for TF Serving's Classify calls."""
        return {**super().task_functions(), "classify": self._classify}

    def outputs(self, inputs: Inputs) -> Outputs:
        """The best label with its probability [B], all of them [B, C] with the best first, and the raw logits."""
        logits = tf.cast(self.answer(inputs), tf.float32)
        sorted_probabilities, order = tf.math.top_k(self.model.scores(logits), k=len(self.labels))
        labels = tf.gather(tf.constant(self.labels, tf.string), order)
        return {
            "label": labels[:, 0],
            "probability": sorted_probabilities[:, 0],
            "labels": labels,
            "probabilities": sorted_probabilities,
            "logits": logits,
        }

    def _classify(self, inputs: tf.Tensor) -> Outputs:
        """The input and outputs that TF Serving's Classify requires."""
        packed, _ = self.inputs_of_examples(inputs)
        answer = self.run(packed)
        return {"classes": answer["labels"], "scores": answer["probabilities"]}


class ServedRegressor(ServedTextModel):
    """A `BertSequenceClassifier` that predicts numbers. See `ServedModel` for the arguments."""

    FORM = "regressor"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The model's own output includes its activation, if it has one, e.g. a cross-encoder's sigmoid.
        outputs = {"prediction": self.model.output, "logits": self.model.classifier.output}
        self._with_logits = keras.Model(self.model.input, outputs)

    def task_functions(self) -> dict[str, Callable[..., Outputs]]:
        """Those of every text model and, for a single number, `regress` for TF Serving's Regress calls."""
        functions = super().task_functions()
        return {**functions, "regress": self._regress} if self._is_single else functions

    def outputs(self, inputs: Inputs) -> Outputs:
        """The predicted number [B], or numbers [B, C], and the raw logits [B, C]."""
        answer = self.answer(inputs, model=self._with_logits)
        prediction, logits = (tf.cast(answer[name], tf.float32) for name in ("prediction", "logits"))
        return {"prediction": prediction[:, 0] if self._is_single else prediction, "logits": logits}

    @property
    def _is_single(self) -> bool:
        return self.model.num_labels == 1

    def _regress(self, inputs: tf.Tensor) -> Outputs:
        """The input and output that TF Serving's Regress requires."""
        packed, _ = self.inputs_of_examples(inputs)
        return {"outputs": self.run(packed)["prediction"]}
