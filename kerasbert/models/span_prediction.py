"""Predicts where an answer starts and ends in a text, as in SQuAD.

Choosing the best span, and finding it in the original text, is up to the caller (for exported models, see
`kerasbert.export`).
"""

from typing import Any

import keras

from kerasbert.models.backbone import BertBackbone
from kerasbert.models.backbone_task import BackboneTask, check_backbone

# B batch, T tokens


@keras.saving.register_keras_serializable(package="kerasbert")
class BertSpanPredictor(BackboneTask):
    """A start score and an end score for each token.

    Inputs: the backbone's inputs, with the question as segment 0 and the text as segment 1.
    Outputs: a dict of `start_logits` and `end_logits`, each `[B, T]`. Ignore those at padding tokens.

    Args:
        backbone: a `BertBackbone`.
        **kwargs: `name` and `trainable`.

    Raises:
        BadInputError: `backbone` is not a `BertBackbone`.

    Source: google-research/bert, `run_squad.py` (`create_model`), which has no dropout here.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> model = BertSpanPredictor(BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100)))
        >>> ids = keras.ops.ones((2, 5), dtype="int32")
        >>> outputs = model({"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids})
        >>> {name: tuple(logits.shape) for name, logits in sorted(outputs.items())}
        {'end_logits': (2, 5), 'start_logits': (2, 5)}
    """

    def __init__(self, backbone: BertBackbone, **kwargs: Any):
        config = check_backbone(backbone).bert_config

        # === Layers ===
        span_classifier = keras.layers.Dense(
            2,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
            dtype=backbone.dtype_policy,
            name="span_logits",
        )

        # === Functional model ===
        inputs = backbone.input
        logits = span_classifier(backbone.output["sequence_output"])  # [B, T, 2]
        outputs = {"start_logits": logits[:, :, 0], "end_logits": logits[:, :, 1]}
        super().__init__(backbone, inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.span_classifier = span_classifier
