"""What the reader of each layout returns before a model is built, and what the writer of each layout receives."""

import dataclasses

import keras
import numpy as np

from kerasbert.checkpoints.architectures import Architecture
from kerasbert.checkpoints.task_config import Task
from kerasbert.config import BertConfig
from kerasbert.preprocessing import TextToInputs


@dataclasses.dataclass(frozen=True)
class StoredModel:
    """A checkpoint as read from its files.

    Attributes:
        format: The column of the weight table whose names `arrays` uses.
        source_format: The layout of the folder.
        origin: The files, for messages.
        config: The encoder's config.
        architecture: The kind of model.
        arrays: Every weight by its name in `format`, in that format's axis order.
        task: Labels and the other arguments of the model's constructor.
        text_to_inputs: The preprocessing; None if there is no vocabulary or it was not requested.
        dropped: Names of weights in the files that are deliberately not loaded.
        head_problem: Why the heads cannot be used; None if they can. Ignored when only the encoder is loaded.
        notes: Oddities that change no number, as sentences.
    """

    format: str
    source_format: str
    origin: str
    config: BertConfig
    architecture: Architecture
    arrays: dict[str, np.ndarray]
    task: Task = dataclasses.field(default_factory=Task)
    text_to_inputs: TextToInputs | None = None
    dropped: tuple[str, ...] = ()
    head_problem: str | None = None
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class OutgoingModel:
    """A model to write, with everything that belongs to it.

    Attributes:
        model: A model of `kerasbert.models`.
        config: Its encoder's config.
        architecture: The kind of checkpoint.
        absent: Parts that are all zeros, because the checkpoint that the model came from does not have them.
        labels: The label names in the order of their ids, or None.
        text_to_inputs: The preprocessing, or None.
    """

    model: keras.Model
    config: BertConfig
    architecture: Architecture
    absent: tuple[str, ...]
    labels: tuple[str, ...] | None
    text_to_inputs: TextToInputs | None

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts to write: the required ones, and the optional ones that the model has."""
        return tuple(
            part for part in self.architecture.parts if part not in self.absent or part in self.architecture.required
        )
