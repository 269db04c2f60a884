"""Builds a model from a checkpoint that was read, after checking that every weight fits.

The modules in `formats/` read the files, and `loading.py` finds out which layout they have.
"""

from typing import Any

import keras
import numpy as np

import kerasbert.models
from kerasbert.checkpoints.model_weights import assign, clear, collect, parts_present
from kerasbert.checkpoints.stored_model import StoredModel
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, ENCODER_PARTS, is_of_backbone, weight_names
from kerasbert.config_dialects import OWN_DIALECT
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone


def build_model(stored: StoredModel, dtype: Any) -> tuple[keras.Model, tuple[str, ...]]:
    """Builds the model of the checkpoint's task.

    Args:
        stored: The checkpoint.
        dtype: A Keras dtype policy, or None for the default.

    Returns:
        The model, and its parts that the checkpoint does not have. These are all zeros.

    Raises:
        BadInputError: A weight is missing, unexpected, or not as the config describes it.
    """
    if stored.head_problem:
        raise BadInputError(stored.head_problem)
    architecture = stored.architecture
    present = parts_present(stored.arrays, stored.format, architecture.optional)
    absent = tuple(part for part in architecture.optional if part not in present)
    weights = _collected(stored, stored.arrays, (*architecture.required, *present))
    model = _new_backbone(stored, dtype)
    if architecture.model != "BertBackbone":
        model = getattr(kerasbert.models, architecture.model)(model, **stored.task.arguments)
    assign(model, weights)
    clear(model, weight_names(absent, stored.config))
    return model, absent


def build_backbone(stored: StoredModel, dtype: Any) -> tuple[BertBackbone, tuple[str, ...], tuple[str, ...]]:
    """Builds the encoder alone.

    Args:
        stored: The checkpoint.
        dtype: A Keras dtype policy, or None for the default.

    Returns:
        The encoder; its parts that the checkpoint does not have, which are initialized randomly; and the names of the
        weights that are not loaded.

    Raises:
        BadInputError: A weight of the encoder is missing, unexpected, or not as the config describes it.
    """
    arrays = {name: array for name, array in stored.arrays.items() if is_of_backbone(name, stored.format)}
    present = {*ENCODER_PARTS, *parts_present(arrays, stored.format, BACKBONE_PARTS)}
    parts = tuple(part for part in BACKBONE_PARTS if part in present)
    weights = _collected(stored, arrays, parts)
    backbone = _new_backbone(stored, dtype)
    assign(backbone, weights)
    absent = tuple(part for part in BACKBONE_PARTS if part not in present)
    return backbone, absent, tuple(sorted(stored.arrays.keys() - arrays.keys()))


def _new_backbone(stored: StoredModel, dtype: Any) -> BertBackbone:
    return BertBackbone.from_config({**stored.config.to_dict(), "dtype": dtype})


def _collected(stored: StoredModel, arrays: dict[str, np.ndarray], parts: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The weights of some parts under our names and in our axis order, checked."""
    if stored.format != OWN_DIALECT:
        try:
            stored.config.check_plain(stored.format)
        except BadInputError as error:
            raise BadInputError(f"{stored.origin}: {error}") from None
    layers = stored.config.num_hidden_layers
    if layers > len(arrays):  # before the list of all names is made, which may be long
        raise BadInputError(
            f"{stored.origin}: the weights must contain every layer of the config. Received: "
            f"num_hidden_layers={layers}, {len(arrays)} weights in all. Use config and weights of the same model."
        )
    rows = weight_names(parts, stored.config, stored.task.projections)
    return collect(arrays, rows, stored.format, stored.config, stored.task.num_labels or 1, stored.origin)
