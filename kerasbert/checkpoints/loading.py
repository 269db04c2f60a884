"""Finds out which layout a checkpoint has, reads it, and makes one of our models of it.

The files of each layout are read by its own module in `formats/`; `building.py` checks the weights and builds the
model.
"""

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

import keras

from kerasbert.checkpoints.architectures import SENTENCE_ENCODER
from kerasbert.checkpoints.building import build_backbone, build_model
from kerasbert.checkpoints.formats.google_checkpoint import GOOGLE_CONFIG_FILE, read_google
from kerasbert.checkpoints.formats.hugging_face_folder import (
    CONFIG_FILE,
    KERAS_H5_FILE,
    read_hugging_face,
    weights_file,
)
from kerasbert.checkpoints.formats.keras_hub import PRESET_WEIGHTS_FILE, is_preset, read_preset
from kerasbert.checkpoints.formats.kerasbert_folder import is_own_layout, read_kerasbert
from kerasbert.checkpoints.formats.model_garden import read_model_garden
from kerasbert.checkpoints.formats.other_files import refuse_other_files
from kerasbert.checkpoints.formats.sentence_transformers_folder import MODULES_FILE, read_sentence_transformers
from kerasbert.checkpoints.formats.tensorflow_checkpoint import OBJECT_GRAPH, find_prefix, read_tensorflow
from kerasbert.checkpoints.stored_model import StoredModel
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.files import restore_folder
from kerasbert.preprocessing import TextToInputs

_LOGGER = logging.getLogger(__name__)
_LOGGED: set[str] = set()


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model with everything that belongs to it.

    Attributes:
        model: A `BertBackbone`, or the model of the checkpoint's task.
        config: The encoder's config.
        text_to_inputs: The preprocessing; None if there is no vocabulary or `preprocessing=False`.
        labels: The label names in the order of their ids; None if the checkpoint names none.
        source_format: "hugging_face", "sentence_transformers", "google_tf1", "model_garden", "keras_hub" or
            "kerasbert".
        absent: Parts that the checkpoint does not have, e.g. "pooler". `load` sets them to zeros, and `save` leaves
            them out again. They cannot be trained: if a pooler and a head are both zeros, so are their gradients.
            `load_backbone` initializes them randomly, ready for training.
        dropped: Names of weights in the checkpoint that are deliberately not loaded.
        notes: Oddities of the checkpoint that do not change what it computes, e.g. that the word embedding has more
            rows than the vocabulary has pieces. Each is logged once.

    Example:
        >>> import tempfile
        >>> from kerasbert.checkpoints import save
        >>> from kerasbert.models import BertBackbone, BertTokenClassifier
        >>> backbone = BertBackbone(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2)
        >>> folder = save(BertTokenClassifier(backbone, 2), tempfile.mkdtemp(), labels=["O", "B-PER"])
        >>> checkpoint = load(folder)
        >>> type(checkpoint.model).__name__, checkpoint.labels, checkpoint.source_format
        ('BertTokenClassifier', ('O', 'B-PER'), 'hugging_face')
    """

    model: keras.Model
    config: BertConfig
    text_to_inputs: TextToInputs | None
    labels: tuple[str, ...] | None
    source_format: str
    absent: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load(path: str | os.PathLike[str], preprocessing: bool = True, dtype: Any = None, heads: bool = True) -> Checkpoint:
    """Loads a model with its preprocessing and labels.

    Args:
        path: A model folder in the layout of Hugging Face, sentence-transformers, google-research/bert (TensorFlow 1),
            the Model Garden (TensorFlow 2), keras-hub or kerasbert; or one checkpoint in a folder, e.g.
            `folder/bert_model.ckpt`.
        preprocessing: Whether to read the vocabulary and the tokenizer's settings too.
        dtype: A Keras dtype policy for the model, e.g. "mixed_bfloat16". None uses Keras's default.
        heads: Whether to load the model of the checkpoint's task. With False, classifiers and other heads are left out
            and need not be complete: the model is a `BertBackbone`, or a `BertSentenceEncoder` if the checkpoint
            describes one.

    Returns:
        The checkpoint.

    Raises:
        BadInputError: There is no checkpoint in a known layout, a file is damaged, or config, weights and vocabulary
            contradict each other. The message names every weight that is missing, unexpected or of another shape.

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
    if heads or stored.architecture == SENTENCE_ENCODER:
        model, absent = build_model(stored, dtype)
        left_out: tuple[str, ...] = ()
    else:
        model, absent, left_out = build_backbone(stored, dtype)
    return _checkpoint(stored, model, absent, left_out, stored.task.labels if heads else None)


