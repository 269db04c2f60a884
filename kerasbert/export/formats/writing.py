"""Writes a model's graph in one of the formats, and compares the file with the model before it gets its name.

Keras' exporters write the files (`keras.Model.export`). A folder that other libraries load as a model also needs the
config and the tokenizer's files, which `kerasbert.checkpoints` writes; `kerasbert.recipes.export_graph` does both.
"""

import os
from pathlib import Path
from typing import Any

import keras

from kerasbert.errors import BadInputError
from kerasbert.export.formats.equality import check_same_answers
from kerasbert.export.formats.graph_format import GraphFormat
from kerasbert.export.formats.litert import LITERT
from kerasbert.export.formats.named_graph import named_graph, task_graph
from kerasbert.export.formats.onnx import ONNX
from kerasbert.export.formats.openvino import OPENVINO
from kerasbert.files import write_folder_aside
from kerasbert.models.backbone_task import backbone_of

_FORMATS = {"onnx": ONNX, "openvino": OPENVINO, "litert": LITERT}
FORMATS = tuple(_FORMATS)


def check_available(format: str) -> None:
    """Refuse a format that cannot be written in this environment.

    Args:
        format: see `write_graph`.

    Raises:
        BadInputError: the format is unknown, a package for it is not installed, or Keras is too old.

    Example:
        >>> check_available("onyx")
        Traceback (most recent call last):
        ...
        kerasbert.errors.BadInputError: `format` must be one of onnx, openvino, litert. Received: format='onyx'.
    """
    _check(_format(format))


def write_graph(model: Any, folder: str | os.PathLike[str], format: str) -> Path:
    """Write the graph from token ids to answers in the format of another runtime.

    The inputs are Hugging Face's `input_ids`, `attention_mask` and `token_type_ids`, `[batch, tokens]`, with both axes
    open; for a `BertMultipleChoice`, `[batch, choices, tokens]`. They are int64, and int32 in LiteRT. The outputs are
    those of Hugging Face's models, as float32. docs/other_runtimes.md lists them.

    The file is written under a temporary name, loaded with the format's own runtime and compared with the model on
    several batches, to 1e-5.

    Args:
        model: a model of `kerasbert.models` on Keras' TensorFlow backend, in float32.
        folder: the model's folder. The file goes into a sub-folder with the name of the format: `onnx/model.onnx`,
            `openvino/openvino_model.xml` or `litert/model.tflite`. An existing sub-folder is replaced as a whole.
        format: "onnx", "openvino" or "litert".

    Returns:
        The path of the file.

    Raises:
        BadInputError: a package is missing, the model cannot be exported, or the file gives other answers. Nothing is
            written.
        OSError: the folder cannot be written.

    Example:
        >>> write_graph(loaded.model, "exported", "onnx")  # doctest: +SKIP
        PosixPath('exported/onnx/model.onnx')
    """
    chosen = _format(format)
    _check(chosen)
    graph = task_graph(model)
    _check_size(graph, chosen)
    with write_folder_aside(Path(folder) / format) as aside:
        path = aside / chosen.file
        try:
            chosen.write(named_graph(graph, chosen.dtype), path)
            check_same_answers(chosen.load(path), graph, backbone_of(model).bert_config, chosen.dtype)
        except ImportError as error:
            raise _missing_package(chosen, error) from error
        except (BadInputError, OSError, MemoryError):
            raise
        except Exception as error:
            raise BadInputError(
                f"{chosen.title} must be able to represent and run the model. Received: {_first_line(error)}. "
                "Export the model as a SavedModel, or in another format."
            ) from error
    return Path(folder) / format / chosen.file


def _format(name: str) -> GraphFormat:
    if name not in _FORMATS:
        raise BadInputError(f"`format` must be one of {', '.join(FORMATS)}. Received: format={name!r}.")
    return _FORMATS[name]


def _check(chosen: GraphFormat) -> None:
    try:
        chosen.check_available()
    except ImportError as error:
        raise _missing_package(chosen, error) from error


def _missing_package(chosen: GraphFormat, error: ImportError) -> BadInputError:
    return BadInputError(
        f"Export to {chosen.title} requires packages that are not installed. Received: {error}. "
        f'Run: pip install "kerasbert[{chosen.name}]"'
    )


def _check_size(graph: keras.Model, chosen: GraphFormat) -> None:
    size = 4 * graph.count_params()
    if chosen.largest_size is not None and size > chosen.largest_size:
        raise BadInputError(
            f"A file in the format {chosen.title} must be smaller than 2 GiB. Received: {size / 2**30:.1f} GiB of "
            'weights. Use format="openvino", or export the model as a SavedModel.'
        )


def _first_line(error: Exception) -> str:
    """The first line of an error's message that is not empty, without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
