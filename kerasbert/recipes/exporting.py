"""Exports a model folder: as a SavedModel with facts of its training run in the model card, or for another runtime."""

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasbert import checkpoints, export
from kerasbert.checkpoints.formats.tokenizer_json import write_tokenizer_json
from kerasbert.data import read_texts
from kerasbert.errors import BadInputError
from kerasbert.export.formats import FORMATS, check_available
from kerasbert.preprocessing import TextToInputs
from kerasbert.run_folder import RunFolder, check_format

# The settings of a run that name the training data.
_DATA_SETTINGS = ("texts", "held_out", "train", "validation", "test", "text_column", "pair_column", "label_column")
_COMMANDS = ("pretrain", "fine-tune")


def export_model(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    version: int | None = None,
    *,
    sequence_length: int | None = None,
    model_card: Mapping[str, Any] | None = None,
    sample_texts: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Path:
    """Writes `folder/<version>` from a model folder.

    Args:
        model: A folder that `kerasbert.checkpoints.load` reads. If it belongs to a run, the run's data and metrics go
            into the model card.
        folder: The served model's folder.
        version: The version number, higher than all existing ones. By default, the next one.
        sequence_length: The maximum number of tokens of a row. Overrides that of the preprocessing.
        model_card: Facts for the model card, which take precedence over those of the run.
        sample_texts: A text file with typical texts, one per line, for `precision`.
        **options: Options of `kerasbert.export.write`.

    Returns:
        The path of the new version's folder.

    Raises:
        BadInputError: The model has no vocabulary, or cannot be exported.
        OSError: The folder cannot be written. No incomplete version is left.

    Example:
        >>> export_model("runs/fine-tune/model", "exported")  # doctest: +SKIP
        PosixPath('exported/1')
    """
    loaded, text_to_inputs = _with_preprocessing(model, sequence_length)
    texts = () if sample_texts is None else [text for text in read_texts([sample_texts]).texts if text.strip()]
    card = {**run_facts(model), **(model_card or {})}
    options |= {"labels": loaded.labels, "version": version, "model_card": card, "sample_texts": texts}
    return export.save(loaded.model, folder, text_to_inputs, **options)


def export_graph(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    format: str,
    *,
    sequence_length: int | None = None,
) -> Path:
    """Writes a model folder in Hugging Face's layout, with the graph in the format of another runtime inside.

    The folder contains the config, the weights and the tokenizer's files as `kerasbert.checkpoints.save` writes them,
    `tokenizer.json` and e.g. `onnx/model.onnx`, so other libraries load it as a model. The graph is compared with the
    model before the folder is put in place.

    Args:
        model: A folder that `kerasbert.checkpoints.load` reads.
        folder: The folder to write. The files of an earlier model in it are replaced, including those of other formats.
        format: "onnx", "openvino" or "litert".
        sequence_length: The maximum number of tokens of a row. Overrides that of the preprocessing.

    Returns:
        The path of the folder.

    Raises:
        BadInputError: A package is missing, the model has no vocabulary, or it cannot be exported in this format.
            Nothing is written.
        OSError: The folder cannot be written. It is unchanged.

    Example:
        >>> export_graph("runs/fine-tune/model", "exported", "onnx")  # doctest: +SKIP
        PosixPath('exported')
    """
    check_available(format)
    place, source = Path(folder).resolve(), Path(model).resolve()
    if place in (source, *source.parents):
        raise BadInputError(
            "`folder` must not be the model's own folder or one that contains it. "
            f"Received: folder={folder}, model={model}. Choose another folder."
        )
    loaded, text_to_inputs = _with_preprocessing(model, sequence_length)

    def add_graph(unfinished: Path) -> None:
        for name in FORMATS:  # of an earlier model
            shutil.rmtree(unfinished / name, ignore_errors=True)
        write_tokenizer_json(unfinished, text_to_inputs)
        export.write_graph(loaded.model, unfinished, format)

    return checkpoints.save(loaded.model, folder, text_to_inputs, loaded.labels, check=add_graph)


def _with_preprocessing(
    model: str | os.PathLike[str], sequence_length: int | None
) -> tuple[checkpoints.Checkpoint, TextToInputs]:
    """The checkpoint in a folder, and its preprocessing."""
    loaded = checkpoints.load(model)
    if loaded.text_to_inputs is None:
        raise BadInputError(
            f"Export needs the model's vocabulary. Received: '{model}' without one. Copy its vocab.txt there."
        )
    if sequence_length is None:
        return loaded, loaded.text_to_inputs
    return loaded, loaded.text_to_inputs.replace(sequence_length=sequence_length)


def run_facts(model: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns `data` and `metrics` of the run that wrote a model folder, as far as they exist.

    They are optional: files of the same names next to a model may also contain something else.

    Raises:
        BadInputError: The run is of a newer format.
    """
    run = RunFolder(Path(model).parent)
    begun = _read_object(run.settings)
    settings = begun.get("settings")
    is_run = Path(model).name == run.model.name and begun.get("command") in _COMMANDS
    if not is_run or not isinstance(settings, dict):
        return {}
    check_format(run.settings, begun)
    facts: dict[str, Any] = {"data": {name: settings[name] for name in _DATA_SETTINGS if settings.get(name)}}
    evaluation = _read_object(run.evaluation)
    check_format(run.evaluation, evaluation)
    if isinstance(metrics := evaluation.get("metrics"), dict):
        numbers = {
            name: value for name, value in metrics.items() if isinstance(value, int | float) and math.isfinite(value)
        }
        facts["metrics"] = {str(evaluation.get("split") or "held out"): numbers}
    return facts


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, or an empty one if the file is missing."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
