"""Adam with decoupled weight decay: a modern default, and the optimizer of the original BERT.

For what they share with other optimizers, see optimizer_rules.py; for optimizers of large batches,
large_batch_optimizers.py; for learning rate schedules, schedules.py.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kerasbert.training.optimizer_rules import LearningRate, OptimizerRules, optimizer_arguments


@keras.saving.register_keras_serializable(package="kerasbert")
class AdamW(OptimizerRules, keras.optimizers.AdamW):
    """Keras's AdamW (with bias correction), without decay on norms and biases, and correct for embeddings.

    Takes the arguments of `keras.optimizers.AdamW` and of `OptimizerRules`. `adamw` creates one with BERT's values.

    Example:
        >>> AdamW(learning_rate=1e-4, weight_decay=0.01).weight_decay
        0.01
    """


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
        """Update one variable. The decay, rate * decay * w, is subtracted before, with w before the update."""
        gradient = ops.cast(gradient, variable.dtype)
        rate = ops.cast(self.rate_of(variable, learning_rate), variable.dtype)
        if self._decays_in_update_step:
            self.subtract_decay(variable, rate)
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
    rate_factors: Mapping[str, float] | None = None,
    ema: float | None = None,
    ramp_steps: int = 0,
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
        rate_factors: path of a variable -> factor of its learning rate, e.g. `layer_wise_factors(model, 0.95)`.
        ema: decay rate, per update, of an exponential moving average of the weights, which Keras's
            `finalize_variable_values` puts into the model. None keeps no average.
        ramp_steps: batches at the beginning over which the batches per update rise to `accumulation_steps`. See
            `AccumulationRamp`, which also counts the updates for the schedule.

    Raises:
        ValueError: `accumulation_steps` is less than 1, or another number is outside its range or not finite.

    Example:
        >>> adamw(1e-4).epsilon
        1e-06
    """
    arguments = (weight_decay, clip_norm, accumulation_steps, beta_1, beta_2, epsilon, rate_factors, ema, ramp_steps)
    return AdamW(**optimizer_arguments(learning_rate, *arguments))


def original_adamw(
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
        rate_factors: see `adamw`.
        ema: see `adamw`.
        ramp_steps: see `adamw`.

    Raises:
        ValueError: see `adamw`.

    Example:
        >>> type(original_adamw(1e-4)).__name__
        'OriginalAdamW'
    """
    arguments = (weight_decay, clip_norm, accumulation_steps, beta_1, beta_2, epsilon, rate_factors, ema, ramp_steps)
    return OriginalAdamW(**optimizer_arguments(learning_rate, *arguments))
