"""Copies of models that answer with fewer bits: bfloat16 arithmetic, or weights rounded to 8-bit integers.

For inference only. For training in a lower precision, see the argument `dtype` of `BertBackbone`.
"""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from kerasbert.argument_checks import check_choice
from kerasbert.models.backbone import BertBackbone
from kerasbert.models.backbone_task import backbone_of

PRECISIONS = ("float32", "bfloat16", "int8")
_LARGEST_INT8 = 127


@dataclass(frozen=True, eq=False)
class RoundedWeight:
    """A matrix as 8-bit integers with float32 scales: `numbers * scale` is the matrix.

    Attributes:
        numbers: int8, from -127 to 127.
        scale: float32, one for each output of a dense layer, or for each row of an embedding.
    """

    numbers: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray, axis: int) -> "RoundedWeight":
        """Round a matrix, with a scale for each slice along `axis`, which its largest number decides.

        Example:
            >>> matrix = np.array([[1.0, 0.5], [-0.4, 0.1]], "float32")
            >>> rounded = RoundedWeight.of(matrix, axis=0)
            >>> rounded.numbers.tolist(), bool(np.abs(rounded.values() - matrix).max() < 0.005)
            ([[127, 127], [-51, 25]], True)
        """
        scale = (np.abs(matrix).max(axis, keepdims=True) / _LARGEST_INT8).astype(np.float32)
        numbers = np.round(matrix / np.where(scale == 0, 1, scale))
        return cls(np.clip(numbers, -_LARGEST_INT8, _LARGEST_INT8).astype(np.int8), scale)

    def values(self) -> np.ndarray:
        """The matrix in float32."""
        values: np.ndarray = self.numbers.astype(np.float32) * self.scale
        return values


@dataclass(frozen=True, eq=False)
class ReducedModel:
    """A model in a precision.

    Attributes:
        model: the model.
        precision: "float32", "bfloat16" or "int8".
        rounded: for "int8", the variables of the model that are rounded, each with its integers.
    """

    model: keras.Model
    precision: str
    rounded: tuple[tuple[keras.Variable, RoundedWeight], ...] = field(default=(), repr=False)


def in_precision(model: keras.Model, precision: str) -> ReducedModel:
    """Return a model that answers as `model` does, in another precision.

    * "float32": the model itself if it is one, or a copy.
    * "bfloat16": a copy whose encoder has weights and arithmetic in bfloat16. What follows the encoder, e.g. a
      classifier, is in float32.
    * "int8": a copy in float32 whose word embeddings and dense layers in the encoder are rounded to 8-bit integers, so
      that `kerasbert.export` can store them in a quarter of the space. It is as fast as float32.

    Args:
        model: a model of `kerasbert.models`.
        precision: "float32", "bfloat16" or "int8".

    Raises:
        BadInputError: there is no such precision.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> in_precision(backbone, "bfloat16").model.encoder_blocks[0].dtype_policy.name
        'bfloat16'
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == "bfloat16":
        return ReducedModel(_copy(model, "bfloat16"), precision)
    if precision == "float32":
        is_float32 = backbone_of(model).dtype_policy.name == "float32"
        return ReducedModel(model if is_float32 else _copy(model, "float32"), precision)
    model = _copy(model, "float32")
    rounded = [(variable, RoundedWeight.of(_array(variable), axis)) for variable, axis in _matrices(backbone_of(model))]
    for variable, weight in rounded:
        variable.assign(weight.values())
    return ReducedModel(model, precision, tuple(rounded))


def _copy(model: Any, dtype: str) -> keras.Model:
    """Return the model with its encoder in a dtype policy and everything else in float32."""
    backbone = backbone_of(model)
    copied = BertBackbone.from_config({**backbone.get_config(), "dtype": dtype})
    copied.set_weights(backbone.get_weights())
    if model is backbone:
        return copied
    # The layers of a task take their policy from the backbone. They are small, and rounded logits could be equal.
    copied.dtype_policy = keras.DTypePolicy("float32")
    task: keras.Model = type(model)(**{**model.get_config(), "backbone": copied})
    task.set_weights(model.get_weights())
    return task


def _matrices(backbone: BertBackbone) -> list[tuple[keras.Variable, int]]:
    """The weights that take nearly all the space, each with the axis over which numbers share a scale."""
    matrices = [(backbone.embeddings.word_embeddings, 1)]
    for block in backbone.encoder_blocks:
        attention, feed_forward = block.attention, block.feed_forward
        layers = [attention.query, attention.key, attention.value, attention.output_dense]
        layers += [feed_forward.intermediate_dense, feed_forward.output_dense]
        layers += [feed_forward.gate_dense] if feed_forward.gated else []
        matrices += [(layer.kernel, 0) for layer in layers]
    return matrices


def _array(variable: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)
