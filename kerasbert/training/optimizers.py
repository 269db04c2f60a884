"""Adam with decoupled weight decay, as BERT is trained: a modern default and the original's own rules.

Both leave norms and biases out of the decay by looking at the variables themselves, because Keras' patterns compare
with `variable.name` ("gamma", "bias"), where a pattern such as "LayerNorm" matches nothing and says nothing.
The rate's course: see schedules.py.
"""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

LearningRate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule

_NAMES_WITHOUT_DECAY = ("beta", "bias", "gamma")


def takes_weight_decay(variable: keras.Variable) -> bool:
    """Whether weight decay applies: to matrices and tables, not to norms, biases or other vectors.

    Example:
        >>> layer = keras.layers.Dense(2)
        >>> layer.build((None, 3))
        >>> [takes_weight_decay(variable) for variable in (layer.kernel, layer.bias)]
        [True, False]
    """
    return len(variable.shape) > 1 and not any(name in variable.name.lower() for name in _NAMES_WITHOUT_DECAY)


@keras.saving.register_keras_serializable(package="kerasbert")
class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW (with bias correction), without decay on norms and biases, and right for embeddings.

    On the TensorFlow backend the gradient of an embedding comes as slices in which a token's row occurs once per
    occurrence. Keras squares slice by slice, which makes the second moment and the clipping norm of repeated tokens too
    small; here the slices are summed first, so that all backends compute the same. With gradient accumulation a
    schedule is asked by updates.

    Takes the arguments of `keras.optimizers.AdamW`; `adamw` gives BERT's.
    """

    def build(self, var_list: Sequence[keras.Variable]) -> None:
        """Makes the slots, and leaves norms and biases out of the decay."""
        if not self.built:
            self.exclude_from_weight_decay(var_list=[v for v in var_list if not takes_weight_decay(v)])
        super().build(var_list)

    @keras.optimizers.AdamW.learning_rate.getter
    def learning_rate(self) -> Any:
        """The rate of the next update. Keras would ask a schedule by batches, also where several make one update."""
        if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)
        return self._learning_rate

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None = None) -> None:
        """Updates the variables; a gradient in slices is summed per row first."""
        super().apply([_dense(gradient) for gradient in grads], trainable_variables)


@keras.saving.register_keras_serializable(package="kerasbert")
class OriginalAdamW(AdamW):
    """The original BERT's optimizer: no bias correction, decay added to the update.

    m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2;
    w = w - rate * (m / (sqrt(v) + epsilon) + decay * w)

    Takes the arguments of `keras.optimizers.AdamW`; `original_adamw` gives BERT's.

    Source: google-research/bert, `optimization.py` (`AdamWeightDecayOptimizer`).
    """

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """One update of one variable. The decay has been subtracted by Keras: rate * decay * w, with the w before."""
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
    """AdamW with bias correction: the default for pretraining and fine-tuning.

    Args:
        learning_rate: a rate, or a schedule of it such as `LinearWarmupDecay`.
        weight_decay: the share of a weight that one update takes away, times the rate; not of norms and biases.
        clip_norm: largest norm of all gradients together; None does not clip.
        accumulation_steps: batches whose gradients are averaged into one update, clipped after that. The schedule
            counts updates, not batches.
        beta_1: memory of the gradient's mean.
        beta_2: memory of the gradient's square.
        epsilon: added to the root of the square.

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
    """The original BERT's optimizer, which goes with `OriginalWarmupDecay`. Arguments and errors as for `adamw`.

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
    """Our arguments in Keras' words."""
    if accumulation_steps < 1:
        raise ValueError(
            f"`accumulation_steps` must be at least 1. Received: accumulation_steps={accumulation_steps}. "
            "Give the number of batches per update."
        )
    if not 0 <= weight_decay < math.inf or (clip_norm is not None and not 0 < clip_norm < math.inf):
        raise ValueError(
            "`weight_decay` must be finite and not negative, and `clip_norm` finite and positive, or None. "
            f"Received: weight_decay={weight_decay}, clip_norm={clip_norm}. Give such as 0.01 and 1.0."
        )
    if not (0 <= beta_1 < 1 and 0 <= beta_2 < 1):
        raise ValueError(
            "`beta_1` and `beta_2` must be from 0 up to but not including 1. "
            f"Received: beta_1={beta_1}, beta_2={beta_2}. Give such as 0.9 and 0.999."
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
    """A gradient as one tensor, with the slices of the same row summed."""
    if hasattr(gradient, "dense_shape"):
        return ops.add(gradient, ops.zeros(gradient.dense_shape, dtype=gradient.dtype))
    return gradient
