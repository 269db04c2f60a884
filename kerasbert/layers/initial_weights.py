"""The spread of the initial kernels: BERT's constant, or one that depends on the sizes of a layer."""

import math
from typing import Any

import keras

# Standard deviation of a truncated normal distribution, whose numbers are within 2, before truncation 1.
_TRUNCATED = 0.87962566103423978


def kernel_initializer(
    initialization: str, initializer_range: float, inputs: int, outputs: int, gain: float = 1.0
) -> Any:
    """Return the initializer of a kernel `[inputs, outputs]`: truncated normal, with a mean of 0.

    Args:
        initialization: "fixed" (BERT's), or the variance is 1 divided by "fan_in" (the inputs; keeps the variance of
            the activations), "fan_out" (the outputs; keeps that of the gradients), "fan_average" (their mean, as
            Glorot and Bengio) or "fan_geometric" (their geometric mean).
        initializer_range: for "fixed", the standard deviation before truncation.
        inputs: numbers that come in.
        outputs: numbers that come out.
        gain: a factor of the standard deviation.

    Source: Glorot and Bengio 2010; He et al. 2015, section 2.2; https://kexue.fm/archives/8747 and
    https://kexue.fm/archives/8725 (Su Jianlin, on 0.02 and on matrices that are not square).

    Example:
        >>> kernel = kernel_initializer("fan_in", 0.02, inputs=100, outputs=50)((100, 50))
        >>> round(float(keras.ops.std(kernel)), 2)
        0.1
    """
    if initialization == "fixed":
        return keras.initializers.TruncatedNormal(stddev=gain * initializer_range)
    fan = {
        "fan_in": float(inputs),
        "fan_out": float(outputs),
        "fan_average": (inputs + outputs) / 2,
        "fan_geometric": math.sqrt(inputs * outputs),
    }[initialization]
    return keras.initializers.TruncatedNormal(stddev=gain / math.sqrt(fan) / _TRUNCATED)
