"""Labels each token, e.g. for named entities. For losses, see `kerasbert.training`."""

from typing import Any

import keras

from kerasbert.argument_checks import check_positive_integer, check_rate
from kerasbert.models.backbone import BertBackbone
from kerasbert.models.backbone_task import BackboneTask, check_backbone

# B batch, T tokens, C labels


@keras.saving.register_keras_serializable(package="kerasbert")
class BertTokenClassifier(BackboneTask):
    """Dropout and a dense layer on each hidden state.

    Inputs: the backbone's inputs. Output: logits `[B, T, C]`. Give padding tokens the sample weight 0.

    Args:
        backbone: a `BertBackbone`.
        num_labels: C, the number of labels.
        dropout: dropout rate of the hidden states.
        **kwargs: `name` and `trainable`.

    Raises:
        BadInputError: an argument is invalid.

    Source: Hugging Face, `BertForTokenClassification`.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> ids = keras.ops.ones((2, 5), dtype="int32")
        >>> model = BertTokenClassifier(backbone, num_labels=9)
        >>> tuple(model({"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids}).shape)
        (2, 5, 9)
    """

    _ARGUMENTS = ("num_labels", "dropout")

    def __init__(self, backbone: BertBackbone, num_labels: int, dropout: float = 0.1, **kwargs: Any):
        config = check_backbone(backbone).bert_config
        num_labels = check_positive_integer("num_labels", num_labels)
        dropout = check_rate("dropout", dropout)

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
        logits = classifier(dropout_layer(backbone.output["sequence_output"]))
        super().__init__(backbone, inputs=inputs, outputs=logits, **kwargs)

        # === Config ===
        self.num_labels = num_labels
        self.dropout = dropout
        self.dropout_layer = dropout_layer
        self.classifier = classifier
