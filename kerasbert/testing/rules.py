"""The rules that hold for any functional model: saving, batches, padding, training and half precision."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasbert.testing.equality import check_equal, flatten, require

# B batch, T tokens


def check_functional(model: keras.Model, inputs: dict[str, np.ndarray], tolerance: float, jit_compile: bool) -> None:
    """Check what must hold for any functional model in float32. This trains the model: call it last."""
    result = model(inputs, training=False)
    outputs = flatten(result)
    for symbolic, eager in zip(keras.tree.flatten(model.output), keras.tree.flatten(result), strict=True):
        fits = len(symbolic.shape) == len(eager.shape) and all(
            ours in (None, theirs) for ours, theirs in zip(symbolic.shape, eager.shape, strict=True)
        )
        require(fits, f"The symbolic shape must be the eager one, {tuple(eager.shape)}.", symbolic.shape)
        dtype = keras.backend.standardize_dtype(eager.dtype)
        require(symbolic.dtype == dtype, f"The symbolic dtype must be the eager one, {dtype}.", symbolic.dtype)
    check_equal(flatten(model(inputs, training=False)), outputs, 0.0, "Inference must not be random.")

    paths = [weight.path for weight in model.weights]
    require(len(set(paths)) == len(paths), "Every weight must have a unique path.", sorted(paths))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        model.save(file)
        loaded = keras.saving.load_model(file, {type(part).__name__: type(part) for part in (model, *model.layers)})
    count = len(loaded.weights)
    require(count == len(model.weights), f"A `.keras` file must keep {len(model.weights)} weights.", count)
    again = flatten(loaded(inputs, training=False))
    check_equal(again, outputs, 0.0, "A model from its `.keras` file must compute the same.")

    check_batch(model, inputs, outputs, tolerance)
    if "padding_mask" in inputs and inputs["padding_mask"].ndim == 2:
        check_padding(model, inputs, outputs, tolerance)
    if jit_compile:
        model.compile(jit_compile=True)
        compiled = flatten(model.predict_on_batch(inputs))
        check_equal(compiled, outputs, tolerance, "A model compiled by XLA must compute the same.")
    check_training(model, inputs, result)


def check_batch(model: keras.Model, inputs: dict[str, np.ndarray], outputs: list[np.ndarray], tolerance: float) -> None:
    """Check that a row's output does not depend on the batch size."""
    first = {name: value[:1] for name, value in inputs.items()}
    expected = [output[:1] for output in outputs]
    check_equal(flatten(model(first, training=False)), expected, tolerance, "A row must not depend on its batch.")
    doubled = {name: np.concatenate([value, value]) for name, value in inputs.items()}
    expected = [np.concatenate([output, output]) for output in outputs]
    check_equal(flatten(model(doubled, training=False)), expected, tolerance, "Any batch size must work.")


def check_padding(
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
    found = flatten(model(padded, training=False))
    for ours, output in zip(found, outputs, strict=True):
        if output.shape[:2] == mask.shape:
            check_equal(
                [ours[:, :tokens][mask]],
                [output[mask]],
                tolerance,
                "Padding must not change the output at real positions.",
            )
        else:
            check_equal([ours], [output], tolerance, "Padding must not change the output.")
    nothing = {**inputs, "padding_mask": np.zeros_like(inputs["padding_mask"])}
    finite = all(np.isfinite(output).all() for output in flatten(model(nothing, training=False)))
    require(finite, "A row of only padding must give finite numbers.", "NaN or infinity")


def check_training(model: keras.Model, inputs: dict[str, np.ndarray], result: Any) -> None:
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
    require(bool(np.all(np.isfinite(loss))), "The loss of a training step must be finite.", loss)
    changed = any(not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    require(changed, "A training step must change weights.", "no change")


def check_half_precision(
    model: keras.Model, dtypes: set[str], inputs: dict[str, np.ndarray], expected: list[np.ndarray], tolerance: float
) -> None:
    """Check that outputs have an allowed dtype, variables stay float32, and results are close to those in float32."""
    outputs = keras.tree.flatten(model(inputs, training=False))
    found = {keras.backend.standardize_dtype(output.dtype) for output in outputs}
    require(found <= dtypes, f"Outputs must have the policy's compute dtype, {sorted(dtypes)}.", found)
    kept = {weight.dtype for weight in model.weights if keras.backend.is_float_dtype(weight.dtype)} <= {"float32"}
    require(kept, "Variables must stay float32 in mixed precision.", [weight.dtype for weight in model.weights])
    check_equal(flatten(outputs), expected, tolerance, f"Numbers in {sorted(dtypes)} must be near those in float32.")


def check_loss_scaling(model: keras.Model, policy: str) -> None:
    """Check that `compile` scales the loss for float16, in which gradients below 6e-8 become 0."""
    model.compile("sgd", jit_compile=False)
    is_scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    require(is_scaled == (policy == "mixed_float16"), f"`compile` must scale the loss for {policy} only.", is_scaled)
