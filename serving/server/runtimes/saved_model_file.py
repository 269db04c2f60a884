"""Reads the file of a SavedModel without TensorFlow: its signatures, and the names of the ops that it uses."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from kerasbert_serving import protos
from kerasbert_serving.server.statuses import Code, ServingError

TAG = "serve"
FILES = ("saved_model.pb", "saved_model.pbtxt")


def require_saved_model(path: str) -> None:
    """Raises `ServingError` with NOT_FOUND if a folder does not contain the file of a SavedModel."""
    if not any((Path(path) / name).exists() for name in FILES):
        raise ServingError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. Check that the "
            "directory exists and that you have the right permissions for accessing it.",
        )


def read_meta_graph(path: str) -> Any:
    """Returns the `MetaGraphDef` with the tag "serve" of the SavedModel in a folder, with the fields of our `.proto`.

    Raises:
        ServingError: DATA_LOSS if the file cannot be parsed, NOT_FOUND if there is no file, or nothing
            in it has the tag.
    """
    require_saved_model(path)
    for meta_graph in _parse(Path(path)).meta_graphs:
        if list(meta_graph.meta_info_def.tags) == [TAG]:
            return meta_graph
    raise no_serve_graph()


def used_ops(meta_graph: Any) -> set[str]:
    """Returns the names of the ops in a graph and its functions.

    The list in `meta_info_def` lacks the ops of some functions.
    """
    graph = meta_graph.graph_def
    functions = {node.op for function in graph.library.function for node in function.node_def}
    return functions | {node.op for node in graph.node}


def no_serve_graph() -> ServingError:
    """Returns the error for a SavedModel that is not for serving."""
    return ServingError(
        Code.NOT_FOUND,
        f"Could not find meta graph def matching supplied tags: {{ {TAG} }}. To inspect available tag-sets in the "
        "SavedModel, please use the SavedModel CLI: `saved_model_cli`",
    )


def _parse(folder: Path) -> Any:
    binary = folder / FILES[0]
    file = binary if binary.exists() else folder / FILES[1]
    kind = "binary" if file == binary else "text"
    try:
        if file == binary:
            return protos.SavedModel.FromString(file.read_bytes())
        text = file.read_text(encoding="utf-8")
        return text_format.Parse(text, protos.SavedModel(), allow_unknown_field=True)
    except (DecodeError, text_format.ParseError, OSError, UnicodeDecodeError) as error:
        raise ServingError(Code.DATA_LOSS, f"Can't parse {file} as {kind} proto") from error


# TensorFlow uses the path of a checkpoint as a glob pattern, and requires valid UTF-8.
_NOT_LITERAL = re.compile(r"[*?\[\]{}\\\udc80-\udcff]")


@contextlib.contextmanager
def literal_path(path: str) -> Iterator[str]:
    """Yields a path under which TensorFlow can load a model: the path itself, or a temporary link to it.

    Raises:
        ServingError: What is raised in the block, with the path itself in its message.
    """
    if not _NOT_LITERAL.search(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "model"
        link.symlink_to(Path(path).absolute(), target_is_directory=True)
        try:
            yield str(link)
        except ServingError as error:
            raise ServingError(error.code, error.message.replace(str(link), path)) from error
