"""What all optimizers of kerasbert share: which weights decay, learning rates by variable, and summed gradient slices.

Norms and biases are excluded from the decay by examining the variables themselves: Keras compares patterns with
`variable.name` ("gamma", "bias"), so a pattern like "LayerNorm" silently matches nothing. For the optimizers, see
optimizers.py and large_batch_optimizers.py.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from kerasbert.training.accumulation_ramp import AccumulationRamp

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


class OptimizerRules(keras.optimizers.Optimizer):
    """The base class of our optimizers. It comes before one of Keras's optimizers among the base classes.

    On the TensorFlow backend, the gradient of an embedding consists of slices, one for each occurrence of a token.
    Keras squares them slice by slice, which makes the second moment and the clipping norm of repeated tokens too small.
    Here, the slices are summed first, so all backends give the same result. With gradient accumulation, a schedule
    counts updates, not batches.

    Args:
        rate_factors: path of a variable -> factor of its learning rate. All others have the factor 1. See
            `kerasbert.training.layer_wise_factors`.
        ramp_steps: batches over which the batches per update rise to `gradient_accumulation_steps`. See
            `AccumulationRamp`.
    """

    ema_momentum: Any

    def __init__(self, *args: Any, rate_factors: Mapping[str, float] | None = None, ramp_steps: int = 0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._ramp = AccumulationRamp(self.gradient_accumulation_steps or 1, ramp_steps)
        self._rate_factors = tuple(sorted((rate_factors or {}).items()))
        self._factors: tuple[float, ...] = ()

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the slots, and exclude norms and biases from the decay."""
        if not self.built:
            self.exclude_from_weight_decay(var_list=[v for v in variables if not takes_weight_decay(v)])
            factors = dict(self._rate_factors)
            self._factors = tuple(factors.get(variable.path, 1.0) for variable in variables)
        super().build(variables)

    @keras.optimizers.Optimizer.learning_rate.getter
    def learning_rate(self) -> Any:
        """The rate of the next update. Keras would count batches, even if several of them form one update."""
        if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)
        return self._learning_rate

    def rate_of(self, variable: Any, learning_rate: Any) -> Any:
        """Return the learning rate of one variable."""
        factor = self._factors[self._get_variable_index(variable)]
        return learning_rate if factor == 1.0 else learning_rate * factor

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None = None) -> None:
        """Update the variables, after summing gradients that consist of slices."""
        gradients = [_dense(gradient) for gradient in grads]
        if self._ramp.ramp_steps:
            self._apply_on_ramp(gradients, trainable_variables)
        else:
            super().apply(gradients, trainable_variables)

    def _apply_on_ramp(self, gradients: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None) -> None:
        """Count one batch as several equal ones, so that fewer of them complete an update."""
        weight = self._ramp.weight_of_batch(self.iterations)
        scale, momentum = ops.cast(weight, "float32"), self.ema_momentum
        self._iterations.assign_add(ops.cast(weight - 1, self._iterations.dtype))
        try:
            if self.use_ema:
                self.ema_momentum = ops.power(momentum, scale)
            super().apply([gradient * ops.cast(scale, gradient.dtype) for gradient in gradients], trainable_variables)
        finally:
            self.ema_momentum = momentum

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable at its own learning rate."""
        rate = self.rate_of(variable, learning_rate)
        if self._decays_in_update_step:
            self.subtract_decay(variable, rate)
        super().update_step(gradient, variable, rate)

    @property
    def _decays_in_update_step(self) -> bool:
        """Whether `update_step` subtracts the decay, because Keras knows a single learning rate only."""
        return bool(self._rate_factors)

    def subtract_decay(self, variable: Any, rate: Any) -> None:
        """Subtract rate * decay * weight from a variable, unless it is a norm or a bias."""
        if self.weight_decay and self._use_weight_decay(variable):
            self.assign_sub(variable, ops.cast(rate, variable.dtype) * self.weight_decay * variable)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Subtract the decay from all variables before they are updated."""
        if not self._decays_in_update_step:
            super()._apply_weight_decay(variables)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        factors = {"rate_factors": dict(self._rate_factors)} if self._rate_factors else {}
        ramp = {"ramp_steps": self._ramp.ramp_steps} if self._ramp.ramp_steps else {}
        return {**super().get_config(), **factors, **ramp}


def optimizer_arguments(
    learning_rate: LearningRate,
    weight_decay: float,
    clip_norm: float | None,
    accumulation_steps: int,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    rate_factors: Mapping[str, float] | None = None,
    ema: float | None = None,
    ramp_steps: int = 0,
) -> dict[str, Any]:
    """Check the arguments of `adamw`, and return them under Keras's names.

    Raises:
        ValueError: a number is outside its range or not finite.
    """
    AccumulationRamp(accumulation_steps, ramp_steps)  # checks both
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
    if ema is not None and not 0 <= ema < 1:
        raise ValueError(
            f"`ema` must be from 0 up to but not including 1, or None. Received: ema={ema}. For example, 0.999."
        )
    if any(not 0 <= factor < math.inf for factor in (rate_factors or {}).values()):
        raise ValueError(
            f"`rate_factors` must be finite and not negative. Received: {min((rate_factors or {}).values())} as the "
            "least. Use the result of `kerasbert.training.layer_wise_factors`."
        )
    return {
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "global_clipnorm": clip_norm,
        "gradient_accumulation_steps": accumulation_steps if accumulation_steps > 1 else None,
        "beta_1": beta_1,
        "beta_2": beta_2,
        "epsilon": epsilon,
        "rate_factors": rate_factors,
        "ramp_steps": ramp_steps,
        # Keras averages after each batch. The weights of all batches of an update are the same.
        **({} if ema is None else {"use_ema": True, "ema_momentum": ema ** (1 / accumulation_steps)}),
    }


def _dense(gradient: Any) -> Any:
    """Return a gradient as one tensor, with the slices of the same row summed."""
    if hasattr(gradient, "dense_shape"):
        return ops.add(gradient, ops.zeros(gradient.dense_shape, dtype=gradient.dtype))
    return gradient
