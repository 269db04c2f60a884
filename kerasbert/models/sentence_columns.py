"""Runs one sentence encoder over several texts of each row, for training on pairs, triplets and more."""

from typing import Any

import keras
from keras import ops

from kerasbert.argument_checks import check_positive_integer
from kerasbert.models.sentence_encoder import BertSentenceEncoder

# B batch, K texts of a row, T tokens, E numbers of a vector


@keras.saving.register_keras_serializable(package="kerasbert")
class MergeColumns(keras.layers.Layer):
    """Makes one batch of all texts: `[B, K, T]` becomes `[B*K, T]`, the texts of a row next to each other.

    Call arguments:
        tokens: `[B, K, T]`.

    Example:
        >>> MergeColumns()(keras.ops.zeros((2, 3, 5))).shape[0]
        6
    """

    def call(self, tokens: Any) -> Any:
        """Return [B*K, T] of [B, K, T]."""
        return ops.reshape(tokens, (-1, ops.shape(tokens)[2]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the merged batch."""
        rows, columns, tokens = input_shape
        return (rows * columns if rows and columns else None, tokens)


@keras.saving.register_keras_serializable(package="kerasbert")
class SplitColumns(keras.layers.Layer):
    """Undoes `MergeColumns` for the vectors: `[B*K, E]` becomes `[B, K, E]`.

    Args:
        num_columns: K, the number of texts in a row.
        **kwargs: arguments of a Keras layer.

    Call arguments:
        vectors: `[B*K, E]`.

    Example:
        >>> tuple(SplitColumns(3)(keras.ops.zeros((6, 4))).shape)
        (2, 3, 4)
    """

    def __init__(self, num_columns: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_columns = check_positive_integer("num_columns", num_columns)

    def call(self, vectors: Any) -> Any:
        """Return [B, K, E] of [B*K, E]."""
        return ops.reshape(vectors, (-1, self.num_columns, vectors.shape[-1]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the split batch."""
        rows, size = input_shape
        return (rows // self.num_columns if rows else None, self.num_columns, size)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "num_columns": self.num_columns}


def encode_columns(encoder: BertSentenceEncoder, num_columns: int) -> keras.Model:
    """Return a model of the encoder that takes rows of several texts.

    It shares the encoder's weights: training the one trains the other. All texts of a batch go through the encoder
    together.

    Args:
        encoder: the encoder.
        num_columns: K, the number of texts in a row.

    Returns:
        A model from `token_ids`, `segment_ids` and `padding_mask` `[B, K, T]` to vectors `[B, K, E]`.

    Raises:
        BadInputError: `num_columns` is not a whole number of at least 1.

    Example:
        >>> from kerasbert import BertBackbone, BertConfig
        >>> encoder = BertSentenceEncoder(BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100)))
        >>> ids = keras.ops.ones((4, 2, 5), dtype="int32")
        >>> inputs = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids}
        >>> tuple(encode_columns(encoder, 2)(inputs).shape)
        (4, 2, 128)
    """
    num_columns = check_positive_integer("num_columns", num_columns)
    inputs = {name: keras.Input((num_columns, None), dtype="int32", name=name) for name in encoder.input}
    merged = {name: MergeColumns(name=f"merge_{name}", dtype="int32")(tensor) for name, tensor in inputs.items()}
    vectors = SplitColumns(num_columns, dtype="float32", name="split")(encoder(merged))
    return keras.Model(inputs, vectors)
