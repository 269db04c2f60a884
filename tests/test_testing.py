"""The checks accept layers that follow the contract, and name the rule that another layer breaks."""

import keras
import numpy as np
import pytest

from kerasbert.testing import check_layer, check_model

pytestmark = pytest.mark.backend

X = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")


class Scale(keras.layers.Layer):
    """A user's own layer, which follows the contract."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(self.units,), initializer="ones")

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Forgets(Scale):
    def get_config(self):
        return keras.layers.Layer.get_config(self)


class ChangesItself(Scale):
    def build(self, shape):
        super().build(shape)
        self.units = 4


class NotAnAttribute(Scale):
    def __init__(self, units=3, **kwargs):
        super().__init__(units, **kwargs)
        del self.units
        self.size = units

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(self.size,), initializer="ones")

    def get_config(self):
        return {**keras.layers.Layer.get_config(self), "units": self.size}


class MixesRows(Scale):
    def call(self, inputs):
        return (inputs - keras.ops.mean(inputs, axis=0, keepdims=True)) * self.factor


class IsFloat32(Scale):
    def call(self, inputs):
        return keras.ops.cast(inputs * self.factor, "float32")


class IsRandom(Scale):
    def call(self, inputs):
        return keras.random.normal(keras.ops.shape(inputs)) * self.factor


class WrongShape(Scale):
    def compute_output_shape(self, shape):
        return (*shape[:-1], 7)


class SeesPadding(Scale):
    def call(self, inputs, padding_mask=None):
        return inputs * self.factor + keras.ops.sum(inputs, axis=1, keepdims=True)


def test_a_good_layer_passes():
    check_layer(Scale, {"units": 3}, X)


@pytest.mark.parametrize(
    ("layer_class", "rule"),
    [
        (Forgets, "config must contain each argument"),
        (ChangesItself, "`units` must be 3 after it was built"),
        (NotAnAttribute, "argument `units` must be an attribute before it is built"),
        (MixesRows, "must not depend on its batch"),
        (IsFloat32, "policy's compute dtype"),
        (IsRandom, "compute the same|not be random"),
        (WrongShape, "symbolic shape"),
    ],
)
def test_the_error_names_the_rule_that_a_layer_breaks(layer_class, rule):
    units = 3
    with pytest.raises((AssertionError, ValueError), match=rule):
        check_layer(layer_class, {"units": units}, X, jit_compile=False)


def test_a_layer_that_sees_padding_is_found():
    inputs = {"inputs": np.ones((2, 4, 3), "float32"), "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]])}
    with pytest.raises(AssertionError, match="Padding must not change the output at real positions"):
        check_layer(SeesPadding, {"units": 3}, inputs, jit_compile=False)


def plain_model(dtype):
    x = keras.Input((3,), name="x")
    model = keras.Model({"x": x}, keras.layers.Dense(2, dtype=dtype)(x))
    model.dtype_policy = keras.dtype_policies.get(dtype or "float32")
    return model


def test_a_model_with_other_inputs_is_found():
    check_model(plain_model, {"x": X}, half_precisions=("mixed_bfloat16",), jit_compile=False)
    with pytest.raises(AssertionError, match="must name the model's inputs"):
        check_model(plain_model, {"y": X})


def test_a_model_that_trains_in_float16_without_loss_scaling_is_found():
    def make(dtype):
        x = keras.Input((3,), name="x")
        return keras.Model({"x": x}, keras.layers.Dense(2, dtype=dtype)(x))

    with pytest.raises(AssertionError, match="dtype policy must be that of its parts, mixed_float16"):
        check_model(make, {"x": X}, half_precisions=("mixed_float16",), jit_compile=False)
