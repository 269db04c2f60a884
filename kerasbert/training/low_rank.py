"""Low-rank adaptation (LoRA): trains small matrices beside the attention's kernels, and adds them to the kernels after.

The matrices are those of Keras's own `Dense.enable_lora`.
"""

from typing import TypeVar

import keras

from kerasbert.argument_checks import check_positive_integer
from kerasbert.models.backbone_task import backbone_of

Model = TypeVar("Model", bound=keras.Model)


def add_low_rank_adapters(model: keras.Model, rank: int) -> None:
    """Add adapters to the projections of queries and values, the only weights of the encoder that still train.

    The head and the pooler train as before, and frozen blocks get no adapters. The answers do not change at first. Call
    this before `compile`, and `merged_adapters` after training.

    Args:
        model: a model of `kerasbert.models`.
        rank: rank of the product of each adapter's two matrices, e.g. 8.

    Raises:
        BadInputError: `rank` is not a positive integer.

    Source: Hu et al. 2021, "LoRA: Low-rank adaptation of large language models", sections 4 and 7.1.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> from kerasbert.models import BertBackbone
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> add_low_rank_adapters(backbone, rank=4)
        >>> sum("lora" in variable.path for variable in backbone.trainable_variables)  # two matrices of four layers
        8
    """
    check_positive_integer("rank", rank)
    backbone = backbone_of(model)
    for variable in backbone.embeddings.trainable_variables:
        variable.trainable = False
    for block in backbone.encoder_blocks:
        if not block.trainable:
            continue
        for variable in block.trainable_variables:
            variable.trainable = False
        # The scopes give each matrix a path of its own.
        with keras.name_scope(block.name), keras.name_scope(block.attention.name):
            for projection in (block.attention.query, block.attention.value):
                projection.enable_lora(rank)


def merged_adapters(model: Model) -> Model:
    """Return a model without adapters that gives the same answers: their products are added to the kernels.

    Args:
        model: a model after `add_low_rank_adapters`. It does not change.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> from kerasbert.models import BertBackbone
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> number = len(backbone.weights)
        >>> add_low_rank_adapters(backbone, rank=4)
        >>> len(backbone.weights) - number, len(merged_adapters(backbone).weights) - number
        (8, 0)
    """
    plain = type(model).from_config(model.get_config())
    for layer, plain_layer in zip(model._flatten_layers(), plain._flatten_layers(), strict=True):
        # Keras adds the product when a layer writes its variables.
        written: dict[str, keras.Variable] = {}
        layer.save_own_variables(written)
        plain_layer.load_own_variables(written)
    return plain
