"""Writes a model with its preprocessing and labels into a folder, aside first, so that nobody ever sees half of one.

The files of each format are written by that format's own module.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import keras

from kerasbert.checkpoints.architectures import SENTENCE_ENCODER, architecture_of_model
from kerasbert.checkpoints.formats.google_checkpoint import write_google
from kerasbert.checkpoints.formats.hugging_face_folder import write_hugging_face
from kerasbert.checkpoints.formats.keras_hub import write_preset
from kerasbert.checkpoints.formats.sentence_transformers_folder import write_sentence_transformers
from kerasbert.checkpoints.formats.tokenizer_files import check_fits
from kerasbert.checkpoints.loading import is_checkpoint
from kerasbert.checkpoints.model_weights import zero_parts
from kerasbert.checkpoints.stored_model import OutgoingModel
from kerasbert.errors import BadInputError
from kerasbert.files import write_folder_aside
from kerasbert.preprocessing import TextToInputs

_WRITERS = {"hugging_face": write_hugging_face, "google_tf1": write_google, "keras_hub": write_preset}
_SENTENCE_ENCODER_WRITERS = {**_WRITERS, "hugging_face": write_sentence_transformers}
FORMATS = tuple(_WRITERS)


def save(
    model: keras.Model,
    path: str | os.PathLike[str],
    text_to_inputs: TextToInputs | None = None,
    labels: Iterable[str] | None = None,
    format: str = "hugging_face",
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Writes a model folder that `load` reads, and that the projects of its format read too.

    Args:
        model: a `BertBackbone`, or a model of `kerasbert.models` on top of one.
        path: the folder. An earlier model folder there is replaced as a whole; any other folder must be empty.
        text_to_inputs: the preprocessing that the model was trained with.
        labels: the label names in the order of their ids.
        format: "hugging_face", which is kerasbert's own layout too (with sentence-transformers' files for a
            `BertSentenceEncoder`), "google_tf1" or "keras_hub".
        check: called with the folder that was written aside, before it gets its name; what it raises undoes the save.

    Returns:
        The folder.

    Raises:
        BadInputError: model, labels and preprocessing do not fit each other, or the folder holds something else.
        OSError: the disk is full or the folder cannot be written. What was at `path` is still there.
    """
    if format not in _WRITERS:
        raise BadInputError(f"`format` must be one of {FORMATS}. Received: format={format!r}. Choose one of them.")
    names = _checked_labels(model, labels)
    folder = Path(path)
    _check_replaceable(folder)
    backbone = getattr(model, "backbone", model)
    architecture = architecture_of_model(type(model).__name__, ())
    absent = zero_parts(model, architecture.parts)
    architecture = architecture_of_model(type(model).__name__, absent)
    if text_to_inputs is not None:
        check_fits(text_to_inputs, backbone.bert_config, "`text_to_inputs`")
    outgoing = OutgoingModel(model, backbone.bert_config, architecture, absent, names, text_to_inputs)
    with write_folder_aside(folder) as aside:
        writers = _SENTENCE_ENCODER_WRITERS if architecture == SENTENCE_ENCODER else _WRITERS
        writers[format](aside, outgoing)
        if check is not None:
            check(aside)
    return folder


def _checked_labels(model: keras.Model, labels: Iterable[str] | None) -> tuple[str, ...] | None:
    """The label names, as many as the model has outputs and no name twice."""
    if labels is None:
        return None
    names = tuple(str(label) for label in labels)
    num_labels = getattr(model, "num_labels", None)
    if len(names) != num_labels or len(set(names)) != len(names):
        raise BadInputError(
            f"`labels` must name each of the model's {num_labels or 'no'} labels once. Received: {len(names)} names, "
            f"{names[:10]}. Give the names in the order of their ids."
        )
    return names


def _check_replaceable(folder: Path) -> None:
    """Refuses a path at which something else than a model folder would be lost."""
    if folder.is_dir() and not is_checkpoint(folder) and any(folder.iterdir()):
        raise BadInputError(
            f"{folder}: the folder must be new, empty, or an earlier model folder. Received: one with other files, "
            f"such as {sorted(child.name for child in folder.iterdir())[0]}. Name another folder."
        )
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder}: the path must be a folder. Received: a file. Name another path.")
