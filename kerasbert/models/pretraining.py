"""BERT's two pretraining tasks on one backbone. For losses and data, see `kerasbert.training` and `kerasbert.data`."""

from typing import Any

import keras

from kerasbert.layers import MaskedLMHead
from kerasbert.models.backbone import BertBackbone
from kerasbert.models.backbone_task import BackboneTask, check_backbone

# B batch, T tokens, P masked positions, V vocabulary


@keras.saving.register_keras_serializable(package="kerasbert")
class BertPretrainer(BackboneTask):
    """Masked language model and next-sentence prediction, trained jointly.

    Inputs: the backbone's inputs and `mask_positions`, int32 `[B, P]`, filled up with 0 if fewer than P are masked.
    Outputs: a dict of logits: `masked_lm` `[B, P, V]` and `next_sentence` `[B, 2]` (label 0 = is next, 1 = random).

    Args:
        backbone: a `BertBackbone`. Its word embedding is also the output matrix.
        **kwargs: `name` and `trainable`.

    Raises:
        BadInputError: `backbone` is not a `BertBackbone`.

    Source: google-research/bert, `run_pretraining.py`.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> model = BertPretrainer(BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100)))
        >>> ids = keras.ops.ones((2, 5), dtype="int32")
        >>> inputs = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids, "mask_positions": ids[:, :3]}
        >>> {name: tuple(logits.shape) for name, logits in sorted(model(inputs).items())}
        {'masked_lm': (2, 3, 100), 'next_sentence': (2, 2)}
    """

    def __init__(self, backbone: BertBackbone, **kwargs: Any):
        config = check_backbone(backbone).bert_config

        # === Layers ===
        masked_lm_head = MaskedLMHead(
            backbone.embeddings,
            activation=config.hidden_act,
            layer_norm_eps=config.layer_norm_eps,
            initializer_range=config.initializer_range,
            dtype=backbone.dtype_policy,
            name="masked_lm",
        )
        next_sentence_head = keras.layers.Dense(
            2,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
            dtype=backbone.dtype_policy,
            name="next_sentence",
        )

        # === Functional model ===
        mask_positions = keras.Input(shape=(None,), dtype="int32", name="mask_positions")
        inputs = {**backbone.input, "mask_positions": mask_positions}
        encoded = backbone(backbone.input)
        outputs = {
            "masked_lm": masked_lm_head(encoded["sequence_output"], mask_positions),
            "next_sentence": next_sentence_head(encoded["pooled_output"]),
        }
        super().__init__(backbone, inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.masked_lm_head = masked_lm_head
        self.next_sentence_head = next_sentence_head
