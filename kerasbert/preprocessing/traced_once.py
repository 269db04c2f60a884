"""Functions of tensors that are traced once in a process, and called from every graph after that."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


class TracedOnce:
    """A function of tensors, as a graph that is made at its first call.

    A `tf.function` is traced again wherever TensorFlow's own state differs, for instance while a SavedModel is written.
    That would be most of the time that an export takes, because preprocessing consists of hundreds of ops.

    Args:
        function: the function. It must not depend on anything but its arguments and constants.
        *specs: the `tf.TensorSpec`s of its arguments, or dictionaries of them.

    Example:
        >>> double = TracedOnce(lambda x: x + x, tf.TensorSpec([None], tf.int32))
        >>> double(tf.constant([1, 2])).numpy().tolist()
        [2, 4]
    """

    def __init__(self, function: Callable[..., Any], *specs: Any) -> None:
        self._function = function
        self._specs = specs

    def __call__(self, *arguments: Any) -> Any:
        """Calls the graph, eagerly or from another graph."""
        return self._graph(*arguments)

    @functools.cached_property
    def _graph(self) -> Any:
        with tf.init_scope():
            function = tf.function(self._function, input_signature=self._specs, autograph=False)
            return function.get_concrete_function()
