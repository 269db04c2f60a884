"""Gradient checkpointing: computes a layer again in the backward pass instead of keeping its intermediate results.

For how to turn it on for a model, see training/recomputed_blocks.py.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def recomputed(layer: keras.layers.Layer, function: Callable[[Any], Any], hidden: Any) -> Any:
    """Return `function(hidden)`, whose intermediate results are computed again for the gradients.

    Dropout drops the same elements in both computations, and those that it drops without recomputation. With
    `keras.remat` alone, each computation would draw masks of its own on TensorFlow, and JAX would refuse to draw any.

    Args:
        layer: a built layer that owns all variables that `function` reads. Its random numbers are those of `Dropout`
            layers, each of which is called once.
        function: a function of one tensor.
        hidden: its argument.

    Source: Chen et al. 2016, "Training deep nets with sublinear memory cost".

    Example:
        >>> layer = keras.layers.Dense(2)
        >>> layer.build((None, 3))
        >>> tuple(recomputed(layer, layer.call, keras.ops.ones((1, 3))).shape)
        (1, 2)
    """
    trained, fixed = layer.trainable_variables, layer.non_trainable_variables
    fixed_values = [_value_of(variable) for variable in fixed]

    def run(hidden: Any, *trained_values: Any) -> Any:
        # Within the scope, variables have these values, and seeds that are drawn do not change the layer's own.
        values = zip([*trained, *fixed], [*trained_values, *fixed_values], strict=True)
        with keras.StatelessScope(state_mapping=list(values)):
            return function(hidden)

    result = keras.remat(run)(hidden, *(_value_of(variable) for variable in trained))
    for part in layer._flatten_layers():
        if isinstance(part, keras.layers.Dropout) and part.rate > 0:
            part.seed_generator.next()
    return result


def _value_of(variable: keras.Variable) -> Any:
    """Return the value as a tensor of its own. A variable of TensorFlow may change before it is read again."""
    return ops.copy(variable.value)
