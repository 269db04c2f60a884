"""Writes a model with its preprocessing and labels to a folder.

The files of each layout are written by that layout's own module in `formats/`.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import keras

from kerasbert.checkpoints.architectures import SENTENCE_ENCODER, architecture_of_model
from kerasbert.checkpoints.formats.google_checkpoint import write_google
from kerasbert.checkpoints.formats.hugging_face_folder import write_hugging_face
from kerasbert.checkpoints.formats.keras_hub import write_preset
from kerasbert.checkpoints.formats.kerasbert_folder import write_kerasbert
from kerasbert.checkpoints.formats.sentence_transformers_folder import write_sentence_transformers
from kerasbert.checkpoints.formats.tokenizer_files import check_fits
from kerasbert.checkpoints.model_files import is_checkpoint, model_files
from kerasbert.checkpoints.model_weights import zero_parts
from kerasbert.checkpoints.stored_model import OutgoingModel
from kerasbert.config_dialects import OWN_DIALECT
from kerasbert.errors import BadInputError
from kerasbert.files import link_rest, restore_folder, write_folder_aside
from kerasbert.models.backbone_task import backbone_of
from kerasbert.preprocessing import TextToInputs

_WRITERS = {
    "hugging_face": write_hugging_face,
    "google_tf1": write_google,
    "keras_hub": write_preset,
    OWN_DIALECT: write_kerasbert,
}
_SENTENCE_ENCODER_WRITERS = {**_WRITERS, "hugging_face": write_sentence_transformers}
FORMATS = tuple(_WRITERS)


def save(
    model: keras.Model,
    folder: str | os.PathLike[str],
    text_to_inputs: TextToInputs | None = None,
    labels: Iterable[str] | None = None,
    format: str | None = None,
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Writes a model folder that `load` and the libraries of its layout can read.

    The model's files replace those of an earlier model in the folder, in one step. Other files in it, e.g. `.git`,
    a README or ONNX files, are kept.

    Args:
        model: A `BertBackbone`, or a model of `kerasbert.models` that contains one.
        folder: The folder to write. It is created if it does not exist.
        text_to_inputs: The preprocessing that the model was trained with, or None to write no vocabulary.
        labels: The label names in the order of their ids.
        format: The layout: "hugging_face" (with sentence-transformers' files for a `BertSentenceEncoder`),
            "google_tf1", "keras_hub", or "kerasbert", which only kerasbert reads. By default "hugging_face", or
            "kerasbert" for an encoder with variants that Hugging Face's BERT does not have.
        check: Called with the temporary folder before it is put in place. An exception that it raises cancels the save.

    Returns:
        The path of the folder.

    Raises:
        BadInputError: The model, labels and preprocessing do not fit together, the layout cannot express the model, or
            the folder has a file of the same
            name that is not part of a model.
        OSError: The disk is full or the folder cannot be written. The folder is unchanged.

    Example:
        >>> import tempfile
        >>> from kerasbert.config import BertConfig
        >>> from kerasbert.models import BertBackbone
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2)
        >>> folder = save(BertBackbone.from_config(config), tempfile.mkdtemp())
        >>> sorted(file.name for file in folder.iterdir())
        ['config.json', 'model.safetensors']
    """
    if format is not None and format not in _WRITERS:
        raise BadInputError(f"`format` must be one of {', '.join(FORMATS)}. Received: format={format!r}.")
    names = _checked_labels(model, labels)
    final = Path(folder)
    restore_folder(final)
    _check_replaceable(final)
    backbone = backbone_of(model)
    architecture = architecture_of_model(type(model).__name__, ())
    absent = zero_parts(model, architecture.parts)
    architecture = architecture_of_model(type(model).__name__, absent)
    if text_to_inputs is not None:
        check_fits(text_to_inputs, backbone.bert_config, "`text_to_inputs`")
    outgoing = OutgoingModel(model, backbone.bert_config, architecture, absent, names, text_to_inputs)
    with write_folder_aside(final) as aside:
        writers = _SENTENCE_ENCODER_WRITERS if architecture == SENTENCE_ENCODER else _WRITERS
        writers[format or outgoing.config.dialect](aside, outgoing)
        if final.is_dir():
            link_rest(final, aside, is_left_out=model_files(final))
        if check is not None:
            check(aside)
    return final


def _checked_labels(model: keras.Model, labels: Iterable[str] | None) -> tuple[str, ...] | None:
    """The label names: one for each label of the model, all different."""
    if labels is None:
        return None
    names = tuple(str(label) for label in labels)
    num_labels = getattr(model, "num_labels", None)
    if len(names) != num_labels or len(set(names)) != len(names):
        raise BadInputError(
            f"`labels` must name each of the model's {num_labels or 'no'} labels once. Received: {len(names)} names, "
            f"{names[:10]}. Pass one name for each label, in the order of their ids, or labels=None."
        )
    return names


def _check_replaceable(folder: Path) -> None:
    """Refuses a path where a file that is not part of a model would be overwritten."""
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder}: the path must be a folder. Received: a file. Choose another path.")
    if not folder.is_dir() or is_checkpoint(folder):
        return
    is_model_file = model_files(folder)
    taken = sorted(child.name for child in folder.iterdir() if is_model_file(Path(child.name)))
    if taken:
        raise BadInputError(
            f"{folder}: only the files of an earlier model are replaced. Received: a folder without a model that has "
            f"{', '.join(taken[:5])}. Choose another folder, or move these files away."
        )
