"""Runs a model without dropout, compiled once, for batches of any size and length.

Calling a Keras model directly runs it operation by operation, and `predict` compiles again for new shapes. Here
TensorFlow traces one graph with open dimensions, which does no work on padding. JAX needs fixed shapes: batches are
padded to a few sizes, so that a handful of compilations serve all batches.
"""

import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import tree

from kerasbert.layers.embeddings import checked_length
from kerasbert.models.flat_tokens import flat_tokens

# B batch, T tokens

Forward = Callable[[Any], Any]

_ROWS = 8  # JAX: batches are padded to a multiple of this number of rows.
# The functions made so far. They refer to their models weakly, so that both are freed together.
_FUNCTIONS: "weakref.WeakKeyDictionary[keras.Model, Forward]" = weakref.WeakKeyDictionary()


def compiled_forward(model: keras.Model) -> Forward:
    """Return the model as a compiled function from inputs to outputs, always the same function for the same model.

    The function sees weights that are assigned later. Dropout is off.

    Args:
        model: a functional model whose inputs have open dimensions for the batch and the tokens.

    Returns:
        A function that takes what the model takes (NumPy arrays or tensors) and returns what the model returns.

    Example:
        >>> model = keras.Sequential([keras.Input((None,)), keras.layers.Lambda(lambda x: 2 * x)])
        >>> forward = compiled_forward(model)
        >>> forward is compiled_forward(model), np.asarray(forward(np.ones((1, 2), "float32"))).tolist()
        (True, [[2.0, 2.0]])
    """
    if model not in _FUNCTIONS:
        make = {"tensorflow": _tensorflow_forward, "jax": _jax_forward}.get(keras.backend.backend())
        _FUNCTIONS[model] = make(model) if make else lambda inputs: model(inputs, training=False)
    return _FUNCTIONS[model]


def _tensorflow_forward(model: keras.Model) -> Forward:
    """One graph, whose dimensions are open where the model's inputs have open dimensions."""
    import tensorflow as tf

    reference = weakref.ref(model)
    signature = tree.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), _symbols(model, "input"))

    @tf.function(input_signature=[signature])
    def run(inputs: Any) -> Any:
        with flat_tokens():
            return _alive(reference)(inputs, training=False)

    def forward(inputs: Any) -> Any:
        inputs = _named_inputs(signature, inputs)
        _check_length(inputs, _position_limit(_alive(reference)))
        return run(tree.map_structure(lambda value, spec: tf.cast(value, spec.dtype), inputs, signature))

    return forward


def _jax_forward(model: keras.Model) -> Forward:
    """One compilation for each padded shape."""
    import jax

    reference = weakref.ref(model)

    @jax.jit
    def run(trainable: Any, fixed: Any, inputs: Any) -> Any:
        return _alive(reference).stateless_call(trainable, fixed, inputs, training=False)[0]

    def forward(inputs: Any) -> Any:
        model = _alive(reference)
        inputs = tree.map_structure(np.asarray, _named_inputs(_symbols(model, "input"), inputs))
        _check_length(inputs, _position_limit(model))
        rows, tokens = _rows_and_tokens(inputs)
        padded = _padded(inputs, rows, tokens, _position_limit(model))
        trainable = [variable.value for variable in model.trainable_variables]
        fixed = [variable.value for variable in model.non_trainable_variables]
        # The outputs of masked positions have as many columns as `mask_positions`, which is not padded.
        is_by_token = tokens is not None and "mask_positions" not in inputs
        return tree.map_structure(
            lambda output, symbol: (
                output[:rows, :tokens] if is_by_token and symbol.shape[1:2] == (None,) else output[:rows]
            ),
            run(trainable, fixed, padded),
            _symbols(model, "output"),
        )

    return forward


def _alive(reference: "weakref.ref[keras.Model]") -> keras.Model:
    """Return the model of a weak reference. The caller of a forward function holds the model."""
    model = reference()
    if model is None:
        raise RuntimeError("The model of this function no longer exists. Keep a reference to the model.")
    return model


def _symbols(model: keras.Model, what: str) -> Any:
    """Return the symbolic inputs or outputs of a functional or sequential model, in the structure that it takes."""
    if not isinstance(model, keras.Sequential):
        return getattr(model, what)
    return model.inputs[0] if what == "input" else model.outputs[0]


def _named_inputs(symbols: Any, inputs: Any) -> Any:
    """Return only the inputs whose names the model knows."""
    return {name: inputs[name] for name in symbols} if isinstance(symbols, dict) else inputs


def _check_length(inputs: Any, limit: int | None) -> None:
    """Refuse inputs that are too long here, because the error of a compiled graph would be less clear."""
    if limit is not None and isinstance(inputs, dict) and "token_ids" in inputs and np.ndim(inputs["token_ids"]) == 2:
        checked_length(inputs["token_ids"], limit)


def _rows_and_tokens(inputs: Any) -> tuple[int, int | None]:
    """Return B, and T of inputs with a padding mask [B, T]."""
    if isinstance(inputs, dict) and "padding_mask" in inputs and inputs["padding_mask"].ndim == 2:
        rows, tokens = inputs["padding_mask"].shape
        return rows, tokens
    return len(tree.flatten(inputs)[0]), None


def _padded(inputs: Any, rows: int, tokens: int | None, limit: int | None) -> Any:
    """Pad rows to a multiple of `_ROWS`, and everything that is as long as the padding mask to a few lengths.

    Added rows are copies of the first one, so they contain valid numbers. Added tokens are padding.
    """
    length = None if tokens is None else padded_length(tokens, limit)

    def pad(array: np.ndarray) -> np.ndarray:
        if length is not None and array.shape[1:2] == (tokens,):
            array = np.pad(array, [(0, 0), (0, length - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])
        return np.concatenate([array, np.repeat(array[:1], -rows % _ROWS, axis=0)])

    if not isinstance(inputs, dict):
        return tree.map_structure(pad, inputs)
    kept = {"mask_positions"}
    return {
        name: pad(array) if name not in kept else _padded(array, rows, None, None) for name, array in inputs.items()
    }


def padded_length(tokens: int, limit: int | None) -> int:
    """Return the length that inputs are padded to: steps of 16 up to 64, of 32 up to 128, of 64 beyond.

    Args:
        tokens: T, the length of the longest input.
        limit: maximum number of tokens of the model's inputs. None if there is no limit.

    Example:
        >>> [padded_length(tokens, 512) for tokens in (3, 33, 70, 130, 500)]
        [16, 48, 96, 192, 512]
    """
    step = 16 if tokens <= 64 else 32 if tokens <= 128 else 64
    length = -(-tokens // step) * step
    return length if limit is None else max(tokens, min(length, limit))


def _position_limit(model: keras.Model) -> int | None:
    """Return the length of the model's position table, if it has one."""
    backbone = getattr(model, "backbone", model)
    return getattr(backbone, "max_position_embeddings", None)
