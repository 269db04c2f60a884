"""One vector for a text, to compare texts by (Sentence-BERT).

Comparing and searching are left to who holds the vectors.
"""

from typing import Any

import keras

from kerasbert.errors import BadInputError
from kerasbert.layers import Pooling
from kerasbert.models.backbone import BertBackbone
from kerasbert.models.backbone_task import BackboneTask, check_backbone

# B batch, H hidden size


@keras.saving.register_keras_serializable(package="kerasbert")
class BertSentenceEncoder(BackboneTask):
    """Hidden states pooled over the real tokens, and scaled to length 1.

    Inputs: the backbone's dict. Output: [B, H]; in float32 when normalized, whatever the dtype policy, because squares
    of half-precision numbers leave their range.

    Args:
        backbone: a `BertBackbone`.
        pooling: "mean", "cls" (the first hidden state, without the pooler) or "max"; see `Pooling`.
        normalize: whether to scale each vector to L2 length 1, so that a dot product is the cosine.
        **kwargs: `name` and `trainable`.

    Raises:
        BadInputError: an argument is impossible.

    Source: Reimers and Gurevych 2019, section 3; sentence-transformers, `Pooling` and `Normalize`.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> model = BertSentenceEncoder(BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100)))
        >>> ids = keras.ops.ones((2, 5), dtype="int32")
        >>> vectors = model({"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids})
        >>> [round(float(length), 3) for length in keras.ops.norm(vectors, axis=-1)]
        [1.0, 1.0]
    """

    _ARGUMENTS = ("pooling", "normalize")

    def __init__(self, backbone: BertBackbone, pooling: str = "mean", normalize: bool = True, **kwargs: Any):
        check_backbone(backbone)
        if not isinstance(normalize, bool):
            raise BadInputError(
                f"`normalize` must be True or False. Received: normalize={normalize!r}. "
                "Give True for vectors of length 1, which most sentence encoders use."
            )

        # === Layers ===
        pooling_layer = Pooling(pooling, dtype=backbone.dtype_policy, name="pooling")
        normalization = keras.layers.UnitNormalization(axis=-1, dtype="float32", name="normalization")

        # === Functional model ===
        inputs = backbone.input
        vectors = pooling_layer(backbone.output["sequence_output"], padding_mask=inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs=normalization(vectors) if normalize else vectors, **kwargs)

        # === Config ===
        self._hold_without_pooler(backbone)
        self.pooling = pooling
        self.normalize = normalize
