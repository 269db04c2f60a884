"""Reads and writes the files by which sentence-transformers makes one vector of a Hugging Face encoder.

`modules.json` lists the steps: an encoder, a pooling, and optionally dense layers and a normalization. The encoder's
files are read and written by `hugging_face_folder.py`, the config of each step by `sentence_transformers_steps.py`.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasbert.checkpoints.architectures import SENTENCE_ENCODER
from kerasbert.checkpoints.formats.hugging_face_folder import (
    CONFIG_FILE,
    SAFETENSORS_FILE,
    present_weights_file,
    read_hugging_face,
    read_weights,
    write_hugging_face,
)
from kerasbert.checkpoints.formats.other_files import unreadable_file
from kerasbert.checkpoints.formats.safetensors_file import write_safetensors
from kerasbert.checkpoints.formats.sentence_transformers_steps import (
    check_normalize,
    dense_settings,
    pooling_settings,
    read_dense,
    read_pooling,
)
from kerasbert.checkpoints.formats.tokenizer_files import SHORTEST_LIMIT, TEXT_REMEDY
from kerasbert.checkpoints.json_settings import JsonSettings
from kerasbert.checkpoints.model_weights import extract, projections_of
from kerasbert.checkpoints.setting_tables import SENTENCE_BERT_MODEL, SENTENCE_PROMPTS, check_settings
from kerasbert.checkpoints.stored_model import OutgoingModel, StoredModel
from kerasbert.checkpoints.task_config import sentence_task
from kerasbert.checkpoints.weight_names import PROJECTIONS
from kerasbert.errors import BadInputError
from kerasbert.models.sentence_encoder import SIMILARITIES

MODULES_FILE = "modules.json"
_FORMAT = "hugging_face"
_SETTINGS_FILE = "sentence_bert_config.json"
_PROMPTS_FILE = "config_sentence_transformers.json"
SENTENCE_FILES = (MODULES_FILE, _SETTINGS_FILE, _PROMPTS_FILE)
# Steps with an encoder: `BERT` is an old name of `Transformer`, `MLMTransformer` belongs to SPLADE.
_ENCODERS = ("Transformer", "BERT", "MLMTransformer")
# The package of the other steps' classes. A class of another package may compute anything.
_PACKAGE = "sentence_transformers."


def read_sentence_transformers(folder: Path, preprocessing: bool = True) -> StoredModel:
    """Reads encoder, pooling, dense layers and normalization of a sentence-transformers folder.

    Steps that `BertSentenceEncoder` does not have become the result's `head_problem`: the encoder alone can still be
    loaded.

    Args:
        folder: The folder of `modules.json`.
        preprocessing: Whether to read the vocabulary and the tokenizer's settings.

    Raises:
        BadInputError: A file of the encoder is missing or damaged, or none of the steps is an encoder.
    """
    steps = _steps(folder / MODULES_FILE)
    encoder = next((folder / path for kind, path in steps if kind in _ENCODERS), None)
    if encoder is None:
        raise BadInputError(
            f"{folder / MODULES_FILE}: a step must be one of {', '.join(_ENCODERS)}. Received: {_listed(steps)}. "
            "Use a model with a BERT encoder."
        )
    max_length, lower_case = _text_settings(encoder / _SETTINGS_FILE) if preprocessing else (None, False)
    stored = read_hugging_face(encoder, preprocessing, max_length, lower_case)
    stored = dataclasses.replace(stored, source_format="sentence_transformers", architecture=SENTENCE_ENCODER)
    try:
        check_settings(JsonSettings.read(encoder / _SETTINGS_FILE), SENTENCE_BERT_MODEL)
        usage = _usage(JsonSettings.read(folder / _PROMPTS_FILE))
        return _with_later_steps(stored, folder, steps, usage)
    except BadInputError as error:
        return dataclasses.replace(stored, head_problem=str(error))


def write_sentence_transformers(folder: Path, outgoing: OutgoingModel) -> None:
    """Writes a `BertSentenceEncoder` into an empty folder: its encoder's files and those of the other steps."""
    write_hugging_face(folder, outgoing)
    model, text_to_inputs = outgoing.model, outgoing.text_to_inputs
    max_length = text_to_inputs.sequence_length if text_to_inputs else outgoing.config.max_position_embeddings
    projections = projections_of(model)
    steps = [("Transformer", ""), ("Pooling", "1_Pooling")]
    steps += [("Dense", projection.folder) for projection in projections]
    steps += [("Normalize", f"{len(steps)}_Normalize")] * model.normalize
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"{_PACKAGE}models.{kind}"}
        for index, (kind, path) in enumerate(steps)
    ]
    files: dict[str, Any] = {
        MODULES_FILE: modules,
        _SETTINGS_FILE: {"max_seq_length": max_length, "do_lower_case": False},
        f"1_Pooling/{CONFIG_FILE}": pooling_settings(model.pooling, model.backbone.hidden_size),
    }
    for projection, arguments in zip(projections, model.projections, strict=True):
        files[f"{projection.folder}/{CONFIG_FILE}"] = dense_settings(arguments, projection.inputs)
    if model.prompts or model.similarity:
        files[_PROMPTS_FILE] = {
            "prompts": model.prompts,
            "default_prompt_name": model.default_prompt_name,
            "similarity_fn_name": model.similarity,
        }
    for _, path in steps[1:]:
        (folder / path).mkdir()
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    arrays = extract(model, [PROJECTIONS], _FORMAT, outgoing.config)
    for projection in projections:
        start = f"{projection.folder}/"
        of_step = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        write_safetensors(folder / projection.folder / SAFETENSORS_FILE, of_step)


