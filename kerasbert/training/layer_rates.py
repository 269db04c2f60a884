"""Layer-wise learning rate decay: lower blocks of a pretrained encoder change less than higher ones."""

import keras

from kerasbert.errors import BadInputError
from kerasbert.models.backbone_task import backbone_of


def layer_wise_factors(model: keras.Model, decay: float) -> dict[str, float]:
    """Return the factors of the learning rates of an encoder's variables, for the optimizers' `rate_factors`.

    The head and the pooler have the factor 1, which is left out, the highest block `decay`, the one below it
    `decay ** 2` and so on, and the embeddings one more power than the lowest block.

    Args:
        model: a model of `kerasbert.models`.
        decay: the factor from each block to the one below it, above 0 and at most 1.

    Raises:
        BadInputError: `decay` is outside its range.

    Source: Clark et al. 2020, "ELECTRA", appendix A; the powers are those of BEiT (`get_num_layer_for_vit`).

    Example:
        >>> from kerasbert.config import BertConfig
        >>> from kerasbert.models import BertBackbone
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> factors = layer_wise_factors(backbone, 0.5)
        >>> [factors[backbone.encoder_blocks[block].attention.query.kernel.path] for block in (1, 0)]
        [0.5, 0.25]
        >>> factors[backbone.embeddings.word_embeddings.path]
        0.125
    """
    if not 0 < decay <= 1:
        raise BadInputError(
            f"`decay` must be above 0 and at most 1. Received: decay={decay}. For example, 0.95, or 1 for no decay."
        )
    backbone = backbone_of(model)
    layers: list[keras.layers.Layer] = [backbone.embeddings, *backbone.encoder_blocks]
    powers = {variable.path: len(layers) - depth for depth, layer in enumerate(layers) for variable in layer.weights}
    return {path: decay**power for path, power in powers.items()}
