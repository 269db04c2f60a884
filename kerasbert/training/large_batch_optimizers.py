"""Optimizers for large batches and high learning rates: StableAdamW and LAMB.

For AdamW, the default, see optimizers.py; for what all share, optimizer_rules.py.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kerasbert.training.optimizer_rules import LearningRate, OptimizerRules, optimizer_arguments


@keras.saving.register_keras_serializable(package="kerasbert")
class StableAdamW(OptimizerRules, keras.optimizers.AdamW):
    """AdamW with update clipping: a variable whose gradients have grown suddenly takes a smaller step.

    The rate of a variable is divided by max(1, RMS), where RMS is the root of the mean of g^2 / max(v, epsilon^2), g
    is the gradient and v the mean of squared gradients with bias correction. The weight decay has the same rate.

    Takes the arguments of `keras.optimizers.AdamW` and of `OptimizerRules`. `stable_adamw` creates one.

    Source: Wortsman et al. 2023, "Stable and low-precision training for large-scale vision-language models",
    algorithm 2.

    Example:
        >>> StableAdamW(learning_rate=1e-4, weight_decay=0.01).weight_decay
        0.01
    """

    @property
    def _decays_in_update_step(self) -> bool:
        """True: the decay has the clipped rate."""
        return True

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable, and subtract the decay before."""
        dtype = variable.dtype
        gradient, rate = ops.cast(gradient, dtype), ops.cast(self.rate_of(variable, learning_rate), dtype)
        index, update = self._get_variable_index(variable), ops.cast(self.iterations + 1, dtype)
        mean, square = self._momentums[index], self._velocities[index]
        self.assign(mean, self.beta_1 * mean + (1.0 - self.beta_1) * gradient)
        self.assign(square, self.beta_2 * square + (1.0 - self.beta_2) * ops.square(gradient))
        corrected_mean = mean / (1.0 - ops.power(ops.cast(self.beta_1, dtype), update))
        corrected_square = square / (1.0 - ops.power(ops.cast(self.beta_2, dtype), update))
        ratios = ops.square(gradient) / ops.maximum(corrected_square, self.epsilon**2)
        rate = rate / ops.maximum(1.0, ops.sqrt(ops.mean(ratios)))
        self.subtract_decay(variable, rate)
        self.assign_sub(variable, rate * corrected_mean / (ops.sqrt(corrected_square) + self.epsilon))


@keras.saving.register_keras_serializable(package="kerasbert")
class Lamb(OptimizerRules, keras.optimizers.Lamb):
    """Keras's LAMB, without decay on norms and biases, and correct for embeddings.

    Each variable takes a step of Adam that is scaled to the norm of its weights. The weight decay is decoupled, as in
    AdamW, and not a part of the scaled step.

    Takes the arguments of `keras.optimizers.Lamb` and of `OptimizerRules`. `lamb` creates one.

    Source: You et al. 2020, "Large batch optimization for deep learning: Training BERT in 76 minutes", algorithm 2.

    Example:
        >>> Lamb(learning_rate=2e-3, weight_decay=0.01).weight_decay
        0.01
    """


def stable_adamw(
    learning_rate: LearningRate,
    weight_decay: float = 0.01,
    clip_norm: float | None = 1.0,
    accumulation_steps: int = 1,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-6,
    rate_factors: Mapping[str, float] | None = None,
    ema: float | None = None,
    ramp_steps: int = 0,
) -> StableAdamW:
    """Create a StableAdamW optimizer, for high learning rates and a low `beta_2`.

    Args:
        learning_rate: see `adamw`.
        weight_decay: see `adamw`.
        clip_norm: see `adamw`. The paper trains without, which is None here.
        accumulation_steps: see `adamw`.
        beta_1: see `adamw`.
        beta_2: see `adamw`.
        epsilon: see `adamw`.
        rate_factors: see `adamw`.
        ema: see `adamw`.
        ramp_steps: see `adamw`.

    Raises:
        ValueError: see `adamw`.

    Example:
        >>> type(stable_adamw(1e-3)).__name__
        'StableAdamW'
    """
    arguments = (weight_decay, clip_norm, accumulation_steps, beta_1, beta_2, epsilon, rate_factors, ema, ramp_steps)
    return StableAdamW(**optimizer_arguments(learning_rate, *arguments))


def lamb(
    learning_rate: LearningRate,
    weight_decay: float = 0.01,
    clip_norm: float | None = 1.0,
    accumulation_steps: int = 1,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-6,
    rate_factors: Mapping[str, float] | None = None,
    ema: float | None = None,
    ramp_steps: int = 0,
) -> Lamb:
    """Create a LAMB optimizer, for batches of thousands of rows. Its learning rates are about ten times as high.

    Args:
        learning_rate: see `adamw`. For example, 2e-3.
        weight_decay: see `adamw`.
        clip_norm: see `adamw`.
        accumulation_steps: see `adamw`.
        beta_1: see `adamw`.
        beta_2: see `adamw`.
        epsilon: see `adamw`.
        rate_factors: see `adamw`.
        ema: see `adamw`.
        ramp_steps: see `adamw`.

    Raises:
        ValueError: see `adamw`.

    Example:
        >>> type(lamb(2e-3)).__name__
        'Lamb'
    """
    arguments = (weight_decay, clip_norm, accumulation_steps, beta_1, beta_2, epsilon, rate_factors, ema, ramp_steps)
    return Lamb(**optimizer_arguments(learning_rate, *arguments))
