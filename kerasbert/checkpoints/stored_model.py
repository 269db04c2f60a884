"""What any format's reader hands over before a model is built, and what any format's writer is given."""

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
        format: the column of the weight table that `arrays` is named by.
        source_format: what kind of folder it lay in.
        origin: the files, for messages.
        config: the encoder's config.
        architecture: which model it is.
        arrays: every weight by its name in `format`, in that format's layout.
        task: labels, and what else the model's constructor takes beside the backbone.
        text_to_inputs: the preprocessing, or None where there is no vocabulary or it was not asked for.
        dropped: weights that the reader left out knowingly, by their names in the files.
        head_problem: why the heads cannot be used, which only the encoder alone does not mind; None if they can.
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


@dataclasses.dataclass(frozen=True)
class OutgoingModel:
    """A model to be written, with everything that goes with it.

    Attributes:
        model: one of `kerasbert.models`.
        config: its encoder's config.
        architecture: the kind of checkpoint that it is.
        absent: its parts that are all zeros, because the checkpoint that it came from did not have them.
        labels: the label names in the order of their ids, or None.
        text_to_inputs: the preprocessing, or None.
    """

    model: keras.Model
    config: BertConfig
    architecture: Architecture
    absent: tuple[str, ...]
    labels: tuple[str, ...] | None
    text_to_inputs: TextToInputs | None

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts to write: all but those that the architecture can do without and that are not there."""
        return tuple(
            part for part in self.architecture.parts if part not in self.absent or part in self.architecture.required
        )
