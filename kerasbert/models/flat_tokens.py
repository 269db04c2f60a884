"""Runs whole models on real tokens only: embeddings and encoder blocks work on a flat list of tokens.

The graph of a model passes hidden states `[B, T, H]` from layer to layer, which is what its users want to see. Within
`flat_tokens()`, the same graph passes a flat list of tokens between the embeddings and the encoder blocks, and rows to
every other layer. The answers are the same; at padding, hidden states are 0.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import keras

from kerasbert.layers import BertEmbeddings, EncoderBlock, TokenLayout, token_layout

# B batch, T tokens of the longest row, F tokens of the flat list, H hidden size

Operation = Callable[..., Any]

_IS_ON = contextvars.ContextVar("flat_tokens", default=False)


@contextlib.contextmanager
def flat_tokens(is_on: bool = True) -> Iterator[None]:
    """Within this context, kerasbert's models do no work on padding: `with flat_tokens(): model.predict(inputs)`.

    A function that TensorFlow compiles keeps what was true when it was traced. The context has an effect on the
    TensorFlow backend only, and not in functions that XLA compiles (`jit_compile=True`): their shapes are fixed.

    Args:
        is_on: False turns an outer context off.

    Example:
        >>> from kerasbert.config import BertConfig
        >>> from kerasbert.models import BertBackbone
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> ids = keras.ops.array([[1, 2, 3], [4, 0, 0]])
        >>> inputs = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": keras.ops.cast(ids > 0, "int32")}
        >>> with flat_tokens():
        ...     flat = backbone(inputs)["pooled_output"]
        >>> float(keras.ops.max(keras.ops.abs(flat - backbone(inputs)["pooled_output"]))) < 1e-6
        True
    """
    token = _IS_ON.set(is_on and keras.backend.backend() == "tensorflow")
    try:
        yield
    finally:
        _IS_ON.reset(token)


class FlatTokens:
    """The base class of models that can run on flat tokens. It comes before `keras.Model` among the base classes.

    Keras has no public way to run a model's graph with another value for a layer's output, so this overrides the
    method with which every functional model runs its graph.
    """

    def _run_through_graph(
        self, inputs: Any, operation_fn: Callable[[Any], Operation] = lambda operation: operation, call_fn: Any = None
    ) -> Any:
        run = super()._run_through_graph  # type: ignore[misc]
        if not _IS_ON.get() or call_fn is not None:
            return run(inputs, operation_fn, call_fn)
        outputs = run(inputs, lambda operation: _flat_operation(operation, operation_fn(operation)))
        return keras.tree.map_structure(_as_rows, outputs)


class _Embedded:
    """The embedding of a batch, which waits for the layer that uses it: that one knows the padding mask."""

    def __init__(self, embed: Operation, arguments: tuple, keywords: dict[str, Any]):
        self._embed, self._arguments, self._keywords = embed, arguments, keywords
        self._rows: Any = None

    def flat(self, layout: TokenLayout) -> "_Flat":
        """The flat list of the tokens."""
        return _Flat(self._embed(*self._arguments, **self._keywords, layout=layout), layout)

    def rows(self) -> Any:
        """Rows [B, T, H] with padding."""
        if self._rows is None:
            self._rows = self._embed(*self._arguments, **self._keywords)
        return self._rows


class _Flat:
    """Hidden states as a flat list [F, H] with its layout."""

    def __init__(self, tokens: Any, layout: TokenLayout):
        self.tokens, self.layout = tokens, layout
        self._rows: Any = None

    def rows(self) -> Any:
        """Rows [B, T, H], 0 at padding."""
        if self._rows is None:
            self._rows = self.layout.to_rows(self.tokens)
        return self._rows


def _flat_operation(operation: Any, run: Operation) -> Operation:
    """Return what runs one operation of a model's graph, whose inputs may be flat lists."""
    if isinstance(operation, BertEmbeddings):
        return lambda *args, **kwargs: _Embedded(run, args, kwargs)
    if isinstance(operation, EncoderBlock):
        return lambda *args, **kwargs: _run_block(run, *args, **kwargs)
    return lambda *args, **kwargs: run(*keras.tree.map_structure(_as_rows, args), **_rows_of(kwargs))


def _run_block(run: Operation, hidden: Any, padding_mask: Any = None, **kwargs: Any) -> Any:
    """Run an encoder block on a flat list if it can have one: it needs a padding mask, and scores are not flat."""
    if padding_mask is None or kwargs.get("return_attention_scores"):
        return run(_as_rows(hidden), padding_mask=padding_mask, **kwargs)
    if isinstance(hidden, _Embedded):
        hidden = hidden.flat(token_layout(padding_mask))
    if not isinstance(hidden, _Flat) or hidden.layout.padding_mask is not padding_mask:
        rows, layout = _as_rows(hidden), token_layout(padding_mask)
        hidden = _Flat(layout.to_flat(rows), layout)
    return _Flat(run(hidden.tokens, layout=hidden.layout, **kwargs), hidden.layout)


def _as_rows(value: Any) -> Any:
    return value.rows() if isinstance(value, _Embedded | _Flat) else value


def _rows_of(keywords: dict[str, Any]) -> dict[str, Any]:
    return {name: keras.tree.map_structure(_as_rows, value) for name, value in keywords.items()}
