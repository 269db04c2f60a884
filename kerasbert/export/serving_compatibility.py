"""Checks that a version of TF Serving has all ops of a SavedModel, before the model is published.

TF Serving loads a model with an unknown op, and fails only when the op runs. serving_ops.json lists which version has
which ops, and says how the list was made. Two things are not in the list: whether an op of the same name computes the
same in each version, and which ops a custom build of TF Serving has.
"""

import functools
import importlib.resources
import json
import os
import re
from pathlib import Path
from typing import Any

from tensorflow.core.framework import graph_pb2

from kerasbert.errors import BadInputError
from kerasbert.export.saved_model_file import read_saved_model

Version = tuple[int, int]


def check_serving_version(saved_model: str | os.PathLike[str], minimum: str) -> None:
    """Refuse a SavedModel that a version of TF Serving could load but not run.

    Args:
        saved_model: the version folder.
        minimum: the oldest TF Serving version that must be able to serve it, e.g. "2.12".

    Raises:
        BadInputError: an op is missing in that version (the message names each op and the first version that has
            it), or the version is not listed.

    Example:
        >>> import tempfile
        >>> import tensorflow as tf
        >>> module, folder = tf.Module(), tempfile.mkdtemp()
        >>> module.double = tf.function(lambda x: x + x, input_signature=[tf.TensorSpec([None], tf.float32)])
        >>> tf.saved_model.save(module, folder)
        >>> check_serving_version(folder, "2.12")
    """
    wanted = parsed_version(minimum)
    missing = {name: first for name, first in first_versions(saved_model).items() if first is None or first > wanted}
    if not missing:
        return
    names = ", ".join(
        f"`{name}` (in no version)" if first is None else f"`{name}` (first in {_text(first)})"
        for name, first in sorted(missing.items())
    )
    remedy = "Build the model without these ops, or build a TF Serving that links them."
    if None not in missing.values():
        needed = max(first for first in missing.values() if first is not None)
        remedy = f"Serve with TF Serving {_text(needed)} or later, or build the model without these ops."
    raise BadInputError(f"TF Serving {minimum} must have every op of the model. Received: missing {names}. {remedy}")


def parsed_version(version: str) -> Version:
    """Return the major and minor number of a TF Serving version whose ops are listed.

    Raises:
        BadInputError: `version` is not written as a version, or is not listed.

    Example:
        >>> parsed_version("2.12.1")
        (2, 12)
    """
    listed = [_numbers(name) for name in _op_data()["tensorflow"]]
    oldest, newest = min(listed), _newest_release()
    numbers = _numbers(version) if isinstance(version, str) and re.fullmatch(r"\d+\.\d+(\.\d+)?", version) else (0, 0)
    if not oldest <= numbers <= newest:
        raise BadInputError(
            f"`min_serving_version` must be a version of TF Serving from {_text(oldest)} to {_text(newest)}. "
            f"Received: min_serving_version={version!r}. For example, min_serving_version={_text(oldest)!r}."
        )
    return numbers


def first_serving_version(saved_model: str | os.PathLike[str]) -> str | None:
    """Return the oldest listed version of TF Serving that has all ops of a SavedModel, or None if there is none.

    Args:
        saved_model: the version folder.

    Example:
        >>> import tempfile
        >>> import tensorflow as tf
        >>> module, folder = tf.Module(), tempfile.mkdtemp()
        >>> module.double = tf.function(lambda x: x + x, input_signature=[tf.TensorSpec([None], tf.float32)])
        >>> tf.saved_model.save(module, folder)
        >>> first_serving_version(folder)
        '2.12'
    """
    firsts = list(first_versions(saved_model).values())
    return None if None in firsts else _text(max(first for first in firsts if first is not None))


def first_versions(saved_model: str | os.PathLike[str]) -> dict[str, Version | None]:
    """Return each op of a SavedModel with the first version of TF Serving that has it, or None if no version has it.

    `Op.attribute` stands for an op that uses an attribute added later: older versions refuse to load it.
    """
    table = _op_table()
    return {name: table.get(name) for name in _ops_in_use(saved_model)}


def _ops_in_use(saved_model: str | os.PathLike[str]) -> set[str]:
    """The names of all ops in the graph and its functions, and `Op.attribute` for each attribute in the table."""
    message = read_saved_model(Path(saved_model))
    table = _op_table()
    names: set[str] = set()
    for meta_graph in message.meta_graphs:
        functions = {function.signature.name for function in meta_graph.graph_def.library.function}
        for node in _nodes(meta_graph.graph_def):
            if node.op not in functions:
                names.add(node.op)
                names |= {f"{node.op}.{name}" for name in node.attr if f"{node.op}.{name}" in table}
    return names


def _nodes(graph: graph_pb2.GraphDef) -> list:
    """The nodes of a graph and of its function library."""
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


@functools.cache
def _op_table() -> dict[str, Version | None]:
    """Map each op, and `Op.attribute` for attributes added later, to the first version of TF Serving that has it."""
    data, newest = _op_data(), _newest_release()
    table: dict[str, Version | None] = {}
    for part in ("tensorflow", "tensorflow_text"):
        table.update({name: _numbers(version) for version, names in data[part].items() for name in names})
    for version, attributes in data["attributes"].items():
        table.update({f"{op}.{name}": _numbers(version) for op, names in attributes.items() for name in names})
    return {name: first if first and first <= newest else None for name, first in table.items()}


@functools.cache
def _op_data() -> dict[str, Any]:
    """The lists in serving_ops.json."""
    return json.loads((importlib.resources.files("kerasbert.export") / "serving_ops.json").read_text(encoding="utf-8"))


def _newest_release() -> Version:
    """The newest TF Serving whose tensorflow-text is known. A later TensorFlow alone says nothing about TF Serving."""
    return max(map(_numbers, _op_data()["tensorflow_text"]))


def _numbers(version: str) -> Version:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
