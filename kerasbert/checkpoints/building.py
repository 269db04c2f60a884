"""Builds one of our models from a checkpoint as read, after every weight is known to fit.

Reading is left to the modules of the formats, finding out the format to `loading.py`.
"""

from typing import Any

import keras
import numpy as np

import kerasbert.models
from kerasbert.checkpoints.model_weights import assign, clear, collect, parts_present
from kerasbert.checkpoints.stored_model import StoredModel
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, ENCODER_PARTS, is_of_backbone, weight_names
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone


def build_model(stored: StoredModel, dtype: Any) -> tuple[keras.Model, tuple[str, ...]]:
    """The model of the checkpoint's task, and the parts of it that the checkpoint does not have, which are all zeros.

    Raises:
        BadInputError: a weight is missing, left over, or not as the config describes it.
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
    clear(model, weight_names(absent, stored.config.num_hidden_layers))
    return model, absent


def build_backbone(stored: StoredModel, dtype: Any) -> tuple[BertBackbone, tuple[str, ...], tuple[str, ...]]:
    """The encoder alone, its parts that the checkpoint does not have, and the names of the weights left behind.

    Raises:
        BadInputError: a weight of the encoder is missing, left over, or not as the config describes it.
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
    """The weights of some parts in our layout, checked."""
    layers = stored.config.num_hidden_layers
    if layers > len(arrays):  # said before a list of so many names is made
        raise BadInputError(
            f"{stored.origin}: every layer of the config must have its weights. Received: num_hidden_layers={layers}, "
            f"{len(arrays)} weights in all. Take config and weights from the same model."
        )
    rows = weight_names(parts, layers, stored.task.projections)
    return collect(arrays, rows, stored.format, stored.config, stored.task.num_labels or 1, stored.origin)
