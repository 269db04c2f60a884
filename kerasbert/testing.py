"""Checks for the contracts that every layer and model here follows, which you can also run on your own.

One call in a test finds a layer that cannot be restored from its config, mixes up the rows of a batch or fails in half
precision. The checks do not know what a layer computes: test that separately.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

__all__ = ["check_layer", "check_model"]

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
    _check_attributes(layer, arguments, "before it is built")
    config = _config_text(layer)
    first, named = _call_arguments(inputs)
    outputs = _flatten(layer(*first, **named))
    weights = layer.get_weights()
    _check_attributes(layer, arguments, "after it was built")
    _require(_config_text(layer) == config, "`build` and `call` must not change the config.", _config_text(layer))

    restored = layer_class.from_config(layer.get_config())
    _require(_config_text(restored) == config, "from_config(get_config()) must give the same.", _config_text(restored))
    _require(arguments.keys() <= layer.get_config().keys(), "The config must contain each argument.", config)
    restored(*first, **named)
    restored.set_weights(weights)
    again = _flatten(restored(*first, **named))
    _check_equal(again, outputs, 0.0, "A layer from the config with the same weights must compute the same.")

    _check_functional(_functional(layer, inputs), inputs, tolerance, jit_compile)
    for policy in half_precisions:
        half = layer_class(**arguments, dtype=policy)
        model = _functional(half, inputs)
        half.set_weights(weights)
        _check_half_precision(model, {half.compute_dtype}, inputs, outputs, half_tolerance)


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
    """
    inputs = _as_dict(inputs)
    model = make_model(None)
    _require(sorted(model.input) == sorted(inputs), "`inputs` must name the model's inputs.", sorted(inputs))
    _require(all(name == tensor.name for name, tensor in model.input.items()), "Inputs must be named.", model.input)
    entries = model.get_config()
    # The config of a plain `keras.Model` is its graph.
    names = [name for name in entries if not hasattr(model, name) and "input_layers" not in entries]
    _require(not names, "Each entry of the config must be an attribute.", names)
    config = _config_text(model)
    restored = type(model).from_config(model.get_config())
    _require(type(restored) is type(model), "from_config must return the same class.", type(restored))
    _require(_config_text(restored) == config, "from_config(get_config()) must give the same.", _config_text(restored))
    outputs = _flatten(model(inputs, training=False))
    weights = model.get_weights()
    restored.set_weights(weights)
    again = _flatten(restored(inputs, training=False))
    _check_equal(again, outputs, 0.0, "A model from the config with the same weights must compute the same.")

    _check_functional(model, inputs, tolerance, jit_compile)
    for policy in half_precisions:
        half = make_model(policy)
        found = half.dtype_policy.name
        _require(found == policy, f"The model's dtype policy must be that of its parts, {policy}.", found)
        _check_loss_scaling(half, policy)
        half.set_weights(weights)
        # A model's last layer may stay in float32, which Keras' guide to mixed precision recommends.
        dtypes = {keras.DTypePolicy(policy).compute_dtype, "float32"}
        _check_half_precision(half, dtypes, inputs, outputs, half_tolerance)


def _check_functional(model: keras.Model, inputs: dict[str, np.ndarray], tolerance: float, jit_compile: bool) -> None:
    """Check what must hold for any functional model in float32. This trains the model: call it last."""
    result = model(inputs, training=False)
    outputs = _flatten(result)
    for symbolic, eager in zip(keras.tree.flatten(model.output), keras.tree.flatten(result), strict=True):
        fits = len(symbolic.shape) == len(eager.shape) and all(
            ours in (None, theirs) for ours, theirs in zip(symbolic.shape, eager.shape, strict=True)
        )
        _require(fits, f"The symbolic shape must be the eager one, {tuple(eager.shape)}.", symbolic.shape)
        dtype = keras.backend.standardize_dtype(eager.dtype)
        _require(symbolic.dtype == dtype, f"The symbolic dtype must be the eager one, {dtype}.", symbolic.dtype)
    _check_equal(_flatten(model(inputs, training=False)), outputs, 0.0, "Inference must not be random.")

    paths = [weight.path for weight in model.weights]
    _require(len(set(paths)) == len(paths), "Every weight must have a path of its own.", sorted(paths))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        model.save(file)
        loaded = keras.saving.load_model(file, {type(part).__name__: type(part) for part in (model, *model.layers)})
    count = len(loaded.weights)
    _require(count == len(model.weights), f"A `.keras` file must keep {len(model.weights)} weights.", count)
    again = _flatten(loaded(inputs, training=False))
    _check_equal(again, outputs, 0.0, "A model from its `.keras` file must compute the same.")

    _check_batch(model, inputs, outputs, tolerance)
    if "padding_mask" in inputs and inputs["padding_mask"].ndim == 2:
        _check_padding(model, inputs, outputs, tolerance)
    if jit_compile:
        model.compile(jit_compile=True)
        compiled = _flatten(model.predict_on_batch(inputs))
        _check_equal(compiled, outputs, tolerance, "A model compiled by XLA must compute the same.")
    _check_training(model, inputs, result)