def load_backbone(path: str | os.PathLike[str], preprocessing: bool = True, dtype: Any = None) -> Checkpoint:
    """Loads only the encoder of a checkpoint, e.g. to fine-tune it.

    Heads are ignored, and so is what sentence-transformers computes after the encoder.

    Args:
        path: See `load`.
        preprocessing: See `load`.
        dtype: See `load`.

    Returns:
        A checkpoint whose model is a `BertBackbone`. `dropped` contains the names of the heads' weights. If the
        checkpoint has no pooler, the model has a randomly initialized one, and `absent` says so.

    Raises:
        BadInputError: See `load`, for the encoder's own weights.

    Example:
        >>> import tempfile
        >>> from kerasbert.checkpoints import save
        >>> from kerasbert.models import BertBackbone, BertTokenClassifier
        >>> backbone = BertBackbone(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2)
        >>> folder = save(BertTokenClassifier(backbone, 2), tempfile.mkdtemp())
        >>> checkpoint = load_backbone(folder)
        >>> type(checkpoint.model).__name__, checkpoint.dropped
        ('BertBackbone', ('classifier.bias', 'classifier.weight'))
    """
    stored = read(Path(path), preprocessing)
    backbone, absent, heads = build_backbone(stored, dtype)
    return _checkpoint(stored, backbone, absent, heads, None)


def read(path: Path, preprocessing: bool = True) -> StoredModel:
    """Reads a checkpoint's files, whatever its layout.

    Args:
        path: See `load`.
        preprocessing: See `load`.

    Raises:
        BadInputError: The layout is unknown, or a file is damaged.
    """
    restore_folder(path)
    if (path / MODULES_FILE).is_file():
        return read_sentence_transformers(path, preprocessing)
    if is_own_layout(path):
        return read_kerasbert(path, preprocessing)
    if _is_hugging_face(path):
        return read_hugging_face(path, preprocessing)
    if is_preset(path):
        return read_preset(path, preprocessing)
    prefix = find_prefix(path)
    if prefix is not None:
        arrays = read_tensorflow(prefix)
        return (read_model_garden if OBJECT_GRAPH in arrays else read_google)(prefix, arrays, preprocessing)
    refuse_other_files(path)
    raise _unknown(path)


def _is_hugging_face(path: Path) -> bool:
    """Whether a path has weights in Hugging Face's layout.

    A tf_model.h5 does not count in a folder with another layout: it is kept when a folder is saved in that layout.
    """
    weights = weights_file(path)
    if weights is None:
        return False
    has_other_layout = path.is_dir() and (is_preset(path) or (path / GOOGLE_CONFIG_FILE).is_file())
    return weights.name != KERAS_H5_FILE or not has_other_layout


def _checkpoint(
    stored: StoredModel,
    model: keras.Model,
    absent: tuple[str, ...],
    left_out: tuple[str, ...],
    labels: tuple[str, ...] | None,
) -> Checkpoint:
    """The checkpoint of a model that was built. Its notes are logged."""
    notes = (*stored.notes, *_unused_rows(stored))
    for note in notes:
        _log_once(note, stored.origin)
    return Checkpoint(
        model=model,
        config=stored.config,
        text_to_inputs=stored.text_to_inputs,
        labels=labels,
        source_format=stored.source_format,
        absent=absent,
        dropped=(*stored.dropped, *left_out),
        notes=notes,
    )


def _unused_rows(stored: StoredModel) -> tuple[str, ...]:
    """A note on the rows of the word embedding after the last piece of the vocabulary, if there are any."""
    rows = stored.config.vocab_size
    pieces = rows if stored.text_to_inputs is None else stored.text_to_inputs.vocabulary.size
    if pieces == rows:
        return ()
    return (
        f"The word embedding has {rows} rows, the vocabulary {pieces} pieces. The last {rows - pieces} rows are kept "
        "and never used.",
    )


def _log_once(note: str, origin: str) -> None:
    """Logs a note, unless the process has logged it already, e.g. about the source of a conversion."""
    if note not in _LOGGED:
        _LOGGED.add(note)
        _LOGGER.warning("%s: %s", origin, note)


def _unknown(path: Path) -> BadInputError:
    """The error for a path without a checkpoint."""
    if path.is_dir():
        found = ", ".join(sorted(child.name for child in path.iterdir())[:20]) or "an empty folder"
    else:
        found = "another file" if path.exists() else "a path that does not exist"
    return BadInputError(
        f"{path}: the path must be a folder with a checkpoint: {CONFIG_FILE} with model.safetensors or "
        f"pytorch_model.bin (Hugging Face) or with {PRESET_WEIGHTS_FILE} (keras-hub), or {GOOGLE_CONFIG_FILE} with "
        f"*.ckpt.index (google-research/bert). Received: {found}. Pass the folder that contains these files."
    )
