"""Leaves the embeddings and the lowest encoder blocks of a pretrained model as they are."""

import keras

from kerasbert.errors import BadInputError
from kerasbert.models.backbone_task import backbone_of


def freeze(model: keras.Model, blocks: int = 0, embeddings: bool = False) -> None:
    """Exclude the lowest encoder blocks, the embeddings, or both from training. Call this before `compile`.

    Args:
        model: a model of `kerasbert.models`.
        blocks: number of encoder blocks to freeze, from the lowest one on.
        embeddings: whether to freeze the embeddings.

    Raises:
        BadInputError: the model has fewer encoder blocks.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> from kerasbert.models import BertBackbone
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> freeze(backbone, blocks=1, embeddings=True)
        >>> [len(part.trainable_variables) for part in (backbone.embeddings, *backbone.encoder_blocks)]
        [0, 0, 16]
    """
    backbone = backbone_of(model)
    number = len(backbone.encoder_blocks)
    if not 0 <= blocks <= number:
        raise BadInputError(
            f"Only encoder blocks that exist can be frozen. Received: {blocks} blocks to freeze, but the model has "
            f"{number}. Choose a number from 0 to {number}."
        )
    for block in backbone.encoder_blocks[:blocks]:
        block.trainable = False
    if embeddings:
        backbone.embeddings.trainable = False
