"""Checks a SavedModel's ops against what a version of TF Serving links, before it is published.

TF Serving loads a model with an op that it does not know, and fails when the op is to run. serving_ops.json tells which
version has which ops; how it was made is said in it. What it cannot tell: whether an op of the same name computes the
same in each version, and what a TF Serving that somebody built with other ops has.
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
    """Refuses a SavedModel that a version of TF Serving could load but not run.

    Args:
        saved_model: the version folder.
        minimum: the oldest TF Serving that is to serve it, such as "2.12".

    Raises:
        BadInputError: an op is missing in that version (each is named with the first version that has it), or
            nothing is known about that version.
    """
    wanted = parsed_version(minimum)
    missing = {name: first for name, first in first_versions(saved_model).items() if first is None or first > wanted}
    if not missing:
        return
    names = ", ".join(
        f"`{name}` (in none)" if first is None else f"`{name}` (first in {_text(first)})"
        for name, first in sorted(missing.items())
    )
    remedy = "Build the model without these ops, or link them into a TF Serving of your own."
    if None not in missing.values():
        needed = max(first for first in missing.values() if first is not None)
        remedy = f"Serve with TF Serving {_text(needed)} or later, or build the model without these ops."
    raise BadInputError(f"TF Serving {minimum} must link every op of the model. Received: {names}. {remedy}")


def parsed_version(version: str) -> Version:
    """The major and minor number of a TF Serving whose ops are listed.

    Raises:
        BadInputError: it is not written as a version, or nothing is known about it.

    Example:
        >>> parsed_version("2.12.1")
        (2, 12)
    """
    listed = [_numbers(name) for name in _op_data()["tensorflow"]]
    oldest, newest = min(listed), _newest_release()
    numbers = _numbers(version) if isinstance(version, str) and re.fullmatch(r"\d+\.\d+(\.\d+)?", version) else (0, 0)
    if not oldest <= numbers <= newest:
        raise BadInputError(
            f"A version of TF Serving must be one whose ops are listed, {_text(oldest)} to {_text(newest)}. "
            f"Received: {version!r}. Give such as {_text(oldest)!r}."
        )
    return numbers


def first_serving_version(saved_model: str | os.PathLike[str]) -> str | None:
    """The oldest listed TF Serving that has all ops of a SavedModel, or None where no listed one has."""
    firsts = list(first_versions(saved_model).values())
    return None if None in firsts else _text(max(first for first in firsts if first is not None))


def first_versions(saved_model: str | os.PathLike[str]) -> dict[str, Version | None]:
    """Each op of a SavedModel, with the first TF Serving that has it; None where no listed one has.

    An op with an attribute that it got later is named `Op.attribute`: an older version refuses to load it.
    """
    table = _op_table()
    return {name: table.get(name) for name in _ops_in_use(saved_model)}


def _ops_in_use(saved_model: str | os.PathLike[str]) -> set[str]:
    """The names of all ops in the graph and in its functions, and `Op.attribute` for attributes that the table has."""
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
    """Op, or `Op.attribute` for one that came later -> the first TF Serving that has it."""
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
    """The newest TF Serving whose tensorflow-text is known. A later TensorFlow says nothing about TF Serving."""
    return max(map(_numbers, _op_data()["tensorflow_text"]))


def _numbers(version: str) -> Version:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