def _steps(path: Path) -> list[tuple[str, str]]:
    """The kind and the folder of each step, in order. The kind of a class of another package is its full name."""
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        steps = [(_kind(str(module["type"])), str(module["path"])) for module in modules]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable_file(
            path,
            "the file must be a JSON list of steps with `type` and `path`",
            repr(error),
            "Download or copy it again.",
        ) from error
    outside = [step for _, step in steps if not (path.parent / step).resolve().is_relative_to(path.parent.resolve())]
    if outside:
        raise BadInputError(
            f"{path}: each `path` must be inside the folder. Received: {', '.join(outside)}. "
            "Copy the step's folder into this one and name it here."
        )
    return steps


def _kind(step_class: str) -> str:
    """The kind of a step. The files of an encoder are Hugging Face's, whatever package its class is from."""
    name = step_class.rsplit(".", 1)[-1]
    return name if step_class.startswith(_PACKAGE) or name in _ENCODERS else step_class


def _listed(steps: list[tuple[str, str]]) -> str:
    return ", ".join(kind for kind, _ in steps) or "no steps"


def _text_settings(path: Path) -> tuple[int | None, bool]:
    """The longest input, if the encoder's step limits it, and whether the step lower-cases the text."""
    settings = JsonSettings.read(path, TEXT_REMEDY)
    return settings.whole_number("max_seq_length", SHORTEST_LIMIT), bool(settings.flag("do_lower_case"))


def _usage(settings: JsonSettings) -> dict[str, Any]:
    """The prompts and the similarity, as arguments of `BertSentenceEncoder`.

    Raises:
        BadInputError: sentence-transformers puts a prompt in front of every text. Other prompts are up to the caller.
    """
    check_settings(settings, SENTENCE_PROMPTS)
    section = settings.section("prompts")
    prompts = {name: section.text(name) for name in section.values if section.values[name] is not None}
    name = settings.text("default_prompt_name")
    if name is not None and prompts.get(name) != "":
        raise settings.refusal(
            "default_prompt_name", "must be null: put the prompt in front of each text yourself, then set it to null"
        )
    similarity = settings.text("similarity_fn_name")
    if similarity not in (None, *SIMILARITIES):
        raise settings.refusal("similarity_fn_name", f"must be one of {', '.join(SIMILARITIES)}")
    return {"prompts": prompts, "default_prompt_name": name, "similarity": similarity}


def _with_later_steps(
    stored: StoredModel, folder: Path, steps: list[tuple[str, str]], usage: Mapping[str, Any]
) -> StoredModel:
    """The sentence encoder that the steps after the encoder describe, with the arguments `usage`.

    Raises:
        BadInputError: `BertSentenceEncoder` does not have one of the steps, or its files are missing or broken.
    """
    (encoder, _), *later = steps
    kept = [(kind, path) for kind, path in later if kind != "Dropout"]  # which does nothing after training
    normalize = kept[-1][0] == "Normalize" if kept else False
    kinds = [kind for kind, _ in kept]
    dense_steps = [path for kind, path in kept if kind == "Dense"]
    as_computed = ["Pooling", *["Dense"] * len(dense_steps), *["Normalize"] * normalize]
    if encoder not in ("Transformer", "BERT") or kinds != as_computed or later[0][0] == "Dropout":
        raise BadInputError(
            f"{folder / MODULES_FILE}: the steps must be Transformer, Pooling, any number of Dense, and optionally "
            f"Normalize, with Dropout anywhere after Pooling. Received: {_listed(steps)}. Load the encoder alone with "
            "`load_backbone`."
        )
    if len(set(dense_steps)) < len(dense_steps):
        raise BadInputError(
            f"{folder / MODULES_FILE}: each Dense must have a different `path`. Received: {', '.join(dense_steps)}. "
            "Load the encoder alone with `load_backbone`."
        )
    if normalize:
        check_normalize(folder / kept[-1][1] / CONFIG_FILE)
    pooling = read_pooling(folder / kept[0][1] / CONFIG_FILE)
    width = stored.config.hidden_size * len(pooling)
    projections, arrays, origin = [], dict(stored.arrays), stored.origin
    for path in dense_steps:
        projections.append(read_dense(folder / path / CONFIG_FILE, width))
        width = projections[-1]["units"]
        weights = present_weights_file(folder / path)
        arrays |= {f"{path}/{name}": array for name, array in read_weights(weights).items()}
        origin += f", {path}/{weights.name} with {path}/{CONFIG_FILE}"
    arguments = {"pooling": pooling, "normalize": normalize, "projections": projections, **usage}
    task = sentence_task(arguments, stored.config, dense_steps)
    return dataclasses.replace(stored, task=task, arrays=arrays, origin=origin, head_problem=None)
