"""Labels or scores a whole text or pair of texts: one label, several labels, or numbers.

For losses, see `kerasbert.training`.
"""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_activation, check_choice, check_positive_integer, check_rate
from kerasbert.errors import BadInputError
from kerasbert.layers.activations import activation_function
from kerasbert.models.backbone import BertBackbone
from kerasbert.models.backbone_task import BackboneTask, check_backbone
from kerasbert.settings import PROBLEM_TYPES

# B batch, C labels


@keras.saving.register_keras_serializable(package="kerasbert")
class BertSequenceClassifier(BackboneTask):
    """Dropout and a dense layer on the pooled output.

    Inputs: the backbone's inputs. Output: logits `[B, C]`; for regression, the predicted numbers.

    Args:
        backbone: a `BertBackbone`.
        num_labels: C, the number of labels, or of numbers to predict.
        problem_type: "single_label_classification", "multi_label_classification" or "regression".
        dropout: dropout rate of the pooled output.
        activation: the function that turns the dense layer's output into scores (a cross-encoder's activation): the
            name of a Keras activation, e.g. "sigmoid" or "tanh". None means the problem type's own: softmax for a
            single label, sigmoid for several labels, none for regression. For regression it is part of the graph.
            Otherwise the model's outputs stay logits, and `scores` applies it; "linear" with a single label keeps
            softmax.
        **kwargs: `name` and `trainable`.

    Raises:
        BadInputError: an argument is invalid, e.g. fewer than two labels for single-label classification.

    Source: google-research/bert, `run_classifier.py` (`create_model`).

    Example:
        >>> from kerasbert.config import BertConfig
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> ids = keras.ops.ones((2, 5), dtype="int32")
        >>> model = BertSequenceClassifier(backbone, num_labels=3)
        >>> tuple(model({"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids}).shape)
        (2, 3)
    """

    _ARGUMENTS = ("num_labels", "problem_type", "dropout", "activation")

    def __init__(
        self,
        backbone: BertBackbone,
        num_labels: int,
        problem_type: str = "single_label_classification",
        dropout: float = 0.1,
        activation: str | None = None,
        **kwargs: Any,
    ):
        config = check_backbone(backbone).bert_config
        num_labels = check_positive_integer("num_labels", num_labels)
        dropout = check_rate("dropout", dropout)
        problem_type = check_choice("problem_type", problem_type, PROBLEM_TYPES)
        activation = None if activation is None else check_activation("activation", activation)
        if problem_type == "single_label_classification" and num_labels < 2:
            raise BadInputError(
                f"`num_labels` must be at least 2 for single_label_classification. Received: num_labels={num_labels}. "
                "Use 2 for a yes-or-no question, or choose multi_label_classification or regression."
            )

        # === Layers ===
        dropout_layer = keras.layers.Dropout(dropout, dtype=backbone.dtype_policy, name="classifier_dropout")
        classifier = keras.layers.Dense(
            num_labels,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
            dtype=backbone.dtype_policy,
            name="logits",
        )

        # === Functional model ===
        inputs = backbone.input
        outputs = classifier(dropout_layer(backbone(inputs)["pooled_output"]))
        if problem_type == "regression" and activation is not None:
            # In float32: a float16 sigmoid rounds high scores to 1.
            outputs = keras.layers.Activation(activation_function(activation), dtype="float32", name="scores")(outputs)
        super().__init__(backbone, inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.num_labels = num_labels
        self.problem_type = problem_type
        self.dropout = dropout
        self.dropout_layer = dropout_layer
        self.activation = activation
        self.classifier = classifier

    def scores(self, outputs: Any) -> Any:
        """Turn the model's outputs into the scores that predictions report.

        Args:
            outputs: the model's outputs `[B, C]`.

        Returns:
            float32 `[B, C]`: probabilities, or what `activation` gives; for regression the outputs themselves.
        """
        outputs = ops.cast(outputs, "float32")
        if self.problem_type == "regression":
            return outputs
        if self.problem_type == "multi_label_classification":
            return activation_function(self.activation or "sigmoid")(outputs)
        # "linear" is what sentence-transformers uses for several labels by default; the probabilities stay those of the
        # labels.
        return activation_function("softmax" if self.activation in (None, "linear") else self.activation)(outputs)
