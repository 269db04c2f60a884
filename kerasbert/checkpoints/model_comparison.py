"""Compares two models: every weight, and the output of every layer on a fixed input.

Outputs alone would not reveal a wrong key bias, because it cancels in the softmax.
"""

from typing import Any

import keras
import numpy as np

from kerasbert.checkpoints.model_weights import as_array
from kerasbert.config import BertConfig
from kerasbert.models.backbone_task import backbone_of

# B batch, C choices, T tokens, P masked positions

_BATCH, _TOKENS, _POSITIONS = 3, 32, 4


def fixed_inputs(config: BertConfig) -> dict[str, np.ndarray]:
    """Returns the inputs of a backbone, int32 [B, T]: rows of different lengths with ids from all of the vocabulary.

    They are the same on every call.

    Args:
        config: The encoder's config.
    """
    generator = np.random.default_rng(20181011)
    tokens = min(_TOKENS, config.max_position_embeddings)
    lengths = np.array([tokens, -(-tokens // 2), 1])
    places = np.arange(tokens)
    return {
        "token_ids": generator.integers(0, config.vocab_size, (_BATCH, tokens)).astype("int32"),
        "segment_ids": np.tile(places * config.type_vocab_size // tokens, (_BATCH, 1)).astype("int32"),
        "padding_mask": (places < lengths[:, None]).astype("int32"),
    }


def layer_outputs(model: keras.Model, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the output of each layer of the encoder and of each head by name, with zeros at padding.

    Args:
        model: A `BertBackbone`, or a model of `kerasbert.models` that contains one.
        inputs: The backbone's inputs, each [B, T].
    """
    backbone = backbone_of(model)
    names = ["embeddings", *(block.name for block in backbone.encoder_blocks)]
    layers = {name: backbone.get_layer(name).output for name in names}
    layers["pooled_output"] = backbone.output["pooled_output"]
    outputs: dict[str, Any] = keras.Model(backbone.input, layers)(inputs)
    if model is not backbone:
        heads = model(_head_inputs(model, inputs))
        outputs = {**outputs, **(heads if isinstance(heads, dict) else {"output": heads})}
    is_real = inputs["padding_mask"].astype(bool)
    return {name: _without_padding(_as_float32(values), is_real) for name, values in outputs.items()}


def largest_differences(one: keras.Model, other: keras.Model) -> dict[str, float]:
    """Compares the outputs of two models of the same class and sizes on a fixed input.

    Args:
        one: A `BertBackbone`, or a model of `kerasbert.models` that contains one.
        other: Another model of the same class.

    Returns:
        The largest absolute difference by the name of each layer and head.

    Example:
        >>> from kerasbert.models import BertBackbone
        >>> model = BertBackbone(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2)
        >>> largest_differences(model, model)
        {'embeddings': 0.0, 'encoder_block_0': 0.0, 'pooled_output': 0.0}
    """
    inputs = fixed_inputs(backbone_of(one).bert_config)
    ours, theirs = layer_outputs(one, inputs), layer_outputs(other, inputs)
    return {name: float(np.max(np.abs(ours[name] - theirs[name]))) for name in ours}


def differing_weights(one: keras.Model, other: keras.Model) -> list[str]:
    """Returns the paths of the weights that are not bit-identical."""
    pairs = zip(one.weights, other.weights, strict=True)
    pairs_of_numbers = ((mine, yours) for mine, yours in pairs if "seed_generator" not in mine.path)
    return [mine.path for mine, yours in pairs_of_numbers if not np.array_equal(as_array(mine), as_array(yours))]


def _head_inputs(model: keras.Model, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of a model with its head: with masked positions, or with one choice in each row."""
    last = inputs["padding_mask"].sum(axis=1, keepdims=True) - 1  # [B, 1]
    known = {**inputs, "mask_positions": np.minimum(np.arange(_POSITIONS), last).astype("int32")}  # [B, P]
    return {
        name: known[name][:, None, :] if len(symbol.shape) == 3 else known[name]  # [B, T] -> [B, C, T]
        for name, symbol in model.input.items()
    }


def _as_float32(values: Any) -> np.ndarray:
    """A tensor of any backend as an array; PyTorch does not convert a tensor with a gradient."""
    return np.asarray(keras.ops.stop_gradient(values), "float32")


def _without_padding(values: np.ndarray, is_real: np.ndarray) -> np.ndarray:
    """Zeros where a row has no token: the outputs there are meaningless."""
    if values.shape[:2] != is_real.shape:
        return values
    return np.where(is_real.reshape(is_real.shape + (1,) * (values.ndim - 2)), values, 0)
