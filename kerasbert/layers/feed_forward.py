"""The feed-forward network of an encoder block: dense, activation, dense.

For the residual and norm around it, see encoder_block.py.
"""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_positive_integer, check_positive_number
from kerasbert.layers.activations import Activation, activation_function, restored_activation, serialized_activation

# B batch, T tokens, H hidden size, I intermediate size


@keras.saving.register_keras_serializable(package="kerasbert")
class FeedForward(keras.layers.Layer):
    """Feed-forward network applied to each hidden state: dense, activation, dense.

    Args:
        intermediate_size: I, the width of the hidden layer.
        activation: "gelu_tanh", "gelu_erf", the name of a Keras activation, or a function.
        initializer_range: standard deviation of the truncated normal initial weights.

    Call arguments:
        hidden: hidden states `[B, T, H]`.

    Returns:
        Hidden states `[B, T, H]`.

    Raises:
        BadInputError: an argument is invalid.

    Source: google-research/bert, `modeling.py` (`transformer_model`).

    Example:
        >>> layer = FeedForward(intermediate_size=32)
        >>> tuple(layer(keras.ops.ones((1, 3, 8))).shape)
        (1, 3, 8)
    """

    def __init__(
        self,
        intermediate_size: int,
        activation: Activation = "gelu_tanh",
        initializer_range: float = 0.02,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.intermediate_size = check_positive_integer("intermediate_size", intermediate_size)
        self.activation = restored_activation(activation)
        self.initializer_range = check_positive_number("initializer_range", initializer_range)
        self.supports_masking = True
        self._activation_function = activation_function(self.activation)

    def build(self, hidden_shape: Any) -> None:
        """Create the two dense layers, [H, I] and [I, H]."""
        hidden_size = hidden_shape[-1]
        self.intermediate_dense = self._dense("intermediate_dense", hidden_size, self.intermediate_size)
        self.output_dense = self._dense("output_dense", self.intermediate_size, hidden_size)
        self.built = True

    def _dense(self, name: str, inputs: int, outputs: int) -> keras.layers.Dense:
        """A new dense layer inputs -> outputs."""
        dense = keras.layers.Dense(
            outputs,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_range),
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build((None, inputs))
        return dense

    def call(self, hidden: Any) -> Any:
        """Return hidden states [B, T, H] for hidden states [B, T, H]."""
        shape = ops.shape(hidden)
        # On CPUs, one product over all tokens of the batch is faster than one product per row.
        flat = ops.reshape(hidden, (-1, shape[-1]))  # [B, T, H] -> [B*T, H]
        flat = self.output_dense(self._activation_function(self.intermediate_dense(flat)))
        return ops.reshape(flat, shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "intermediate_size": self.intermediate_size,
            "activation": serialized_activation(self.activation),
            "initializer_range": self.initializer_range,
        }
