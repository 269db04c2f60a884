"""Reads and writes the files by which sentence-transformers makes one vector of a Hugging Face encoder.

`modules.json` lists the steps: an encoder, a pooling and perhaps a normalization. The encoder's own files are left to
`hugging_face_folder.py`.
"""

import dataclasses
import json
from pathlib import Path

from kerasbert.checkpoints.architectures import SENTENCE_ENCODER
from kerasbert.checkpoints.hugging_face_folder import read_hugging_face, write_hugging_face
from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.checkpoints.stored_model import OutgoingModel, StoredModel
from kerasbert.checkpoints.task_config import Task
from kerasbert.checkpoints.tokenizer_files import SHORTEST_LIMIT, TEXT_REMEDY
from kerasbert.errors import BadInputError

MODULES_FILE = "modules.json"
_SETTINGS_FILE = "sentence_bert_config.json"
# Kinds of steps with an encoder: BERT is what Transformer was called at first, MLMTransformer is SPLADE's.
_ENCODERS = ("Transformer", "BERT", "MLMTransformer")
_POOLINGS = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "max": "pooling_mode_max_tokens"}


def read_sentence_transformers(folder: Path, preprocessing: bool = True) -> StoredModel:
    """Reads encoder, pooling and normalization of a sentence-transformers folder.

    Steps and poolings that `BertSentenceEncoder` does not have are the result's `head_problem`: the encoder alone can
    be taken out of any folder with one.

    Raises:
        BadInputError: a file of the encoder is missing or damaged, or there is no encoder among the steps.
    """
    steps = _steps(folder / MODULES_FILE)
    encoder = next((folder / path for kind, path in steps if kind in _ENCODERS), None)
    if encoder is None:
        raise BadInputError(
            f"{folder / MODULES_FILE}: a step must be one of {', '.join(_ENCODERS)}. Received: {_listed(steps)}. "
            "Name the folder of a model with a BERT encoder."
        )
    max_length, lower_case = _text_settings(encoder / _SETTINGS_FILE) if preprocessing else (None, False)
    stored = read_hugging_face(encoder, preprocessing, max_length, lower_case)
    task, head_problem = _read_task(folder, steps)
    return dataclasses.replace(
        stored,
        source_format="sentence_transformers",
        architecture=SENTENCE_ENCODER,
        task=task,
        head_problem=head_problem,
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


def _listed(steps: list[tuple[str, str]]) -> str:
    return ", ".join(kind for kind, _ in steps) or "no steps"


def _text_settings(path: Path) -> tuple[int | None, bool]:
    """The longest input, if the encoder's step limits it, and whether that step lower-cases the text."""
    settings = JsonSettings.read(path, TEXT_REMEDY)
    return settings.whole_number("max_seq_length", SHORTEST_LIMIT), bool(settings.flag("do_lower_case"))


def _read_task(folder: Path, steps: list[tuple[str, str]]) -> tuple[Task, str | None]:
    """What the steps after the encoder do; and why `BertSentenceEncoder` cannot do it, if it cannot."""
    kinds = [kind for kind, _ in steps]
    expected = ["Pooling", "Normalize"]
    if kinds[:1] not in (["Transformer"], ["BERT"]) or kinds[1:] not in (expected[:1], expected):
        return Task(), (
            f"{folder / MODULES_FILE}: the steps must be Transformer, Pooling and perhaps Normalize. Received: "
            f"{_listed(steps)}. Load the encoder alone with `load_backbone`."
        )
    try:
        pooling = _pooling(folder / steps[1][1] / "config.json")
    except BadInputError as error:
        return Task(), str(error)
    return Task(arguments={"pooling": pooling, "normalize": "Normalize" in kinds}), None


def _pooling(path: Path) -> str:
    """Our name for the pooling that a step's config describes."""
    remedy = "Load the encoder with `load_backbone` and pool its `sequence_output`."
    settings = JsonSettings(path, read_json_object(path), remedy)
    modes = settings.values.get("pooling_mode")
    if modes is None:
        modes = [key for key in settings.values if key.startswith("pooling_mode_") and settings.flag(key)]
    ours = [mode for mode, key in _POOLINGS.items() if modes in (mode, [mode], [key])]
    if not ours:
        raise BadInputError(
            f"{path}: the pooling must be one of {', '.join(_POOLINGS)}. Received: pooling_mode={modes!r}. {remedy}"
        )
    return ours[0]
