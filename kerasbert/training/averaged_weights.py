"""Exponential moving averages of the weights, in place of the weights themselves: for a validation, and at the end."""

from collections.abc import Callable
from typing import TypeVar

import keras
from keras import ops

Result = TypeVar("Result")


def use_averages(model: keras.Model) -> None:
    """Put the averages that the optimizer keeps (`ema`) into the model. Without any, nothing happens.

    Keras's `fit` does this at its end.

    Args:
        model: a compiled model. Before its first update, nothing happens either.

    Example:
        >>> import numpy as np
        >>> from kerasbert.training import adamw
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        >>> model.compile(adamw(0.1, ema=0.9), "mse")
        >>> for _ in range(2):
        ...     loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> use_averages(model)  # 0.9 * 0.9 + 0.1 * 0.8, less a decay
        >>> round(float(model.layers[-1].kernel[0, 0]), 2)
        0.89
    """
    optimizer = model.optimizer
    # Averages are 0 before the first update, which loss scaling may delay.
    if int(getattr(optimizer, "inner_optimizer", optimizer).iterations) > 0:
        optimizer.finalize_variable_values(model.trainable_variables)


def on_averages(measure: Callable[[keras.Model], Result]) -> Callable[[keras.Model], Result]:
    """Return a function that measures a model with its averaged weights, and leaves its weights as they were.

    Args:
        measure: a function of a compiled model, e.g. the argument `validate` of `kerasbert.training.fit`.

    Example:
        >>> from kerasbert.training import adamw
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(adamw(0.1), "mse")
        >>> on_averages(lambda model: model.count_params())(model)
        2
    """

    def measured(model: keras.Model) -> Result:
        values = [ops.copy(variable.value) for variable in model.trainable_variables]
        use_averages(model)
        try:
            return measure(model)
        finally:
            for variable, value in zip(model.trainable_variables, values, strict=True):
                variable.assign(value)

    return measured
