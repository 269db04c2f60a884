"""Where the tokens of a batch are, so that layers can work on a flat list of real tokens and do no work on padding.

A batch of texts is padded to its longest text. Only attention needs rows: every other layer treats each token on its
own. So hidden states may travel as a flat list `[F, H]`, and `SelfAttention` puts them into rows and back. The numbers
of real tokens are the same as with padding. For whole models, see `kerasbert.models.flat_tokens`.

Flat lists have a length that depends on the values of the mask, so they do not work in functions that JAX or XLA
compiles.
"""

from typing import Any, NamedTuple

from keras import ops

# B batch, T tokens of the longest row, F tokens of the flat list, H hidden size


class TokenLayout(NamedTuple):
    """The rows and positions of a flat list of tokens. Make one with `token_layout`.

    Attributes:
        padding_mask: `[B, T]`, 1 at real tokens.
        source: int32 `[F]`, the index of each token of the list among the B*T positions of the batch, in order.
        place: int32 `[B*T]`, the index of each position in the list; at padding, of a token before it.
        is_kept: bool `[B*T]`, whether a position is in the list.

    Example:
        >>> layout = token_layout(ops.array([[1, 1, 1], [1, 0, 0]]))
        >>> ops.convert_to_numpy(layout.positions).tolist()
        [0, 1, 2, 0]
    """

    padding_mask: Any
    source: Any
    place: Any
    is_kept: Any

    @property
    def positions(self) -> Any:
        """The position of each token of the list in its row, int32 `[F]`."""
        return ops.mod(self.source, ops.shape(self.padding_mask)[1])

    def to_flat(self, rows: Any) -> Any:
        """Return `[F, ...]`, the tokens of the list, for `[B, T, ...]`."""
        shape = ops.shape(rows)
        return _picked(ops.reshape(rows, (-1, *shape[2:])), self.source, self.place, self.is_kept)

    def to_rows(self, flat: Any, fill: bool = True) -> Any:
        """Return `[B, T, ...]` for `[F, ...]`.

        Args:
            flat: a value for each token of the list.
            fill: whether positions that are not in the list become 0. Without it, they have the value of another
                token, which is faster, and the caller must not use them.
        """
        rows = _picked(flat, self.place, self.source, None)
        if fill:
            is_kept = ops.reshape(self.is_kept, (-1,) + (1,) * (len(flat.shape) - 1))
            rows = ops.where(is_kept, rows, ops.zeros((), dtype=rows.dtype))
        return ops.reshape(rows, (*ops.shape(self.padding_mask), *ops.shape(flat)[1:]))


def token_layout(padding_mask: Any) -> TokenLayout:
    """Return the layout of a batch.

    The list contains all real tokens. It also contains the first position of each row, which the pooler reads, and all
    positions of rows without real tokens, so that these have the same answers as with padding.

    Args:
        padding_mask: `[B, T]`, 0 at padding tokens and another value at real tokens.

    Example:
        >>> layout = token_layout(ops.array([[1, 1, 1], [1, 0, 0]]))
        >>> ops.convert_to_numpy(layout.to_flat(ops.array([[5, 6, 7], [8, 0, 0]]))).tolist()
        [5, 6, 7, 8]
        >>> ops.convert_to_numpy(layout.to_rows(ops.array([5, 6, 7, 8]))).tolist()
        [[5, 6, 7], [8, 0, 0]]
    """
    is_real = ops.cast(padding_mask, "bool")
    is_first = ops.expand_dims(ops.arange(ops.shape(padding_mask)[1]) == 0, 0)
    is_empty = ops.logical_not(ops.any(is_real, axis=1, keepdims=True))
    is_kept = ops.reshape(ops.logical_or(is_real, ops.logical_or(is_first, is_empty)), (-1,))  # [B*T]
    source = ops.cast(ops.nonzero(is_kept)[0], "int32")
    place = ops.cumsum(ops.cast(is_kept, "int32")) - 1
    return TokenLayout(padding_mask, source, place, is_kept)


def _picked(values: Any, indices: Any, back: Any, is_used: Any) -> Any:
    """Return `values[indices]`. Its gradient is a gather as well, because TensorFlow's own scatters token by token.

    Args:
        values: `[M, ...]`.
        indices: int32 `[K]`.
        back: int32 `[M]`, the index in the result from which each value gets its gradient.
        is_used: bool `[M]`, whether each value is in the result. None if all are.
    """
    if not _is_differentiable(values):
        return ops.take(values, indices, axis=0)

    @ops.custom_gradient
    def pick(values: Any) -> Any:
        def gradient(*args: Any, upstream: Any = None) -> Any:
            upstream = args[0] if upstream is None else upstream
            gradients = ops.take(upstream, back, axis=0)
            if is_used is None:
                return gradients
            mask = ops.reshape(is_used, (-1,) + (1,) * (len(upstream.shape) - 1))
            return ops.where(mask, gradients, ops.zeros((), dtype=gradients.dtype))

        return ops.take(values, indices, axis=0), gradient

    return pick(values)


def _is_differentiable(values: Any) -> bool:
    return "float" in str(values.dtype)
