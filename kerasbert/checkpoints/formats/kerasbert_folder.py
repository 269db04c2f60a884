"""Reads and writes a model folder in kerasbert's own layout, which can express every variant of the encoder.

It has the files of Hugging Face's layout, but its `config.json` says `"model_type": "kerasbert"`, so that no other
library takes the encoder for a plain BERT, and its weights have the names of our own attributes.
"""

import json
from pathlib import Path

from kerasbert.checkpoints.architectures import SENTENCE_ENCODER, chosen_architecture
from kerasbert.checkpoints.formats.hugging_face_folder import CONFIG_FILE, SAFETENSORS_FILE
from kerasbert.checkpoints.formats.safetensors_file import read_safetensors, write_safetensors
from kerasbert.checkpoints.formats.tokenizer_files import read_text_to_inputs, write_tokenizer_files
from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.checkpoints.model_weights import extract, labels_in_weights, parts_present
from kerasbert.checkpoints.stored_model import OutgoingModel, StoredModel
from kerasbert.checkpoints.task_config import (
    SENTENCE_KEY,
    read_sentence_settings,
    read_task,
    sentence_settings,
    task_settings,
)
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, HEADS
from kerasbert.config import BertConfig
from kerasbert.config_dialects import OWN_DIALECT


def is_own_layout(folder: Path) -> bool:
    """Returns whether a folder has kerasbert's own layout."""
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    is_own = isinstance(values, dict) and values.get("model_type") == OWN_DIALECT
    return is_own and (folder / SAFETENSORS_FILE).is_file()


def read_kerasbert(folder: Path, preprocessing: bool = True) -> StoredModel:
    """Reads a folder's config, weights and preprocessing.

    Args:
        folder: The folder.
        preprocessing: Whether to read the vocabulary and the tokenizer's settings.

    Raises:
        BadInputError: A file is missing or damaged, or two files contradict each other.
    """
    path, weights = folder / CONFIG_FILE, folder / SAFETENSORS_FILE
    settings = JsonSettings(path, read_json_object(path))
    config = BertConfig.from_json(path, dialect=OWN_DIALECT)
    arrays = read_safetensors(weights)
    parts = parts_present(arrays, OWN_DIALECT, (*BACKBONE_PARTS, *HEADS))
    architecture, note = chosen_architecture(settings.texts("architectures"), parts)
    task, problem = read_task(settings, architecture, config, labels_in_weights(arrays, OWN_DIALECT))
    if SENTENCE_KEY in settings.values:
        architecture = SENTENCE_ENCODER
        task, problem = read_sentence_settings(settings.section(SENTENCE_KEY), config)
    return StoredModel(
        format=OWN_DIALECT,
        source_format=OWN_DIALECT,
        origin=f"{weights} with {CONFIG_FILE}",
        config=config,
        architecture=architecture,
        arrays=arrays,
        task=task,
        text_to_inputs=read_text_to_inputs(path, config) if preprocessing else None,
        head_problem=problem,
        notes=note,
    )


def write_kerasbert(folder: Path, outgoing: OutgoingModel) -> None:
    """Writes a model's config, weights and preprocessing into an empty folder."""
    values = {
        **json.loads(outgoing.config.to_json(dialect=OWN_DIALECT)),
        "architectures": [outgoing.architecture.hugging_face],
        **task_settings(outgoing.model, outgoing.labels),
    }
    if outgoing.architecture == SENTENCE_ENCODER:
        values[SENTENCE_KEY] = sentence_settings(outgoing.model)
    (folder / CONFIG_FILE).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    arrays = extract(outgoing.model, outgoing.parts, OWN_DIALECT, outgoing.config)
    write_safetensors(folder / SAFETENSORS_FILE, arrays)
    if outgoing.text_to_inputs is not None:
        write_tokenizer_files(folder, outgoing.text_to_inputs)
