"""R-Drop: a model should give the same answer to the same row, whichever of its units dropout removes.

A batch contains each row twice, so that a single step computes both answers with different dropout.
"""

from typing import Any

import keras
from keras import ops, tree

from kerasbert.errors import BadInputError
from kerasbert.settings import PROBLEM_TYPES

# B rows, T tokens, C labels


def rows_twice(*batch: Any) -> Any:
    """Return a batch with all of its rows, and then all of them again, for `tf.data.Dataset.map`.

    Args:
        batch: inputs, labels and, if there are any, sample weights: nested structures of tensors `[B, ...]`.

    Returns:
        The same structures of TensorFlow tensors `[2 B, ...]`, for `RDropLoss`.

    Example:
        >>> import numpy as np
        >>> inputs, labels = rows_twice({"token_ids": np.array([[1], [2]])}, np.array([0, 1]))
        >>> labels.numpy().tolist()
        [0, 1, 0, 1]
    """
    import tensorflow as tf

    return tree.map_structure(lambda tensor: tf.concat([tensor, tensor], axis=0), batch)


@keras.saving.register_keras_serializable(package="kerasbert")
class RDropLoss(keras.losses.Loss):
    """The mean of l + weight / 4 * d over a batch of `rows_twice`, with losses l and distances d of the two answers.

    d is KL(p || q) + KL(q || p) for the probabilities p and q of the two answers: over all labels of a softmax, or the
    mean of those of each label's sigmoid. For regression, d is twice the squared difference. This is half of the
    paper's loss, which is the sum over both answers, so that the plain loss keeps its size.

    Args:
        loss: a loss whose `call` returns the loss of each row (or token), e.g. that of `classification_loss`.
        weight: the paper's alpha, e.g. 1 to 5.
        problem_type: see `classification_loss`.
        name: the loss's name.

    Call arguments:
        y_true: what `loss` takes, of `[2 B, ...]`.
        y_pred: outputs `[2 B, C]` (or `[2 B, T, C]`).
        sample_weight: weights of rows (or tokens), of losses and distances alike.

    Raises:
        ValueError: the problem type is unknown, or `weight` is negative.

    Source: Liang et al. 2021, "R-Drop: Regularized dropout for neural networks", equations 2 to 4.

    Example:
        >>> from kerasbert.training import classification_loss
        >>> loss = RDropLoss(classification_loss("regression"), 2.0, "regression")
        >>> float(loss(keras.ops.zeros((2, 1)), keras.ops.array([[1.0], [3.0]])))  # (1 + 9) / 2 + 2 / 4 * 2 * 4
        9.0
    """

    def __init__(
        self, loss: keras.losses.Loss, weight: float, problem_type: str, name: str = "r_drop_loss", **kwargs: Any
    ):
        super().__init__(name=name, **{"dtype": "float32", "reduction": "mean_with_sample_weight", **kwargs})
        if problem_type not in PROBLEM_TYPES:
            raise ValueError(
                f"`problem_type` must be one of {', '.join(PROBLEM_TYPES)}. "
                f"Received: problem_type={problem_type!r}. Choose one of them."
            )
        if not weight >= 0:
            raise BadInputError(f"`weight` must be 0 or more. Received: weight={weight}. The paper has 1 to 5.")
        self.loss = loss
        self.weight = float(weight)
        self.problem_type = problem_type

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row (or token), float32 [2 B] (or [2 B, T])."""
        y_pred = ops.cast(y_pred, "float32")
        # The other answer to a row is half a batch away. A batch of one row is its own other half.
        other = ops.roll(y_pred, ops.shape(y_pred)[0] // 2, axis=0)
        return self.loss.call(y_true, y_pred) + self.weight / 4 * self._distance(y_pred, other)

    def _distance(self, first: Any, second: Any) -> Any:
        """Return d, [2 B] (or [2 B, T]), of outputs [2 B, C] (or [2 B, T, C])."""
        difference = first - second
        if self.problem_type == "regression":
            return 2 * ops.mean(ops.square(difference), axis=-1)
        # Of both sums of p log(p / q), the normalizers of the probabilities cancel.
        if self.problem_type == "multi_label_classification":
            return ops.mean((ops.sigmoid(first) - ops.sigmoid(second)) * difference, axis=-1)
        return ops.sum((ops.softmax(first) - ops.softmax(second)) * difference, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss, "weight": self.weight, "problem_type": self.problem_type}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RDropLoss":
        """Create the loss from the result of `get_config`."""
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})
