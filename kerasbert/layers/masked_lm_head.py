"""Predicts the word pieces at masked positions: gather, transform, product with the tied word embedding, bias.

For the loss, see `kerasbert.training`.
"""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_positive_number
from kerasbert.errors import BadInputError
from kerasbert.layers.activations import Activation, activation_function, restored_activation, serialized_activation
from kerasbert.layers.layer_history import original_above

# B batch, T tokens, H hidden size, P masked positions, V vocabulary


@keras.saving.register_keras_serializable(package="kerasbert")
class MaskedLMHead(keras.layers.Layer):
    """Computes logits over the vocabulary at masked positions only, which takes P / T of the work for all positions.

    The output matrix *is* the word embedding, also after saving, loading and cloning a model that contains both.

    Args:
        token_embedding: the layer that embeds the tokens: `BertEmbeddings`, `keras.layers.Embedding`, or any layer with
            a matrix [V, H] called `word_embeddings` or `embeddings`.
        activation: "gelu_tanh", "gelu_erf", the name of a Keras activation, or a function.
        layer_norm_eps: epsilon of the layer norm.
        initializer_range: standard deviation of the truncated normal initial weights.

    Call arguments:
        sequence_output: hidden states `[B, T, H]`.
        mask_positions: int32 `[B, P]`, each from 0 to T - 1.

    Returns:
        Logits `[B, P, V]`.

    Raises:
        BadInputError: an argument is invalid, or `token_embedding` does not have a matrix of width H.

    Source: google-research/bert, `run_pretraining.py` (`get_masked_lm_output`).

    Example:
        >>> embedding = keras.layers.Embedding(100, 8)
        >>> hidden = embedding(keras.ops.ones((1, 5), dtype="int32"))
        >>> tuple(MaskedLMHead(embedding)(hidden, keras.ops.array([[1, 3]])).shape)
        (1, 2, 100)
    """

    def __init__(
        self,
        token_embedding: keras.layers.Layer,
        activation: Activation = "gelu_tanh",
        layer_norm_eps: float = 1e-12,
        initializer_range: float = 0.02,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(token_embedding, keras.layers.Layer):
            raise BadInputError(
                "`token_embedding` must be the layer that embeds the tokens. "
                f"Received: token_embedding={token_embedding!r}. For example, `backbone.embeddings`."
            )
        self.token_embedding = token_embedding
        self.activation = restored_activation(activation)
        self.layer_norm_eps = check_positive_number("layer_norm_eps", layer_norm_eps)
        self.initializer_range = check_positive_number("initializer_range", initializer_range)
        self._activation_function = activation_function(self.activation)
        self._is_restored = False
        self.supports_masking = True

    def __call__(self, sequence_output: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the layer. A head that was restored from a config is first tied to the embedding in its graph."""
        if self._is_restored:
            original = original_above(sequence_output, self.token_embedding)
            if original is not None:
                self._tracker.unlock()
                self._tracker.untrack(self.token_embedding)
                self.token_embedding = original
                if self.built:
                    self._tracker.lock()
        return super().__call__(sequence_output, *args, **kwargs)

    def build(self, sequence_output_shape: Any, mask_positions_shape: Any = None) -> None:
        """Create the transform, its norm and the output bias [V]."""
        hidden_size = sequence_output_shape[-1]
        matrix = self._embedding_matrix()
        if matrix is None or matrix.shape[-1] != hidden_size:
            received = "none yet" if matrix is None else f"one of shape {tuple(matrix.shape)}"
            raise BadInputError(
                f"`token_embedding` must have a matrix [vocabulary, {hidden_size}] when the head is first called. "
                f"Received: layer {self.token_embedding.name!r} with {received}. "
                "Call the embedding before the head, and use the same hidden size for both."
            )
        self.transform_dense = keras.layers.Dense(
            hidden_size,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_range),
            dtype=self.dtype_policy,
            name="transform_dense",
        )
        self.transform_dense.build((None, hidden_size))
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=self.layer_norm_eps, dtype=self.dtype_policy, name="layer_norm"
        )
        self.layer_norm.build((None, hidden_size))
        self.output_bias = self.add_weight(name="output_bias", shape=(matrix.shape[0],), initializer="zeros")
        self.built = True

    def _embedding_matrix(self) -> Any:
        """Return the matrix [V, H] of `token_embedding`, or None if it has none."""
        matrix = getattr(self.token_embedding, "word_embeddings", None)
        return getattr(self.token_embedding, "embeddings", None) if matrix is None else matrix

    def call(self, sequence_output: Any, mask_positions: Any) -> Any:
        """Return logits [B, P, V] for hidden states [B, T, H] and positions [B, P]."""
        batch, tokens, hidden_size = ops.shape(sequence_output)
        mask_positions = ops.cast(mask_positions, "int32")
        # A position outside its row must be an error of the gather, and never select a token of the next row.
        is_inside = ops.logical_and(mask_positions >= 0, mask_positions < tokens)
        row_starts = ops.expand_dims(ops.arange(batch, dtype="int32") * tokens, -1)  # [B, 1]
        indices = ops.where(is_inside, mask_positions + row_starts, batch * tokens)
        flat = ops.reshape(sequence_output, (-1, hidden_size))  # [B, T, H] -> [B*T, H]
        gathered = ops.take(flat, ops.reshape(indices, (-1,)), axis=0)  # [B*P, H]

        transformed = self.layer_norm(self._activation_function(self.transform_dense(gathered)))
        matrix = ops.convert_to_tensor(self._embedding_matrix())
        logits = ops.matmul(transformed, ops.transpose(matrix))  # [B*P, H] x [H, V] -> [B*P, V]
        logits = logits + self.output_bias
        return ops.reshape(logits, (batch, ops.shape(mask_positions)[1], logits.shape[-1]))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return no mask: a mask of tokens does not apply to logits of masked positions."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the embedding as a serialized layer."""
        return {
            **super().get_config(),
            "token_embedding": keras.saving.serialize_keras_object(self.token_embedding),
            "activation": serialized_activation(self.activation),
            "layer_norm_eps": self.layer_norm_eps,
            "initializer_range": self.initializer_range,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MaskedLMHead":
        """Create a head on the embedding that Keras shares within one file, or on a copy until the head is called."""
        embedding = keras.saving.deserialize_keras_object(config["token_embedding"])
        head = cls(**{**config, "token_embedding": embedding})
        head._is_restored = True
        return head
