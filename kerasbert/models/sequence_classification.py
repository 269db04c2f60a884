"""One answer for a whole text or pair of texts: a label, several labels, or numbers.

Losses: see `kerasbert.training`.
"""

from typing import Any

import keras

from kerasbert.argument_checks import check_choice, check_positive_integer, check_rate
from kerasbert.errors import BadInputError
from kerasbert.models.backbone import BertBackbone
from kerasbert.models.backbone_task import BackboneTask, check_backbone

# B batch, C labels

PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


@keras.saving.register_keras_serializable(package="kerasbert")
class BertSequenceClassifier(BackboneTask):
    """Dropout and a dense layer on the pooled output.

    Inputs: the backbone's dict. Output: logits [B, C]; for regression the predicted numbers themselves.

    Args:
        backbone: a `BertBackbone`.
        num_labels: C, the number of labels, or of numbers to predict.
        problem_type: "single_label_classification", "multi_label_classification" or "regression".
        dropout: rate on the pooled output.
        **kwargs: `name` and `trainable`.

    Raises:
        BadInputError: an argument is impossible, such as one label only where exactly one of them is right.

    Source: google-research/bert, `run_classifier.py` (`create_model`).

    Example:
        >>> from kerasbert.config import BertConfig
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> ids = keras.ops.ones((2, 5), dtype="int32")
        >>> model = BertSequenceClassifier(backbone, num_labels=3)
        >>> tuple(model({"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids}).shape)
        (2, 3)
    """

    _ARGUMENTS = ("num_labels", "problem_type", "dropout")

    def __init__(
        self,
        backbone: BertBackbone,
        num_labels: int,
        problem_type: str = "single_label_classification",
        dropout: float = 0.1,
        **kwargs: Any,
    ):
        config = check_backbone(backbone).bert_config
        num_labels = check_positive_integer("num_labels", num_labels)
        dropout = check_rate("dropout", dropout)
        problem_type = check_choice("problem_type", problem_type, PROBLEM_TYPES)
        if problem_type == "single_label_classification" and num_labels < 2:
            raise BadInputError(
                f"`num_labels` must be at least 2 for single_label_classification. Received: num_labels={num_labels}. "
                "Give 2 for a yes-or-no question, or choose multi_label_classification or regression."
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
        logits = classifier(dropout_layer(backbone(inputs)["pooled_output"]))
        super().__init__(inputs=inputs, outputs=logits, **kwargs)

        # === Config ===
        self.backbone = backbone
        self.num_labels = num_labels
        self.problem_type = problem_type
        self.dropout = dropout
        self.dropout_layer = dropout_layer
        self.classifier = classifier
