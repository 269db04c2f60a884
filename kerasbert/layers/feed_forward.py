"""The feed-forward network of an encoder block: dense, activation, dense, with or without a gate.

For the residual and norm around it, see encoder_block.py.
"""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import (
    INITIALIZATIONS,
    check_choice,
    check_flag,
    check_positive_integer,
    check_positive_number,
)
from kerasbert.layers.activations import Activation, activation_function, restored_activation, serialized_activation
from kerasbert.layers.initial_weights import kernel_initializer

# B batch, T tokens, H hidden size, I intermediate size


@keras.saving.register_keras_serializable(package="kerasbert")
class FeedForward(keras.layers.Layer):
    """Feed-forward network applied to each hidden state: dense, activation, dense.

    With a gate (a gated linear unit), the activation is multiplied by a third dense layer of the input:
    `output_dense(activation(intermediate_dense(x)) * gate_dense(x))`. It is GLU with "sigmoid", Bilinear with "linear",
    ReGLU with "relu", GEGLU with a GELU, SwiGLU with "silu". With two thirds of the intermediate size, it has as many
    weights as without a gate.

    Args:
        intermediate_size: I, the width of the hidden layer.
        activation: "gelu_tanh", "gelu_erf", "relu_squared", the name of a Keras activation, or a function.
        initializer_range: standard deviation of the truncated normal initial weights.
        gated: whether there is a gate.
        use_bias: whether the dense layers have biases.
        initialization: "fixed" (`initializer_range`), "fan_in", "fan_out", "fan_average" or "fan_geometric". See
            `EncoderBlock`.
        initializer_gain: a factor of the standard deviation of the initial kernels.

    Call arguments:
        hidden: hidden states `[B, T, H]`.

    Returns:
        Hidden states `[B, T, H]`.

    Raises:
        BadInputError: an argument is invalid.

    Source: google-research/bert, `modeling.py` (`transformer_model`); Shazeer 2020, "GLU variants improve
    transformer" (the gate).

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
        gated: bool = False,
        use_bias: bool = True,
        initialization: str = "fixed",
        initializer_gain: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.intermediate_size = check_positive_integer("intermediate_size", intermediate_size)
        self.activation = restored_activation(activation)
        self.initializer_range = check_positive_number("initializer_range", initializer_range)
        self.gated = check_flag("gated", gated)
        self.use_bias = check_flag("use_bias", use_bias)
        self.initialization = check_choice("initialization", initialization, INITIALIZATIONS)
        self.initializer_gain = check_positive_number("initializer_gain", initializer_gain)
        self.supports_masking = True
        self._activation_function = activation_function(self.activation)

    def build(self, hidden_shape: Any) -> None:
        """Create the dense layers: [H, I], the gate's [H, I], and [I, H]."""
        hidden_size = hidden_shape[-1]
        self.intermediate_dense = self._dense("intermediate_dense", hidden_size, self.intermediate_size)
        self.gate_dense = self._dense("gate_dense", hidden_size, self.intermediate_size) if self.gated else None
        self.output_dense = self._dense("output_dense", self.intermediate_size, hidden_size)
        self.built = True

    def _dense(self, name: str, inputs: int, outputs: int) -> keras.layers.Dense:
        """A new dense layer inputs -> outputs."""
        dense = keras.layers.Dense(
            outputs,
            use_bias=self.use_bias,
            kernel_initializer=kernel_initializer(
                self.initialization, self.initializer_range, inputs, outputs, self.initializer_gain
            ),
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
        widened = self._activation_function(self.intermediate_dense(flat))
        if self.gate_dense is not None:
            widened = widened * self.gate_dense(flat)
        return ops.reshape(self.output_dense(widened), shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "intermediate_size": self.intermediate_size,
            "activation": serialized_activation(self.activation),
            "initializer_range": self.initializer_range,
            "gated": self.gated,
            "use_bias": self.use_bias,
            "initialization": self.initialization,
            "initializer_gain": self.initializer_gain,
        }
