"""The norms of the encoder: layer norm or RMS norm, with or without a bias.

Where they are in a block is decided in encoder_block.py.
"""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_positive_number

# H hidden size


@keras.saving.register_keras_serializable(package="kerasbert")
class RMSNorm(keras.layers.Layer):
    """Divides each hidden state by its root mean square, and multiplies it by a learned vector.

    Unlike layer norm, it does not subtract the mean and has no bias. It is computed in at least float32.

    Args:
        epsilon: is added to the mean square.
        **kwargs: arguments of a Keras layer.

    Call arguments:
        hidden: hidden states `[..., H]`.

    Returns:
        Hidden states of the same shape.

    Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".

    Example:
        >>> norm = RMSNorm()
        >>> [round(float(number), 3) for number in norm(keras.ops.array([[3.0, 4.0]]))[0]]
        [0.849, 1.131]
    """

    def __init__(self, epsilon: float = 1e-12, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = check_positive_number("epsilon", epsilon)
        self.supports_masking = True

    def build(self, hidden_shape: Any) -> None:
        """Create the scale [H]."""
        self.gamma = self.add_weight(name="gamma", shape=(hidden_shape[-1],), initializer="ones")
        self.built = True

    def call(self, hidden: Any) -> Any:
        """Return hidden states of the same shape."""
        precise = ops.cast(hidden, keras.backend.result_type(hidden.dtype, "float32"))
        mean_square = ops.mean(ops.square(precise), axis=-1, keepdims=True)
        precise = precise * ops.rsqrt(mean_square + self.epsilon) * ops.cast(self.gamma, precise.dtype)
        return ops.cast(precise, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}


def norm_layer(norm_type: str, epsilon: float, use_bias: bool, dtype: Any, name: str) -> keras.layers.Layer:
    """Return a new norm over the last axis.

    Args:
        norm_type: "layer_norm" or "rms_norm".
        epsilon: is added to the variance or the mean square.
        use_bias: whether a layer norm has a bias. RMS norm has none.
        dtype: a Keras dtype policy.
        name: the layer's name.
    """
    if norm_type == "rms_norm":
        return RMSNorm(epsilon, dtype=dtype, name=name)
    return keras.layers.LayerNormalization(epsilon=epsilon, center=use_bias, dtype=dtype, name=name)
