"""Reads and writes the layout of google-research/bert: `bert_model.ckpt.*` with `bert_config.json` and `vocab.txt`.

Also finds the config beside any TensorFlow checkpoint. Files of TensorFlow are left to `tensorflow_checkpoint.py`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kerasbert.checkpoints.architectures import BACKBONE, SENTENCE_ENCODER, architecture_of_parts
from kerasbert.checkpoints.formats.tensorflow_checkpoint import write_tensorflow
from kerasbert.checkpoints.formats.tokenizer_files import read_text_to_inputs
from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.checkpoints.model_weights import extract, labels_in_weights, parts_present
from kerasbert.checkpoints.stored_model import OutgoingModel, StoredModel
from kerasbert.checkpoints.task_config import Task, read_task, sentence_task, task_settings
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, HEADS
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError

GOOGLE_CONFIG_FILE = "bert_config.json"
_FORMAT = "google_tf1"
_PREFIX = "bert_model.ckpt"
# Google's code has no place for the others' heads.
_MODELS = ("BertBackbone", "BertPretrainer", "BertSequenceClassifier", "BertSpanPredictor", "BertSentenceEncoder")
# Where we keep what a sentence encoder does after its encoder.
_SENTENCE_KEY = "sentence_encoder"


def read_google(prefix: Path, arrays: Mapping[str, np.ndarray], preprocessing: bool = True) -> StoredModel:
    """Reads config and preprocessing beside a TensorFlow 1 checkpoint, and finds out its task by its heads.

    Args:
        prefix: the checkpoint.
        arrays: its weights by name.
        preprocessing: whether the vocabulary is read.

    Raises:
        BadInputError: the config or the vocabulary is missing or does not fit.
    """
    path, config = read_google_config(prefix.parent)
    values = read_json_object(path)
    architecture = architecture_of_parts(parts_present(arrays, _FORMAT, (*BACKBONE_PARTS, *HEADS)))
    settings = JsonSettings(path, values)
    task, head_problem = read_task(settings, architecture, config, labels_in_weights(arrays, _FORMAT))
    if architecture == BACKBONE and _SENTENCE_KEY in values:
        architecture = SENTENCE_ENCODER
        task, head_problem = _read_sentence_task(settings.section(_SENTENCE_KEY), config)
    return StoredModel(
        format=_FORMAT,
        source_format=_FORMAT,
        origin=f"{prefix} with {path.name}",
        config=config,
        architecture=architecture,
        arrays=dict(arrays),
        task=task,
        text_to_inputs=read_text_to_inputs(path, config) if preprocessing else None,
        head_problem=head_problem,
    )


def read_google_config(folder: Path) -> tuple[Path, BertConfig]:
    """The config beside a TensorFlow checkpoint, and where it is.

    Raises:
        BadInputError: there is none, or it is no BERT config.
    """
    for name, dialect in ((GOOGLE_CONFIG_FILE, "google"), ("config.json", None)):
        if (folder / name).is_file():
            return folder / name, BertConfig.from_json(folder / name, dialect=dialect)
    raise BadInputError(
        f"{folder}: the config must lie beside the checkpoint as {GOOGLE_CONFIG_FILE}. Received: "
        f"{sorted(file.name for file in folder.iterdir())[:20]}. Copy the file that was published with the checkpoint."
    )


def write_google(folder: Path, outgoing: OutgoingModel) -> None:
    """Writes a model's config, weights and preprocessing into an empty folder.

    Google's code passes over keys that it does not know, so the norm epsilon (1e-12 there), labels, kind of problem and
    pooling are kept in its config for whoever reads them. A form of GELU that it lacks gets a name that it refuses.
    """
    if outgoing.architecture.model not in _MODELS:
        raise BadInputError(
            f"The layout of google-research/bert holds {', '.join(_MODELS)}. "
            f"Received: a {outgoing.architecture.model}. Save it as hugging_face, or save its `backbone`."
        )
    values = {
        **json.loads(outgoing.config.to_json(dialect="google")),
        **task_settings(outgoing.model, outgoing.labels),
    }
    if outgoing.architecture == SENTENCE_ENCODER:
        arguments = outgoing.model.get_config()
        values[_SENTENCE_KEY] = {name: arguments[name] for name in ("pooling", "normalize", "projections")}
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    (folder / GOOGLE_CONFIG_FILE).write_text(text, encoding="utf-8")
    write_tensorflow(folder / _PREFIX, extract(outgoing.model, outgoing.parts, _FORMAT, outgoing.config))
    if outgoing.text_to_inputs is not None:
        outgoing.text_to_inputs.save(folder)


def _read_sentence_task(settings: JsonSettings, config: BertConfig) -> tuple[Task, str | None]:
    """What a sentence encoder does after its encoder, and what is wrong with it, if anything."""
    unknown = settings.values.keys() - {"pooling", "normalize", "projections"}
    try:
        if unknown:
            raise settings.refusal(sorted(unknown)[0], "must be left out: no sentence encoder has it")
        return sentence_task(settings.values, config), None
    except BadInputError as error:
        return Task(), f"{error} `load_backbone` takes the encoder alone."
