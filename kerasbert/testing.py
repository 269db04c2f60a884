"""The contracts that every layer and model here keeps, as checks that anybody can run on their own layer or model.

Why it exists: a layer that cannot come back from its config, mixes up the rows of a batch or breaks in half precision
is found by one call in a test. What a layer computes is for its own tests: these checks know no formula.
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
    """Checks that a layer keeps the house's contract.

    Arguments are attributes are config, and `build` changes none of them; the layer comes back from its config, and a
    functional model with it from a `.keras` file; symbolic shapes and dtypes are the eager ones; rows are independent
    of their batch and of padding; the dtype policy is followed; it trains and compiles.

    Args:
        layer_class: the layer's class.
        arguments: constructor arguments.
        inputs: a NumPy array, or a dict of them by name of the `call` argument, the first argument first. The batch is
            the first dimension and has at least 2 rows. With a `padding_mask` [B, T] among them, more padding must not
            change the output at real positions.
        tolerance: largest difference allowed where float32 results should be equal.
        half_tolerance: largest difference between half-precision and float32 results.
        half_precisions: dtype policies to try; none if empty.
        jit_compile: also compile with XLA.

    Raises:
        AssertionError: the contract is broken. The message gives the rule and what came.

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
    _require(arguments.keys() <= layer.get_config().keys(), "The config must hold each argument.", config)
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
    """Checks that a functional model keeps the house's contract, which is that of `check_layer`.

    In addition, a model made in `"mixed_float16"` gets loss scaling from `compile`.

    Args:
        make_model: makes a new model with fresh weights in the dtype policy that it is given; None is Keras's default.
        inputs: NumPy arrays by the name of the model's input, the batch first, at least 2 rows.
        tolerance: see `check_layer`.
        half_tolerance: see `check_layer`.
        half_precisions: see `check_layer`.
        jit_compile: also compile with XLA.

    Raises:
        AssertionError: the contract is broken. The message gives the rule and what came.
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
    """What holds for any functional model in float32, and so for a layer in one. Trains the model: check this last."""
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
    """A row's output is its own at any batch size."""
    first = {name: value[:1] for name, value in inputs.items()}
    expected = [output[:1] for output in outputs]
    _check_equal(_flatten(model(first, training=False)), expected, tolerance, "A row must not depend on its batch.")
    doubled = {name: np.concatenate([value, value]) for name, value in inputs.items()}
    expected = [np.concatenate([output, output]) for output in outputs]
    _check_equal(_flatten(model(doubled, training=False)), expected, tolerance, "Any batch size must work.")


def _check_padding(
    model: keras.Model, inputs: dict[str, np.ndarray], outputs: list[np.ndarray], tolerance: float
) -> None:
    """More padding, whatever lies in it, changes no output at a real position, and nothing but padding gives no NaN."""
    mask = inputs["padding_mask"] != 0
    tokens = mask.shape[1]
    padded = {
        # The last token once more, as a value that is surely legal.
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
    """One step of training gives a finite loss and changes weights, if there are any to train."""
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
    """Outputs have an allowed dtype, variables stay float32, and the numbers are near those of float32."""
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
    """A functional model of one layer, for any batch size; tokens too are any number beside a padding mask."""
    tokens = inputs["padding_mask"].shape[1] if "padding_mask" in inputs else None
    symbols = {}
    for name, value in inputs.items():
        shape = tuple(None if size == tokens and axis == 0 else size for axis, size in enumerate(value.shape[1:]))
        symbols[name] = keras.Input(shape=shape, dtype=str(value.dtype), name=name)
    first, named = _call_arguments(symbols)
    return keras.Model(symbols, layer(*first, **named))


def _call_arguments(inputs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The first input, which Keras wants by position, and the others by name."""
    (_, first), *others = inputs.items()
    return [first], dict(others)


def _as_dict(inputs: Any) -> dict[str, np.ndarray]:
    """The inputs by name, integers as int32 and other numbers as float32."""
    named = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
    arrays = {name: np.asarray(value) for name, value in named.items()}
    return {
        name: value.astype("int32" if np.issubdtype(value.dtype, np.integer) else "float32")
        for name, value in arrays.items()
    }


def _flatten(outputs: Any) -> list[np.ndarray]:
    """All outputs as float32 arrays, in a fixed order."""
    return [keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")) for output in keras.tree.flatten(outputs)]


def _config_text(thing: keras.layers.Layer) -> str:
    """The config as JSON text, as a `.keras` file would hold it."""
    return json.dumps(keras.saving.serialize_keras_object(thing)["config"], sort_keys=True)


def _check_attributes(layer: keras.layers.Layer, arguments: Mapping[str, Any], when: str) -> None:
    """Each argument is an attribute of the same name and value."""
    for name, value in arguments.items():
        _require(hasattr(layer, name), f"The argument `{name}` must be an attribute {when}.", "none")
        same = getattr(layer, name) is value or bool(np.all(getattr(layer, name) == value))
        _require(same, f"The attribute `{name}` must be {value!r} {when}.", getattr(layer, name))


def _check_equal(found: list[np.ndarray], expected: list[np.ndarray], tolerance: float, rule: str) -> None:
    """All arrays are equal within the tolerance; NaN equals nothing."""
    for ours, theirs in zip(found, expected, strict=True):
        _require(ours.shape == theirs.shape, f"{rule} Expected the shape {theirs.shape}.", ours.shape)
        difference = float(np.max(np.abs(ours - theirs), initial=0.0))
        _require(difference <= tolerance, f"{rule} Allowed difference: {tolerance}.", difference)


def _require(condition: bool, rule: str, received: Any) -> None:
    """Raises an error that gives the rule and what came."""
    if not condition:
        raise AssertionError(f"{rule} Received: {received}")
