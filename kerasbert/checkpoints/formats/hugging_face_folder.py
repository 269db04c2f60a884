"""Reads and writes a model folder in Hugging Face's layout: `config.json`, weights, and tokenizer files.

This is also kerasbert's own layout, which adds `preprocessing.json`. Tensors are read by `safetensors_file.py`,
`pytorch_file.py` and `keras_h5_file.py`, the keys of a task by `task_config.py`.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kerasbert.checkpoints.architectures import BACKBONE, chosen_architecture
from kerasbert.checkpoints.formats.keras_h5_file import read_keras_h5
from kerasbert.checkpoints.formats.other_files import refuse_other_files
from kerasbert.checkpoints.formats.pytorch_file import read_pytorch
from kerasbert.checkpoints.formats.safetensors_file import read_safetensors, read_shards, write_safetensors
from kerasbert.checkpoints.formats.tokenizer_files import read_text_to_inputs, write_tokenizer_files
from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.checkpoints.model_weights import extract, labels_in_weights, parts_present, with_rows_of_weights
from kerasbert.checkpoints.setting_tables import HUGGING_FACE_CONFIG, HUGGING_FACE_HEADS, check_settings
from kerasbert.checkpoints.stored_model import OutgoingModel, StoredModel
from kerasbert.checkpoints.task_config import read_task, task_settings
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, HEADS, PROJECTIONS, is_of_backbone
from kerasbert.checkpoints.wrapped_names import removed_prefixes_note, unwrapped_names
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError

CONFIG_FILE = "config.json"
_FORMAT = "hugging_face"
SAFETENSORS_FILE = "model.safetensors"
KERAS_H5_FILE = "tf_model.h5"
# Weight files in the order of preference, and the function that reads each.
_READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    SAFETENSORS_FILE: read_safetensors,
    "model.safetensors.index.json": lambda path: read_shards(path, read_safetensors),
    "pytorch_model.bin": read_pytorch,
    "pytorch_model.bin.index.json": lambda path: read_shards(path, read_pytorch),
    KERAS_H5_FILE: read_keras_h5,
}
# Saving a model replaces these. A tf_model.h5 is kept, as other files that we do not write.
WEIGHTS_FILES = tuple(name for name in _READERS if name != KERAS_H5_FILE)
# Position numbers and zeros that old versions saved together with the weights.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_PREFIX = "bert."
# Copies: the output matrix is the word embedding, and its bias has a second name since 2020.
_TIED = {
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


def weights_file(path: Path) -> Path | None:
    """Returns the weights file in a folder, or `path` itself if it is one; None if there is none that can be read."""
    if path.is_file():
        return path if path.name in _READERS else None
    return next((path / name for name in _READERS if (path / name).is_file()), None)


def present_weights_file(path: Path) -> Path:
    """Returns the weights file in a folder, or `path` itself.

    Raises:
        BadInputError: There is none.
    """
    weights = weights_file(path)
    if weights is None:
        refuse_other_files(path)
        raise BadInputError(
            f"{path}: the folder must contain weights: {', '.join(_READERS)}. Received: none of these files. "
            "Download or copy one of them into the folder."
        )
    return weights


def read_weights(weights: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a weights file by their names in the file.

    Raises:
        BadInputError: The file is damaged.
    """
    return _READERS[weights.name](weights)


