"""Finds out what kind of checkpoint lies at a path, and makes one of our models of it.

Reading the files of each kind is left to the modules of the formats, building and checking to `building.py`.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import keras

from kerasbert.checkpoints.building import build_backbone, build_model
from kerasbert.checkpoints.formats.google_checkpoint import GOOGLE_CONFIG_FILE, read_google
from kerasbert.checkpoints.formats.hugging_face_folder import CONFIG_FILE, read_hugging_face, weights_file
from kerasbert.checkpoints.formats.keras_hub import PRESET_WEIGHTS_FILE, is_preset, read_preset
from kerasbert.checkpoints.formats.model_garden import read_model_garden
from kerasbert.checkpoints.formats.sentence_transformers_folder import MODULES_FILE, read_sentence_transformers
from kerasbert.checkpoints.formats.tensorflow_checkpoint import OBJECT_GRAPH, find_prefix, read_tensorflow
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
        source_format: "hugging_face", "sentence_transformers", "google_tf1", "model_garden" or "keras_hub".
        absent: parts that the checkpoint does not have, such as "pooler". From `load` they are all zeros and are left
            out again when the model is saved; they are nothing to train from, because the matrices of a pooler and a
            head that are both zeros get gradients of zeros. From `load_backbone` they are freshly initialized, ready
            for training.
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
        path: a model folder of Hugging Face's, sentence-transformers', Google's (TensorFlow 1), the Model Garden's
            (TensorFlow 2) or keras-hub's layout, or one checkpoint in it, such as `folder/bert_model.ckpt`.
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
        labels=stored.task.labels,
        source_format=stored.source_format,
        absent=absent,
        dropped=stored.dropped,
    )


def load_backbone(path: str | os.PathLike[str], preprocessing: bool = True, dtype: Any = None) -> Checkpoint:
    """Loads the encoder alone out of any checkpoint, to start fine-tuning from.

    What a config says of the heads is not minded, nor what sentence-transformers does after the encoder.

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
    if (path / MODULES_FILE).is_file():
        return read_sentence_transformers(path, preprocessing)
    if weights_file(path) is not None:
        return read_hugging_face(path, preprocessing)
    if is_preset(path):
        return read_preset(path, preprocessing)
    prefix = find_prefix(path)
    if prefix is not None:
        arrays = read_tensorflow(prefix)
        return (read_model_garden if OBJECT_GRAPH in arrays else read_google)(prefix, arrays, preprocessing)
    raise _unknown(path)


def _unknown(path: Path) -> BadInputError:
    """The error for a path at which no checkpoint lies."""
    there = sorted(child.name for child in path.iterdir())[:20] if path.is_dir() else "no folder"
    return BadInputError(
        f"{path}: a checkpoint must be there: {CONFIG_FILE} with model.safetensors or pytorch_model.bin (Hugging Face) "
        f"or with {PRESET_WEIGHTS_FILE} (keras-hub), or {GOOGLE_CONFIG_FILE} with *.ckpt.index (Google). "
        f"Received: {there}. Name the folder that holds these files."
    )
