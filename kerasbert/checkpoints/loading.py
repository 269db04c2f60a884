"""Finds out what kind of checkpoint lies at a path, and makes one of our models of it.

Reading the files of each kind is left to the modules of the formats, building and checking to `building.py`.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import keras

from kerasbert.checkpoints.building import build_backbone, build_model
from kerasbert.checkpoints.hugging_face_config import CONFIG_FILE
from kerasbert.checkpoints.hugging_face_folder import read_hugging_face, weights_file
from kerasbert.checkpoints.stored_model import StoredModel
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model of ours with everything that came with it.

    Attributes:
        model: a `BertBackbone`, or the model of the checkpoint's task.
        config: the encoder's config.
        text_to_inputs: the preprocessing; None if there is no vocabulary, or it was not asked for.
        labels: the label names in the order of their ids; None if the checkpoint names none.
        source_format: what was read, such as "hugging_face".
        absent: parts that the checkpoint does not have, such as "pooler". From `load` they are all zeros and are left
            out again when the model is saved; from `load_backbone` they are freshly initialized, ready for training.
        dropped: names of weights in the checkpoint that were left behind knowingly.
    """

    model: keras.Model
    config: BertConfig
    text_to_inputs: TextToInputs | None
    labels: tuple[str, ...] | None
    source_format: str
    absent: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def load(path: str | os.PathLike[str], preprocessing: bool = True, dtype: Any = None) -> Checkpoint:
    """Loads a model with its preprocessing and labels from a folder that this library or another one wrote.

    Args:
        path: a model folder.
        preprocessing: whether vocabulary and tokenizer settings are read too.
        dtype: a Keras dtype policy for the model, such as "mixed_bfloat16"; Keras' own default otherwise.

    Raises:
        BadInputError: there is no checkpoint of a known kind, a file is damaged, or config, weights and vocabulary
            contradict each other. Every weight that is missing, left over or of another shape is named.

    Example:
        >>> import tempfile
        >>> from kerasbert.checkpoints import save
        >>> from kerasbert.models import BertBackbone
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2)
        >>> folder = save(BertBackbone.from_config(config), tempfile.mkdtemp())
        >>> load(folder).config == config
        True
    """
    stored = read(Path(path), preprocessing)
    model, absent = build_model(stored, dtype)
    return Checkpoint(
        model=model,
        config=stored.config,
        text_to_inputs=stored.text_to_inputs,
        labels=stored.labels,
        source_format=stored.source_format,
        absent=absent,
        dropped=stored.dropped,
    )


def load_backbone(path: str | os.PathLike[str], preprocessing: bool = True, dtype: Any = None) -> Checkpoint:
    """Loads the encoder alone out of any checkpoint, to start fine-tuning from.

    Args:
        path, preprocessing, dtype: as for `load`.

    Returns:
        A checkpoint whose model is a `BertBackbone`. The names of the heads' weights that were left behind are in
        `dropped`. Where the source has no pooler, a freshly initialized one is there, and `absent` says so.

    Raises:
        BadInputError: as for `load`, for the encoder's own weights.
    """
    stored = read(Path(path), preprocessing)
    backbone, absent, heads = build_backbone(stored, dtype)
    return Checkpoint(
        model=backbone,
        config=stored.config,
        text_to_inputs=stored.text_to_inputs,
        labels=None,
        source_format=stored.source_format,
        absent=absent,
        dropped=(*stored.dropped, *heads),
    )


def read(path: Path, preprocessing: bool = True) -> StoredModel:
    """Reads what lies at a path, whatever its kind.

    Raises:
        BadInputError: no kind that is known, or damaged.
    """
    if weights_file(path) is not None:
        return read_hugging_face(path, preprocessing)
    raise _unknown(path)


def _unknown(path: Path) -> BadInputError:
    """The error for a path at which no checkpoint lies."""
    there = sorted(child.name for child in path.iterdir())[:20] if path.is_dir() else "no folder"
    return BadInputError(
        f"{path}: a checkpoint must be there: a Hugging Face folder with {CONFIG_FILE} and model.safetensors or "
        f"pytorch_model.bin. Received: {there}. Name the folder that holds these files."
    )