def _check_batch(
    model: keras.Model, inputs: dict[str, np.ndarray], outputs: list[np.ndarray], tolerance: float
) -> None:
    """Check that a row's output does not depend on the batch size."""
    first = {name: value[:1] for name, value in inputs.items()}
    expected = [output[:1] for output in outputs]
    _check_equal(_flatten(model(first, training=False)), expected, tolerance, "A row must not depend on its batch.")
    doubled = {name: np.concatenate([value, value]) for name, value in inputs.items()}
    expected = [np.concatenate([output, output]) for output in outputs]
    _check_equal(_flatten(model(doubled, training=False)), expected, tolerance, "Any batch size must work.")


def _check_padding(
    model: keras.Model, inputs: dict[str, np.ndarray], outputs: list[np.ndarray], tolerance: float
) -> None:
    """Check that padding of any content does not change outputs at real positions, and padding alone gives no NaN."""
    mask = inputs["padding_mask"] != 0
    tokens = mask.shape[1]
    padded = {
        # Repeat the last token, which is certainly a valid value.
        name: np.concatenate([value, value[:, -1:] * (name != "padding_mask")], axis=1)
        if value.shape[1:2] == (tokens,)
        else value
        for name, value in inputs.items()
    }
    found = _flatten(model(padded, training=False))
    for ours, output in zip(found, outputs, strict=True):
        if output.shape[:2] == mask.shape:
            _check_equal([ours[:, :tokens][mask]], [output[mask]], tolerance, "Padding must change no real position.")
        else:
            _check_equal([ours], [output], tolerance, "Padding must not change the output.")
    nothing = {**inputs, "padding_mask": np.zeros_like(inputs["padding_mask"])}
    finite = all(np.isfinite(output).all() for output in _flatten(model(nothing, training=False)))
    _require(finite, "A row of nothing but padding must give finite numbers.", "NaN or infinity")


def _check_training(model: keras.Model, inputs: dict[str, np.ndarray], result: Any) -> None:
    """Check that one training step has a finite loss and changes weights, if there are trainable ones."""
    if not model.trainable_weights:
        return
    before = [np.asarray(weight) for weight in model.get_weights()]
    zeros = keras.tree.map_structure(lambda output: np.zeros(output.shape, "float32"), result)
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.tree.map_structure(lambda _: "mse", zeros),
        jit_compile=False,
    )
    loss = model.train_on_batch(inputs, zeros)
    _require(bool(np.all(np.isfinite(loss))), "The loss of a training step must be finite.", loss)
    changed = any(not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    _require(changed, "A training step must change weights.", "no change")


def _check_half_precision(
    model: keras.Model, dtypes: set[str], inputs: dict[str, np.ndarray], expected: list[np.ndarray], tolerance: float
) -> None:
    """Check that outputs have an allowed dtype, variables stay float32, and results are close to those in float32."""
    outputs = keras.tree.flatten(model(inputs, training=False))
    found = {keras.backend.standardize_dtype(output.dtype) for output in outputs}
    _require(found <= dtypes, f"Outputs must have the policy's compute dtype, {sorted(dtypes)}.", found)
    kept = {weight.dtype for weight in model.weights if keras.backend.is_float_dtype(weight.dtype)} <= {"float32"}
    _require(kept, "Variables must stay float32 in mixed precision.", [weight.dtype for weight in model.weights])
    _check_equal(_flatten(outputs), expected, tolerance, f"Numbers in {sorted(dtypes)} must be near those in float32.")


def _check_loss_scaling(model: keras.Model, policy: str) -> None:
    """Check that `compile` scales the loss for float16, in which gradients below 6e-8 become 0."""
    model.compile("sgd", jit_compile=False)
    is_scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    _require(is_scaled == (policy == "mixed_float16"), f"`compile` must scale the loss for {policy} only.", is_scaled)


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


def _flatten(outputs: Any) -> list[np.ndarray]:
    """Return all outputs as float32 arrays, in a fixed order."""
    return [keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")) for output in keras.tree.flatten(outputs)]


def _config_text(thing: keras.layers.Layer) -> str:
    """Return the config as JSON text, as in a `.keras` file."""
    return json.dumps(keras.saving.serialize_keras_object(thing)["config"], sort_keys=True)


def _check_attributes(layer: keras.layers.Layer, arguments: Mapping[str, Any], when: str) -> None:
    """Check that each argument is an attribute with the same name and value."""
    for name, value in arguments.items():
        _require(hasattr(layer, name), f"The argument `{name}` must be an attribute {when}.", "none")
        same = getattr(layer, name) is value or bool(np.all(getattr(layer, name) == value))
        _require(same, f"The attribute `{name}` must be {value!r} {when}.", getattr(layer, name))


def _check_equal(found: list[np.ndarray], expected: list[np.ndarray], tolerance: float, rule: str) -> None:
    """Check that all arrays are equal within the tolerance, and contain no NaN."""
    for ours, theirs in zip(found, expected, strict=True):
        _require(ours.shape == theirs.shape, f"{rule} Expected the shape {theirs.shape}.", ours.shape)
        difference = float(np.max(np.abs(ours - theirs), initial=0.0))
        _require(difference <= tolerance, f"{rule} Allowed difference: {tolerance}.", difference)


def _require(condition: bool, rule: str, received: Any) -> None:
    """Raise an error with the rule and the result unless the condition holds."""
    if not condition:
        raise AssertionError(f"{rule} Received: {received}")
