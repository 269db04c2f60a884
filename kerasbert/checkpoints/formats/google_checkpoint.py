"""Reads and writes the layout of google-research/bert: `bert_model.ckpt.*` with `bert_config.json` and `vocab.txt`.

Also finds the config that belongs to any TensorFlow checkpoint. The checkpoint itself is read and written by
`tensorflow_checkpoint.py`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kerasbert.checkpoints.architectures import BACKBONE, SENTENCE_ENCODER, architecture_of_parts
from kerasbert.checkpoints.formats.tensorflow_checkpoint import write_tensorflow
from kerasbert.checkpoints.formats.tokenizer_files import read_text_to_inputs
from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.checkpoints.model_weights import extract, labels_in_weights, parts_present, with_rows_of_weights
from kerasbert.checkpoints.setting_tables import GOOGLE_CONFIG, check_settings
from kerasbert.checkpoints.stored_model import OutgoingModel, StoredModel
from kerasbert.checkpoints.task_config import (
    SENTENCE_KEY,
    read_sentence_settings,
    read_task,
    sentence_settings,
    task_settings,
)
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, HEADS
from kerasbert.checkpoints.wrapped_names import removed_prefixes_note, unwrapped_names
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError

GOOGLE_CONFIG_FILE = "bert_config.json"
_FORMAT = "google_tf1"
_PREFIX = "bert_model.ckpt"
# Google's code has no heads for other models.
_MODELS = ("BertBackbone", "BertPretrainer", "BertSequenceClassifier", "BertSpanPredictor", "BertSentenceEncoder")


def read_google(prefix: Path, arrays: Mapping[str, np.ndarray], preprocessing: bool = True) -> StoredModel:
    """Reads the config and preprocessing of a TensorFlow 1 checkpoint. Its heads tell its task.

    Args:
        prefix: The path of the checkpoint without `.index`.
        arrays: Its weights by name.
        preprocessing: Whether to read the vocabulary.

    Raises:
        BadInputError: The config is missing, or the config or the vocabulary does not fit.
    """
    path, config = read_google_config(prefix.parent)
    values = read_json_object(path)
    check_settings(JsonSettings(path, values), GOOGLE_CONFIG)
    origin = f"{prefix} with {path.name}"
    plain_names, removed = unwrapped_names(arrays, _FORMAT, origin)
    arrays = {plain_names[name]: array for name, array in arrays.items()}
    config, rows_note = with_rows_of_weights(config, arrays, _FORMAT)
    architecture = architecture_of_parts(parts_present(arrays, _FORMAT, (*BACKBONE_PARTS, *HEADS)))
    settings = JsonSettings(path, values)
    task, head_problem = read_task(settings, architecture, config, labels_in_weights(arrays, _FORMAT))
    if architecture == BACKBONE and SENTENCE_KEY in values:
        architecture = SENTENCE_ENCODER
        task, head_problem = read_sentence_settings(settings.section(SENTENCE_KEY), config)
    return StoredModel(
        format=_FORMAT,
        source_format=_FORMAT,
        origin=origin,
        config=config,
        architecture=architecture,
        arrays=dict(arrays),
        task=task,
        text_to_inputs=read_text_to_inputs(path, config) if preprocessing else None,
        head_problem=head_problem,
        notes=(*removed_prefixes_note(removed), *rows_note),
    )


def read_google_config(folder: Path) -> tuple[Path, BertConfig]:
    """Reads the config of a TensorFlow checkpoint.

    Args:
        folder: The checkpoint's folder.

    Returns:
        The path of the config, and its content.

    Raises:
        BadInputError: There is no config, or it is not BERT's.
    """
    for name, dialect in ((GOOGLE_CONFIG_FILE, "google"), ("config.json", None)):
        if (folder / name).is_file():
            read_json_object(folder / name)  # which recognizes a file that is something else
            return folder / name, BertConfig.from_json(folder / name, dialect=dialect)
    raise BadInputError(
        f"{folder}: the folder must contain the config of the checkpoint, {GOOGLE_CONFIG_FILE}. Received: "
        f"{sorted(file.name for file in folder.iterdir())[:20]}. Copy the file that was published with the checkpoint."
    )


def write_google(folder: Path, outgoing: OutgoingModel) -> None:
    """Writes a model's config, weights and preprocessing into an empty folder.

    Google's code ignores unknown keys, so its config also keeps the norm epsilon (1e-12 there), the labels, the problem
    type and the pooling. The erf form of GELU, which that code lacks, gets a name that it refuses.
    """
    if outgoing.architecture.model not in _MODELS:
        raise BadInputError(
            f"The layout of google-research/bert must be used for {', '.join(_MODELS)} only. Received: a "
            f"{outgoing.architecture.model}. Use format='hugging_face', or save the model's `backbone`."
        )
    values = {
        **json.loads(outgoing.config.to_json(dialect="google")),
        **task_settings(outgoing.model, outgoing.labels),
    }
    if outgoing.architecture == SENTENCE_ENCODER:
        values[SENTENCE_KEY] = sentence_settings(outgoing.model)
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    (folder / GOOGLE_CONFIG_FILE).write_text(text, encoding="utf-8")
    write_tensorflow(folder / _PREFIX, extract(outgoing.model, outgoing.parts, _FORMAT, outgoing.config))
    if outgoing.text_to_inputs is not None:
        outgoing.text_to_inputs.save(folder)
