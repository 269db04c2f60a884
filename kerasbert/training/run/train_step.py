"""One training step of a compiled model as one call, on every Keras backend, and the model's whole state as arrays.

The step is `model.train_step`, so losses, metrics and optimizer are those given to `model.compile`. For the order of
steps, see loop.py.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerasbert.models.flat_tokens import flat_tokens
from kerasbert.training.run.data_parallel import own_rows

Batch = tuple[Any, ...]


class TrainStep:
    """Runs training steps of a compiled model, and reads and writes all variables that they change.

    Args:
        model: a built and compiled model.

    Raises:
        ValueError: the model is not compiled.
    """

    def __init__(self, model: keras.Model):
        if not model.compiled:
            raise ValueError(
                "`model` must be compiled. Received: a model without loss and optimizer. "
                "Call `compile_pretrainer(model, optimizer)` or `compile_classifier(model, optimizer)` first."
            )
        self.model = model
        self._backend = keras.backend.backend()
        self._functions: dict[str, Callable[..., Any]] = {}
        self._function: Callable[..., Any] = model.train_step
        self._jax_state: Any = None
        model.optimizer.build(model.trainable_variables)

    def batches(self, dataset: Iterable[Batch]) -> Iterator[Batch]:
        """Compile the step for the shapes of a dataset, and return an iterator over its batches."""
        specification = getattr(dataset, "element_spec", None)
        key = repr(specification)
        if key not in self._functions:
            self._functions[key] = self._compiled(specification)
        self._function = self._functions[key]
        if self._backend != "tensorflow" and hasattr(dataset, "as_numpy_iterator"):
            return iter(dataset.as_numpy_iterator())
        return iter(dataset)

    def _compiled(self, specification: Any) -> Callable[..., Any]:
        """Return `model.train_step`, compiled by the backend.

        TensorFlow traces it for the dataset's shapes (unknown lengths stay unknown), and not for those of the first
        batch: a run that continues after a kill must compute with the same graph as one that was never killed.
        """
        if self.model.run_eagerly:
            return self.model.train_step
        if self._backend == "tensorflow":
            import tensorflow as tf

            signature = None if specification is None else [specification]
            return tf.function(self._step, input_signature=signature, jit_compile=self.model.jit_compile)
        if self._backend == "jax":
            import jax

            return jax.jit(self.model.train_step) if self.model.jit_compile else self.model.train_step
        return self.model.train_step

    def _step(self, batch: Batch) -> Any:
        """Run one step without work on padding, unless XLA compiles it, which needs fixed shapes."""
        with flat_tokens(not self.model.jit_compile):
            return self.model.train_step(batch)

    def __call__(self, batch: Batch) -> dict[str, float]:
        """Update the model by one batch, and return the running metrics since the last `reset_metrics`."""
        if self._backend == "jax":
            if self._jax_state is None:
                self._jax_state = tuple([variable.value for variable in group] for group in self._groups())
            metrics, self._jax_state = self._function(self._jax_state, own_rows(batch))
        else:
            metrics = self._function(tree.map_structure(ops.convert_to_tensor, batch))
        return {name: float(value) for name, value in metrics.items()}

    def _groups(self) -> tuple[list[keras.Variable], ...]:
        """Return all variables that a step changes, in the order of the state of Keras's `train_step` on JAX."""
        model = self.model
        return (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )

    def read_back(self) -> None:
        """Copy the newest values into the model's variables, which a step on JAX does not update."""
        if self._jax_state is None:
            return
        for group, values in zip(self._groups(), self._jax_state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        self._jax_state = None

    def reset_metrics(self) -> None:
        """Reset the running metrics."""
        self.read_back()
        self.model.reset_metrics()

    def variables(self) -> dict[str, list[keras.Variable]]:
        """Return all variables that a step reads and changes, by their role, with their newest values."""
        self.read_back()
        trainable, fixed, optimizer, metrics = self._groups()
        return {"model": [*trainable, *fixed], "optimizer": optimizer, "metrics": metrics}


def real_tokens(batch: Batch) -> int:
    """Return the number of tokens in a batch without padding, or 0 if the inputs have no `padding_mask`."""
    inputs = batch[0]
    if not isinstance(inputs, dict) or "padding_mask" not in inputs:
        return 0
    return int(np.sum(ops.convert_to_numpy(inputs["padding_mask"])))


def build_metrics(model: keras.Model, batch: Batch) -> None:
    """Create the variables of the running means of losses and metrics, which Keras creates on first use.

    Args:
        model: a compiled model.
        batch: (inputs, labels) or (inputs, labels, sample weights). Only the shapes matter.
    """
    one_row = tree.map_structure(lambda array: ops.convert_to_tensor(array)[:1], batch)
    inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(one_row)
    specification = model.compute_output_spec(inputs)
    outputs = tree.map_structure(lambda output: ops.zeros(output.shape, output.dtype), specification)
    model.compute_loss(x=inputs, y=labels, y_pred=outputs, sample_weight=weights)
    model.compute_metrics(inputs, labels, outputs, weights)
    model.reset_metrics()
