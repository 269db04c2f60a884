"""Adam with decoupled weight decay: a modern default, and the optimizer of the original BERT.

Both exclude norms and biases from the decay by examining the variables themselves: Keras compares patterns with
`variable.name` ("gamma", "bias"), so a pattern like "LayerNorm" silently matches nothing. For learning rate schedules,
see schedules.py.
"""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

LearningRate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule

_NAMES_WITHOUT_DECAY = ("beta", "bias", "gamma")


def takes_weight_decay(variable: keras.Variable) -> bool:
    """Return whether weight decay applies: to matrices and tables, but not to norms, biases or other vectors.

    Example:
        >>> layer = keras.layers.Dense(2)
        >>> layer.build((None, 3))
        >>> [takes_weight_decay(variable) for variable in (layer.kernel, layer.bias)]
        [True, False]
    """
    return len(variable.shape) > 1 and not any(name in variable.name.lower() for name in _NAMES_WITHOUT_DECAY)


@keras.saving.register_keras_serializable(package="kerasbert")
class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW (with bias correction), without decay on norms and biases, and correct for embeddings.

    On the TensorFlow backend, the gradient of an embedding consists of slices, one for each occurrence of a token.
    Keras squares them slice by slice, which makes the second moment and the clipping norm of repeated tokens too small.
    Here, the slices are summed first, so all backends give the same result. With gradient accumulation, a schedule
    counts updates, not batches.

    Takes the arguments of `keras.optimizers.AdamW`. `adamw` creates one with BERT's values.

    Example:
        >>> AdamW(learning_rate=1e-4, weight_decay=0.01).weight_decay
        0.01
    """

    def build(self, var_list: Sequence[keras.Variable]) -> None:
        """Create the slots, and exclude norms and biases from the decay."""
        if not self.built:
            self.exclude_from_weight_decay(var_list=[v for v in var_list if not takes_weight_decay(v)])
        super().build(var_list)

    @keras.optimizers.AdamW.learning_rate.getter
    def learning_rate(self) -> Any:
        """The rate of the next update. Keras would count batches, even if several of them form one update."""
        if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)
        return self._learning_rate

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None = None) -> None:
        """Update the variables, after summing gradients that consist of slices."""
        super().apply([_dense(gradient) for gradient in grads], trainable_variables)


@keras.saving.register_keras_serializable(package="kerasbert")
class OriginalAdamW(AdamW):
    """The original BERT's optimizer: no bias correction, decay added to the update.

    m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2;
    w = w - rate * (m / (sqrt(v) + epsilon) + decay * w)

    Takes the arguments of `keras.optimizers.AdamW`. `original_adamw` creates one with BERT's values.

    Source: google-research/bert, `optimization.py` (`AdamWeightDecayOptimizer`).

    Example:
        >>> OriginalAdamW(learning_rate=1e-4, weight_decay=0.01).weight_decay
        0.01
    """

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Update one variable. Keras has already subtracted the decay, rate * decay * w, with w before the update."""
        gradient = ops.cast(gradient, variable.dtype)
        rate = ops.cast(learning_rate, variable.dtype)
        index = self._get_variable_index(variable)
        mean, square = self._momentums[index], self._velocities[index]
        self.assign(mean, self.beta_1 * mean + (1.0 - self.beta_1) * gradient)
        self.assign(square, self.beta_2 * square + (1.0 - self.beta_2) * ops.square(gradient))
        self.assign_sub(variable, rate * mean / (ops.sqrt(square) + self.epsilon))


def adamw(
    learning_rate: LearningRate,
    weight_decay: float = 0.01,
    clip_norm: float | None = 1.0,
    accumulation_steps: int = 1,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-6,
) -> AdamW:
    """Create an AdamW optimizer with bias correction: the default for pretraining and fine-tuning.

    Args:
        learning_rate: a rate, or a schedule, e.g. a `LinearWarmupDecay`.
        weight_decay: weight decay rate. Each update subtracts rate * decay * weight, except from norms and biases.
        clip_norm: largest global norm of the gradients. None does not clip.
        accumulation_steps: batches whose gradients are averaged for one update, and clipped afterwards. The schedule
            counts updates, not batches.
        beta_1: decay rate of the mean of gradients.
        beta_2: decay rate of the mean of squared gradients.
        epsilon: added to the root of the mean square.

    Raises:
        ValueError: `accumulation_steps` is less than 1, or another number is outside its range or not finite.

    Example:
        >>> adamw(1e-4).epsilon
        1e-06
    """
    return AdamW(**_arguments(learning_rate, weight_decay, clip_norm, accumulation_steps, beta_1, beta_2, epsilon))


def original_adamw(
    learning_rate: LearningRate,
    weight_decay: float = 0.01,
    clip_norm: float | None = 1.0,
    accumulation_steps: int = 1,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-6,
) -> OriginalAdamW:
    """Create the optimizer of the original BERT, to be used with `OriginalWarmupDecay`.

    Args:
        learning_rate: see `adamw`.
        weight_decay: see `adamw`.
        clip_norm: see `adamw`.
        accumulation_steps: see `adamw`.
        beta_1: see `adamw`.
        beta_2: see `adamw`.
        epsilon: see `adamw`.

    Raises:
        ValueError: see `adamw`.

    Example:
        >>> type(original_adamw(1e-4)).__name__
        'OriginalAdamW'
    """
    return OriginalAdamW(
        **_arguments(learning_rate, weight_decay, clip_norm, accumulation_steps, beta_1, beta_2, epsilon)
    )


def _arguments(
    learning_rate: LearningRate,
    weight_decay: float,
    clip_norm: float | None,
    accumulation_steps: int,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> dict[str, Any]:
    """Check our arguments, and return them under Keras's names."""
    if accumulation_steps < 1:
        raise ValueError(
            f"`accumulation_steps` must be at least 1. Received: accumulation_steps={accumulation_steps}. "
            "It is the number of batches per update."
        )
    if not 0 <= weight_decay < math.inf or (clip_norm is not None and not 0 < clip_norm < math.inf):
        raise ValueError(
            "`weight_decay` must be finite and not negative, and `clip_norm` finite and positive, or None. "
            f"Received: weight_decay={weight_decay}, clip_norm={clip_norm}. BERT uses 0.01 and 1.0."
        )
    if not (0 <= beta_1 < 1 and 0 <= beta_2 < 1):
        raise ValueError(
            "`beta_1` and `beta_2` must be from 0 up to but not including 1. "
            f"Received: beta_1={beta_1}, beta_2={beta_2}. BERT uses 0.9 and 0.999."
        )
    return {
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "global_clipnorm": clip_norm,
        "gradient_accumulation_steps": accumulation_steps if accumulation_steps > 1 else None,
        "beta_1": beta_1,
        "beta_2": beta_2,
        "epsilon": epsilon,
    }


def _dense(gradient: Any) -> Any:
    """Return a gradient as one tensor, with the slices of the same row summed."""
    if hasattr(gradient, "dense_shape"):
        return ops.add(gradient, ops.zeros(gradient.dense_shape, dtype=gradient.dtype))
    return gradient
