"""Changes the length of a trained model's position table, or the limit of a model without one.

BERT's position embeddings are learned, so a model cannot read more tokens than its position table has rows. The new
rows are a starting point for further training on long texts.
"""

from typing import Any

import keras
import numpy as np

from kerasbert.argument_checks import check_choice, check_positive_integer
from kerasbert.errors import BadInputError
from kerasbert.models.backbone import BertBackbone

METHODS = ("copy", "interpolate", "hierarchical")

# n rows in the old table, m in the new one, H hidden size


def resize_positions(
    model: keras.Model, new_length: int, method: str = "copy", alpha: float = 0.4, seed: int | None = None
) -> keras.Model:
    """Return a new model for inputs of up to `new_length` tokens and with the same weights.

    The first rows of a position table do not change.

    Args:
        model: a `BertBackbone`, or a model of `kerasbert.models` with one. It is not changed.
        new_length: m, the new `max_position_embeddings`. If it is shorter, the first rows are kept.
        method: the values of the rows after the first n, for `position_type="learned"`; other positions have no table.
            "copy": new initial values, to be trained. "interpolate": the old table stretched linearly to the new
            length, so that the last row is the old last row. "hierarchical":
            Su Jianlin's decomposition, for up to n * n positions: with base vectors
            u_i = (p_i - alpha * p_1) / (1 - alpha), position (i - 1) * n + j becomes alpha * u_i + (1 - alpha) * u_j.
        alpha: the share of the coarse position in "hierarchical": greater than 0 and less than 1, but not 0.5, which
            would make the rows of (i, j) and (j, i) equal.
        seed: seed for the new values of "copy". Defaults to Keras's global seed.

    Returns:
        A model of the same class, which is not compiled.

    Raises:
        BadInputError: the model has no `BertBackbone`, or an argument is invalid.

    Source: https://kexue.fm/archives/7947 ("hierarchical").

    Example:
        >>> from kerasbert.config import BertConfig
        >>> backbone = BertBackbone.from_config(BertConfig.named("bert-tiny", vocab_size=100))
        >>> resize_positions(backbone, 2048, method="hierarchical").bert_config.max_position_embeddings
        2048
    """
    backbone = model if isinstance(model, BertBackbone) else getattr(model, "backbone", None)
    if not isinstance(backbone, BertBackbone):
        raise BadInputError(
            f"`model` must be a `BertBackbone` or have one as `backbone`. Received: model={model!r}. "
            "Use a model of `kerasbert.models`."
        )
    new_length = check_positive_integer("new_length", new_length)
    check_choice("method", method, METHODS)
    if backbone.position_type != "learned":  # no weight depends on the length
        resized = _with_length(model, new_length)
        resized.set_weights(model.get_weights())
        return resized
    old = keras.ops.convert_to_numpy(keras.ops.cast(backbone.embeddings.position_embeddings, "float32"))
    if method == "copy":
        added = _fresh_rows(new_length - len(old), backbone, seed)
    elif method == "interpolate":
        added = _interpolated_rows(old, new_length)
    else:
        added = _hierarchical_rows(old, new_length, alpha)

    resized = _with_length(model, new_length)
    table = np.concatenate([old[:new_length], added]).astype("float32")
    positions = backbone.embeddings.position_embeddings
    for weight, theirs in zip(model.weights, resized.weights, strict=True):
        theirs.assign(table if weight is positions else weight)
    return resized


def _fresh_rows(count: int, backbone: BertBackbone, seed: int | None) -> Any:
    """Return initial values for `count` rows, or no rows if it is negative."""
    initializer = keras.initializers.TruncatedNormal(stddev=backbone.initializer_range, seed=seed)
    return keras.ops.convert_to_numpy(initializer((max(count, 0), backbone.hidden_size), dtype="float32"))


def _interpolated_rows(table: Any, new_length: int) -> Any:
    """Return rows n to m - 1 of the table [n, H] stretched to m rows, with the same first and last rows."""
    length = len(table)
    places = np.arange(length, new_length) * (length - 1) / max(new_length - 1, 1)  # fractional rows of the old table
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, length - 1)
    share = (places - below)[:, None]
    return (1.0 - share) * table[below] + share * table[above]


def _hierarchical_rows(table: Any, new_length: int, alpha: float) -> Any:
    """Return rows n to m - 1, composed of base vectors of the table [n, H]."""
    length = len(table)
    if not 0 < alpha < 1 or alpha == 0.5:
        raise BadInputError(
            f"`alpha` must be between 0 and 1, and not 0.5. Received: alpha={alpha!r}. For example, alpha=0.4."
        )
    if new_length > length**2:
        raise BadInputError(
            f"`new_length` must be at most {length**2}, the square of the old length {length}, with "
            f"method='hierarchical'. Received: new_length={new_length}. Use a smaller one, or method='interpolate'."
        )
    base = (table.astype("float64") - alpha * table[0]) / (1.0 - alpha)
    coarse, fine = np.divmod(np.arange(length, new_length), length)
    return alpha * base[coarse] + (1.0 - alpha) * base[fine]


def _with_length(model: keras.Model, new_length: int) -> keras.Model:
    """Return a new model like `model`, with new weights and another number of positions."""
    if isinstance(model, BertBackbone):
        return BertBackbone.from_config({**model.get_config(), "max_position_embeddings": new_length})
    # The config of a task contains the config of its backbone.
    config = model.get_config()
    config["backbone"]["config"]["max_position_embeddings"] = new_length
    return type(model).from_config(config)
