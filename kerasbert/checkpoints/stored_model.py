"""What any format's reader hands over: a model's config, weights, task and preprocessing, before a model is built."""

import dataclasses
from typing import Any

import numpy as np

from kerasbert.checkpoints.architectures import Architecture
from kerasbert.config import BertConfig
from kerasbert.preprocessing import TextToInputs


@dataclasses.dataclass(frozen=True)
class StoredModel:
    """A checkpoint as read from its files.

    Attributes:
        format: the column of the weight table that `arrays` is named by.
        source_format: what kind of folder it lay in.
        origin: the files, for messages.
        config: the encoder's config.
        architecture: which model it is.
        arrays: every weight by its name in `format`, in that format's layout.
        arguments: what the model's constructor takes beside the backbone and the number of labels.
        num_labels: as the config says, or None where it does not.
        labels: label names in the order of their ids, or None.
        text_to_inputs: the preprocessing, or None where there is no vocabulary or it was not asked for.
        dropped: weights that the reader left out knowingly, by their names in the files.
    """

    format: str
    source_format: str
    origin: str
    config: BertConfig
    architecture: Architecture
    arrays: dict[str, np.ndarray]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    num_labels: int | None = None
    labels: tuple[str, ...] | None = None
    text_to_inputs: TextToInputs | None = None
    dropped: tuple[str, ...] = ()
