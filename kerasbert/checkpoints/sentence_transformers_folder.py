"""Reads and writes the files by which sentence-transformers makes one vector of a Hugging Face encoder.

`modules.json` lists the steps: an encoder, a pooling and perhaps a normalization. The encoder's own files are left to
`hugging_face_folder.py`.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasbert.checkpoints.architectures import SENTENCE_ENCODER
from kerasbert.checkpoints.hugging_face_folder import read_hugging_face, write_hugging_face
from kerasbert.checkpoints.stored_model import OutgoingModel, StoredModel
from kerasbert.checkpoints.task_config import Task, read_json_object
from kerasbert.errors import BadInputError

MODULES_FILE = "modules.json"
_SETTINGS_FILE = "sentence_bert_config.json"
_POOLINGS = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "max": "pooling_mode_max_tokens"}


def read_sentence_transformers(folder: Path, preprocessing: bool = True) -> StoredModel:
    """Reads encoder, pooling and normalization of a sentence-transformers folder.

    Raises:
        BadInputError: a file is missing or damaged, or a step is one that `BertSentenceEncoder` does not have.
    """
    steps = _steps(folder / MODULES_FILE)
    kinds = [kind for kind, _ in steps]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise BadInputError(
            f"{folder / MODULES_FILE}: the steps must be Transformer, Pooling and perhaps Normalize. Received: "
            f"{', '.join(kinds)}. Load the encoder alone from {folder / dict(steps).get('Transformer', '')}."
        )
    encoder, pooling = (folder / path for _, path in steps[:2])
    settings = read_json_object(encoder / _SETTINGS_FILE) if (encoder / _SETTINGS_FILE).is_file() else {}
    stored = read_hugging_face(
        encoder, preprocessing, settings.get("max_seq_length"), bool(settings.get("do_lower_case"))
    )
    arguments = {"pooling": _pooling(pooling / "config.json"), "normalize": "Normalize" in kinds}
    return dataclasses.replace(
        stored,
        source_format="sentence_transformers",
        architecture=SENTENCE_ENCODER,
        task=Task(arguments=arguments),
    )


def write_sentence_transformers(folder: Path, outgoing: OutgoingModel) -> None:
    """Writes a `BertSentenceEncoder` into an empty folder: its encoder's files and the steps beside them."""
    write_hugging_face(folder, outgoing)
    model, text_to_inputs = outgoing.model, outgoing.text_to_inputs
    max_length = text_to_inputs.sequence_length if text_to_inputs else outgoing.config.max_position_embeddings
    steps = [("Transformer", ""), ("Pooling", "1_Pooling")] + [("Normalize", "2_Normalize")] * model.normalize
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(steps)
    ]
    pooling = {"word_embedding_dimension": model.backbone.hidden_size}
    pooling |= {key: model.pooling == mode for mode, key in _POOLINGS.items()}
    for _, path in steps[1:]:
        (folder / path).mkdir()
    for name, values in (
        (MODULES_FILE, modules),
        ("1_Pooling/config.json", pooling),
        (_SETTINGS_FILE, {"max_seq_length": max_length, "do_lower_case": False}),
    ):
        (folder / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _steps(path: Path) -> list[tuple[str, str]]:
    """The kind and the folder of each step, in order."""
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        return [(str(module["type"]).rsplit(".", 1)[-1], str(module["path"])) for module in modules]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{path}: the file must be a JSON list of steps with `type` and `path`. Received: {error!r}. "
            "Copy or download it again."
        ) from error


def _pooling(path: Path) -> str:
    """Our name for the pooling that a step's config describes."""
    values: Mapping[str, Any] = read_json_object(path)
    modes = values.get("pooling_mode") or [key for key, value in values.items() if "pooling_mode_" in key and value]
    modes = [modes] if isinstance(modes, str) else list(modes)
    ours = [mode for mode, key in _POOLINGS.items() if modes in ([mode], [key])]
    if not ours:
        raise BadInputError(
            f"{path}: the pooling must be one of {', '.join(_POOLINGS)}. Received: {modes}. "
            "Load the encoder with `load_backbone` and pool its `sequence_output`."
        )
    return ours[0]
