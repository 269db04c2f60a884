"""Reads and writes a model folder in Hugging Face's layout: `config.json`, weights, and tokenizer files.

This is also kerasbert's own folder: `preprocessing.json` beside those files is all that it adds. Tensors come from
`safetensors_file.py` and `pytorch_file.py`, the keys of a task from `task_config.py`.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kerasbert.checkpoints.architectures import Architecture, architecture_named, architecture_of_parts
from kerasbert.checkpoints.formats.pytorch_file import read_pytorch
from kerasbert.checkpoints.formats.safetensors_file import read_safetensors, read_shards, write_safetensors
from kerasbert.checkpoints.formats.tokenizer_files import read_text_to_inputs, write_tokenizer_files
from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.checkpoints.model_weights import extract, labels_in_weights, parts_present
from kerasbert.checkpoints.stored_model import OutgoingModel, StoredModel
from kerasbert.checkpoints.task_config import read_task, task_settings
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, HEADS, PROJECTIONS, is_of_backbone
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError

CONFIG_FILE = "config.json"
_FORMAT = "hugging_face"
SAFETENSORS_FILE = "model.safetensors"
# Weight files in the order of preference, and what reads each.
_READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    SAFETENSORS_FILE: read_safetensors,
    "model.safetensors.index.json": lambda path: read_shards(path, read_safetensors),
    "pytorch_model.bin": read_pytorch,
    "pytorch_model.bin.index.json": lambda path: read_shards(path, read_pytorch),
}
WEIGHTS_FILES = tuple(_READERS)
# Position numbers and zeros that old versions saved among the weights.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_PREFIX = "bert."
# The output matrix is the word embedding; its bias has a name of its own since 2020.
_TIED = {
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


def weights_file(path: Path) -> Path | None:
    """The weights in a folder, or `path` itself if it is such a file; None if there are none that can be read."""
    if path.is_file():
        return path if path.name in _READERS else None
    return next((path / name for name in _READERS if (path / name).is_file()), None)


def present_weights_file(path: Path) -> Path:
    """The weights file in a folder, or `path` itself.

    Raises:
        BadInputError: there is none.
    """
    weights = weights_file(path)
    if weights is None:
        raise BadInputError(
            f"{path}: weights must be there as {', '.join(_READERS)}. Received: none of them. "
            "Copy or download the missing file."
        )
    return weights


def read_weights(weights: Path) -> dict[str, np.ndarray]:
    """The arrays of a weights file by their names there.

    Raises:
        BadInputError: it is damaged.
    """
    return _READERS[weights.name](weights)


def read_hugging_face(
    path: Path, preprocessing: bool = True, max_length: int | None = None, lower_case: bool = False
) -> StoredModel:
    """Reads a folder's config, weights and preprocessing.

    Args:
        path: a folder with `config.json` and weights (safetensors before PyTorch's), or one weights file in it.
        preprocessing: whether vocabulary and tokenizer settings are read.
        max_length, lower_case: what a folder around this one says of the preprocessing.

    Raises:
        BadInputError: a file is missing or damaged, or they contradict each other.
    """
    weights = present_weights_file(path)
    folder = weights.parent
    settings = JsonSettings(folder / CONFIG_FILE, read_json_object(folder / CONFIG_FILE))
    named = settings.texts("architectures")
    config = BertConfig.from_json(folder / CONFIG_FILE, dialect="hugging_face")
    origin = f"{weights} with {CONFIG_FILE}"
    arrays = _named_by_table(read_weights(weights), origin)
    untied = _without_copies(arrays)
    architecture = _architecture(named, parts_present(arrays, _FORMAT, (*BACKBONE_PARTS, *HEADS)))
    task, task_problem = read_task(settings, architecture, config, labels_in_weights(arrays, _FORMAT))
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
    )


def write_hugging_face(folder: Path, outgoing: OutgoingModel) -> None:
    """Writes a model's config, weights and preprocessing into an empty folder; a sentence encoder without its steps."""
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


def _named_by_table(arrays: dict[str, np.ndarray], origin: str) -> dict[str, np.ndarray]:
    """The arrays by the names of the weight table: no prefix, no old names, no buffers."""
    named: dict[str, np.ndarray] = {}
    for saved_name, array in arrays.items():
        name = saved_name.removeprefix(_PREFIX)
        for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
            name = name.removesuffix(old) + new if name.endswith(old) else name
        if name in named:
            raise BadInputError(
                f"{origin}: each weight must be there once. Received: {saved_name!r} and the same weight under another "
                "name, with and without `bert.` or in old and new words. Save the model again."
            )
        if name not in _BUFFERS:
            named[name] = array
    return named


def _without_copies(arrays: dict[str, np.ndarray]) -> str | None:
    """Takes the copies of tied weights out of the arrays; says what is wrong if one is no copy, and leaves it there."""
    for copy, original in _TIED.items():
        if copy in arrays:
            if not np.array_equal(arrays.setdefault(original, arrays[copy]), arrays[copy]):
                return (
                    f"{copy} must be the same as {original}, as in every BERT. Received: two different "
                    "arrays (an untied output). Load the encoder alone with `load_backbone`."
                )
            del arrays[copy]
    return None


def _architecture(names: list[str], parts: tuple[str, ...]) -> Architecture:
    """The architecture that the config names; else the one whose heads are there.

    The weights of `bert-base-uncased` name BertForMaskedLM and hold both heads: they are read with both.
    """
    named = [architecture_named(name) for name in names]
    return next((architecture for architecture in named if architecture), architecture_of_parts(parts))
