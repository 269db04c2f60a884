"""Scores several choices for a text, as in SWAG. For losses, see `kerasbert.training`."""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_rate
from kerasbert.models.backbone import BertBackbone
from kerasbert.models.backbone_task import BackboneTask, check_backbone

# B batch, C choices, T tokens


@keras.saving.register_keras_serializable(package="kerasbert")
class BertMultipleChoice(BackboneTask):
    """One score per choice, from the pooled output of the text paired with that choice.

    Inputs: a dict with the names of the backbone's inputs, each int32 `[B, C, T]`, for any number of choices.
    Output: logits `[B, C]`.

    Args:
        backbone: a `BertBackbone`.
        dropout: dropout rate of the pooled output.
        **kwargs: `name` and `trainable`.

    Raises:
        BadInputError: an argument is invalid.

    Source: Hugging Face, `BertForMultipleChoice`.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> model = BertMultipleChoice(BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100)))
        >>> ids = keras.ops.ones((2, 4, 5), dtype="int32")
        >>> tuple(model({"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids}).shape)
        (2, 4)
    """

    _ARGUMENTS = ("dropout",)

    def __init__(self, backbone: BertBackbone, dropout: float = 0.1, **kwargs: Any):
        config = check_backbone(backbone).bert_config
        dropout = check_rate("dropout", dropout)

        # === Layers ===
        choices_to_rows = ChoicesToRows(name="choices_to_rows")
        dropout_layer = keras.layers.Dropout(dropout, dtype=backbone.dtype_policy, name="classifier_dropout")
        classifier = keras.layers.Dense(
            1,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
            dtype=backbone.dtype_policy,
            name="choice_logits",
        )
        rows_to_choices = RowsToChoices(dtype=backbone.dtype_policy, name="logits")

        # === Functional model ===
        inputs = {name: keras.Input(shape=(None, None), dtype="int32", name=name) for name in backbone.input}
        rows = {name: choices_to_rows(value) for name, value in inputs.items()}
        logits = classifier(dropout_layer(backbone(rows)["pooled_output"]))  # [B*C, 1]
        super().__init__(backbone, inputs=inputs, outputs=rows_to_choices(logits, inputs["token_ids"]), **kwargs)

        # === Config ===
        self.dropout = dropout
        self.dropout_layer = dropout_layer
        self.classifier = classifier


@keras.saving.register_keras_serializable(package="kerasbert")
class ChoicesToRows(keras.layers.Layer):
    """Reshapes [B, C, T] to [B*C, T]: each choice becomes a row for the backbone."""

    def call(self, values: Any) -> Any:
        """Merge the first two dimensions."""
        return ops.reshape(values, (-1, ops.shape(values)[2]))


@keras.saving.register_keras_serializable(package="kerasbert")
class RowsToChoices(keras.layers.Layer):
    """Reshapes [B*C, 1] to [B, C], the inverse of `ChoicesToRows` for one number per row."""

    def call(self, logits: Any, token_ids: Any) -> Any:
        """Split the first dimension as in `token_ids` [B, C, T]."""
        return ops.reshape(logits, ops.shape(token_ids)[:2])

    def compute_output_shape(self, logits_shape: Any, token_ids_shape: Any) -> tuple[int | None, ...]:
        """Return [B, C], which JAX cannot infer if both are unknown."""
        return tuple(token_ids_shape[:2])
