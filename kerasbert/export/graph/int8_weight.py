"""A float32 matrix in a SavedModel that takes the space of 8-bit integers on disk.

The SavedModel stores the integers and their scales. What loads it (TF Serving, TensorFlow in Python, its C library)
computes the matrix once. So a loaded model is as fast as one in float32, and takes as much memory.
"""

import hashlib
from typing import Any

import tensorflow as tf

from kerasbert.models.precision import RoundedWeight


class Int8Weight(tf.saved_model.experimental.TrackableResource):
    """The matrix. Its tensors `stored` must be tracked by the object that is saved.

    A SavedModel can only have variables whose values it stores, so this is a variable's resource without the variable.

    Args:
        weight: the integers and scales.
    """

    def __init__(self, weight: RoundedWeight) -> None:
        super().__init__()
        # A process may have several models at once. Those that share a name have the same numbers.
        content = hashlib.sha256(weight.numbers.tobytes() + weight.scale.tobytes()).hexdigest()
        self._name = f"kerasbert_int8_{'x'.join(map(str, weight.numbers.shape))}_{content}"
        self._numbers = tf.Variable(weight.numbers, trainable=False)
        self._scale = tf.Variable(weight.scale, trainable=False)
        self.stored = [self._numbers, self._scale]

    def read(self) -> tf.Tensor:
        """The matrix, in the graph that is traced now."""
        value = tf.raw_ops.ReadVariableOp(resource=self.resource_handle, dtype=tf.float32)
        return tf.ensure_shape(value, self._numbers.shape)

    def _create_resource(self) -> Any:
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=self._numbers.shape, shared_name=self._name)

    def _initialize(self) -> None:
        values = tf.cast(self._numbers, tf.float32) * self._scale
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=values)