def read_hugging_face(
    path: Path, preprocessing: bool = True, max_length: int | None = None, lower_case: bool = False
) -> StoredModel:
    """Reads a folder's config, weights and preprocessing.

    Args:
        path: A folder with `config.json` and weights, or one weights file in a folder.
        preprocessing: Whether to read the vocabulary and the tokenizer's settings.
        max_length: The longest input in tokens, if a file outside this folder says so.
        lower_case: Whether a file outside this folder says that text is lower-cased.

    Raises:
        BadInputError: A file is missing or damaged, or two files contradict each other.
    """
    weights = present_weights_file(path)
    folder = weights.parent
    settings = JsonSettings(folder / CONFIG_FILE, read_json_object(folder / CONFIG_FILE))
    check_settings(settings, HUGGING_FACE_CONFIG)
    named = settings.texts("architectures")
    config = BertConfig.from_json(folder / CONFIG_FILE, dialect="hugging_face")
    origin = f"{weights} with {CONFIG_FILE}"
    arrays, notes = _named_by_table(read_weights(weights), origin)
    untied = _untied_output(settings, arrays) or _without_copies(arrays)
    config, rows_note = with_rows_of_weights(config, arrays, _FORMAT)
    architecture, head_note = chosen_architecture(named, parts_present(arrays, _FORMAT, (*BACKBONE_PARTS, *HEADS)))
    tables = () if architecture == BACKBONE else HUGGING_FACE_HEADS
    task, task_problem = read_task(settings, architecture, config, labels_in_weights(arrays, _FORMAT), tables)
    return StoredModel(
        format=_FORMAT,
        source_format=_FORMAT,
        origin=origin,
        config=config,
        architecture=architecture,
        arrays=arrays,
        head_problem=f"{origin}: {untied}" if untied else task_problem,
        task=task,
        text_to_inputs=read_text_to_inputs(settings.path, config, max_length, lower_case) if preprocessing else None,
        notes=(*notes, *rows_note, *head_note),
    )


def write_hugging_face(folder: Path, outgoing: OutgoingModel) -> None:
    """Writes a model's config, weights and preprocessing into an empty folder, but not a sentence encoder's steps."""
    parts = [part for part in outgoing.parts if part != PROJECTIONS]
    arrays = extract(outgoing.model, parts, _FORMAT, outgoing.config)
    if outgoing.architecture.hugging_face != "BertModel":
        arrays = {_PREFIX * is_of_backbone(name, _FORMAT) + name: array for name, array in arrays.items()}
    text_to_inputs = outgoing.text_to_inputs
    values = {
        **json.loads(outgoing.config.to_json(dialect=_FORMAT)),
        "architectures": [outgoing.architecture.hugging_face],
        "pad_token_id": text_to_inputs.vocabulary.pad_id if text_to_inputs else 0,
        **task_settings(outgoing.model, outgoing.labels),
    }
    (folder / CONFIG_FILE).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_safetensors(folder / SAFETENSORS_FILE, arrays)
    if text_to_inputs is not None:
        write_tokenizer_files(folder, text_to_inputs)


def _named_by_table(arrays: dict[str, np.ndarray], origin: str) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The arrays by the names of the weight table (no prefix, no old names, no buffers), and a note on prefixes."""
    plain_names, removed = unwrapped_names(arrays, _FORMAT, origin)
    named: dict[str, np.ndarray] = {}
    for saved_name, array in arrays.items():
        name = plain_names[saved_name].removeprefix(_PREFIX)
        for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
            name = name.removesuffix(old) + new if name.endswith(old) else name
        if name in named:
            raise BadInputError(
                f"{origin}: each weight must be in the file once. Received: {saved_name!r} and the same weight under "
                "another name (with and without `bert.`, or gamma and weight). Remove one of them and save again."
            )
        if name not in _BUFFERS:
            named[name] = array
    return named, removed_prefixes_note(removed)


def _untied_output(settings: JsonSettings, arrays: dict[str, np.ndarray]) -> str | None:
    """A message if the masked language model has an output matrix of its own that is not in the weights."""
    copy = next(iter(_TIED))
    is_masked_lm = "masked_lm" in parts_present(arrays, _FORMAT, HEADS)
    if not is_masked_lm or settings.flag("tie_word_embeddings") is not False or copy in arrays:
        return None
    return (
        f"`tie_word_embeddings` must be true, or the weights must contain {copy}. Received: false, and weights without "
        "it. Load the encoder alone with `load_backbone`."
    )


def _without_copies(arrays: dict[str, np.ndarray]) -> str | None:
    """Removes the copies of tied weights. Returns a message about one that is not a copy, which is not removed."""
    for copy, original in _TIED.items():
        if copy in arrays:
            if not np.array_equal(arrays.setdefault(original, arrays[copy]), arrays[copy]):
                return (
                    f"{copy} must be the same as {original}, as in every BERT. Received: two different "
                    "arrays (an untied output). Load the encoder alone with `load_backbone`."
                )
            del arrays[copy]
    return None
