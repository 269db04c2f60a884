"""The contract of layers and models: what `check_layer` and `check_model` require, rule by rule in rules.py."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from kerasbert.testing.equality import check_attributes, check_equal, config_text, flatten, require
from kerasbert.testing.rules import check_functional, check_half_precision, check_loss_scaling

HALF_PRECISIONS = ("mixed_float16", "mixed_bfloat16")

# B batch, T tokens


def check_layer(
    layer_class: type[keras.layers.Layer],
    arguments: Mapping[str, Any],
    inputs: Any,
    *,
    tolerance: float = 1e-5,
    half_tolerance: float = 0.05,
    half_precisions: tuple[str, ...] = HALF_PRECISIONS,
    jit_compile: bool = True,
) -> None:
    """Check that a layer follows this library's contract.

    Its arguments are attributes and config entries, and `build` does not change them; the layer can be restored from
    its config, and a functional model with it from a `.keras` file; symbolic shapes and dtypes equal the eager ones;
    the result of a row does not depend on its batch or on padding; the layer follows its dtype policy, trains and
    compiles.

    Args:
        layer_class: the layer's class.
        arguments: constructor arguments.
        inputs: a NumPy array, or a dict of arrays by argument of `call`, in the order of the arguments. The batch is
            the first dimension and has at least 2 rows. If there is a `padding_mask` `[B, T]`, more padding must not
            change the output at real positions.
        tolerance: largest allowed difference between float32 results that should be equal.
        half_tolerance: largest allowed difference between half-precision and float32 results.
        half_precisions: dtype policies to try. May be empty.
        jit_compile: whether to also compile with XLA.

    Raises:
        AssertionError: the layer breaks the contract. The message states the rule and the result.

    Example:
        >>> check_layer(keras.layers.Dense, {"units": 3}, np.ones((2, 4), "float32"), jit_compile=False)
    """
    inputs = _as_dict(inputs)
    layer = layer_class(**arguments)
    check_attributes(layer, arguments, "before it is built")
    config = config_text(layer)
    first, named = _call_arguments(inputs)
    outputs = flatten(layer(*first, **named))
    weights = layer.get_weights()
    check_attributes(layer, arguments, "after it was built")
    require(config_text(layer) == config, "`build` and `call` must not change the config.", config_text(layer))

    restored = layer_class.from_config(layer.get_config())
    require(config_text(restored) == config, "from_config(get_config()) must give the same.", config_text(restored))
    require(arguments.keys() <= layer.get_config().keys(), "The config must contain each argument.", config)
    restored(*first, **named)
    restored.set_weights(weights)
    again = flatten(restored(*first, **named))
    check_equal(again, outputs, 0.0, "A layer from the config with the same weights must compute the same.")

    check_functional(_functional(layer, inputs), inputs, tolerance, jit_compile)
    for policy in half_precisions:
        half = layer_class(**arguments, dtype=policy)
        model = _functional(half, inputs)
        half.set_weights(weights)
        check_half_precision(model, {half.compute_dtype}, inputs, outputs, half_tolerance)


def check_model(
    make_model: Callable[[str | None], keras.Model],
    inputs: Mapping[str, np.ndarray],
    *,
    tolerance: float = 1e-5,
    half_tolerance: float = 0.05,
    half_precisions: tuple[str, ...] = HALF_PRECISIONS,
    jit_compile: bool = True,
) -> None:
    """Check that a functional model follows this library's contract: the rules of `check_layer`.

    In addition, `compile` must add loss scaling to a model in `"mixed_float16"`.

    Args:
        make_model: returns a new model with new weights in the given dtype policy; None is Keras's default.
        inputs: NumPy arrays by the name of the model's input, with the batch first and at least 2 rows.
        tolerance: see `check_layer`.
        half_tolerance: see `check_layer`.
        half_precisions: see `check_layer`.
        jit_compile: also compile with XLA.

    Raises:
        AssertionError: the model breaks the contract. The message states the rule and the result.

    Example:
        >>> def make_model(dtype):
        ...     hidden = keras.Input((4,), name="hidden")
        ...     return keras.Model({"hidden": hidden}, keras.layers.Dense(2, dtype=dtype)(hidden))
        >>> check_model(make_model, {"hidden": np.ones((2, 4), "float32")}, half_precisions=(), jit_compile=False)
    """
    inputs = _as_dict(inputs)
    model = make_model(None)
    require(sorted(model.input) == sorted(inputs), "`inputs` must name the model's inputs.", sorted(inputs))
    require(all(name == tensor.name for name, tensor in model.input.items()), "Inputs must be named.", model.input)
    entries = model.get_config()
    # The config of a plain `keras.Model` is its graph.
    names = [name for name in entries if not hasattr(model, name) and "input_layers" not in entries]
    require(not names, "Each entry of the config must be an attribute.", names)
    config = config_text(model)
    restored = type(model).from_config(model.get_config())
    require(type(restored) is type(model), "from_config must return the same class.", type(restored))
    require(config_text(restored) == config, "from_config(get_config()) must give the same.", config_text(restored))
    outputs = flatten(model(inputs, training=False))
    weights = model.get_weights()
    restored.set_weights(weights)
    again = flatten(restored(inputs, training=False))
    check_equal(again, outputs, 0.0, "A model from the config with the same weights must compute the same.")

    check_functional(model, inputs, tolerance, jit_compile)
    for policy in half_precisions:
        half = make_model(policy)
        found = half.dtype_policy.name
        require(found == policy, f"The model's dtype policy must be that of its parts, {policy}.", found)
        check_loss_scaling(half, policy)
        half.set_weights(weights)
        # A model's last layer may stay in float32, as Keras's guide to mixed precision recommends.
        dtypes = {keras.DTypePolicy(policy).compute_dtype, "float32"}
        check_half_precision(half, dtypes, inputs, outputs, half_tolerance)


def _functional(layer: keras.layers.Layer, inputs: dict[str, np.ndarray]) -> keras.Model:
    """Return a functional model of one layer, for any batch size, and any length if there is a padding mask."""
    tokens = inputs["padding_mask"].shape[1] if "padding_mask" in inputs else None
    symbols = {}
    for name, value in inputs.items():
        shape = tuple(None if size == tokens and axis == 0 else size for axis, size in enumerate(value.shape[1:]))
        symbols[name] = keras.Input(shape=shape, dtype=str(value.dtype), name=name)
    first, named = _call_arguments(symbols)
    return keras.Model(symbols, layer(*first, **named))


def _call_arguments(inputs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the first input, which Keras expects by position, and the others by name."""
    (_, first), *others = inputs.items()
    return [first], dict(others)


def _as_dict(inputs: Any) -> dict[str, np.ndarray]:
    """Return the inputs by name, with integers as int32 and other numbers as float32."""
    named = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
    arrays = {name: np.asarray(value) for name, value in named.items()}
    return {
        name: value.astype("int32" if np.issubdtype(value.dtype, np.integer) else "float32")
        for name, value in arrays.items()
    }
