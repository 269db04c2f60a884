"""Recognizes files that are not what their name says, and models in formats that are not read here.

Leaves the formats that are read to the other modules of this folder. Files are recognized by their first bytes, folders
by the names of their files; nothing is loaded.
"""

import dataclasses
import json
import re
from pathlib import Path

from kerasbert.errors import BadInputError

_ADAPTER_CONFIG = "adapter_config.json"
_TAKE_WEIGHTS = "Download the model's model.safetensors or pytorch_model.bin into the folder"
_DOWNLOAD = "Download the file itself; behind a login or a proxy, check that the download succeeded."

_SHARD = re.compile(r"-\d+-of-\d+\.(safetensors|bin)$")
# First bytes, in lower case -> what the file is, and what to do.
_CONTENTS = (
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, because the repository was cloned without its large files",
        "Run `git lfs pull` in the clone, or download the file itself.",
    ),
    (b"<!doctype html", "an HTML page, e.g. of an error or a login", _DOWNLOAD),
    (b"<html", "an HTML page, e.g. of an error or a login", _DOWNLOAD),
    (b"<?xml", "an XML document, e.g. an error message of a storage service", _DOWNLOAD),
    (b"<error", "an XML document, e.g. an error message of a storage service", _DOWNLOAD),
    (b"entry not found", "the message 'Entry not found' of a failed download", _DOWNLOAD),
    (b"repository not found", "the message 'Repository not found' of a failed download", _DOWNLOAD),
    (b"404: not found", "the message '404: Not Found' of a failed download", _DOWNLOAD),
    (b"invalid username or password", "the message 'Invalid username or password' of a failed download", _DOWNLOAD),
    (b"access to model", "a message that access to the model is restricted", _DOWNLOAD),
    (b"gguf", "a GGUF file (llama.cpp)", f"{_TAKE_WEIGHTS} in its place."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it."),
    (b"\x89hdf\r\n", "an HDF5 file (Keras)", "Rename it to tf_model.h5 if `TFBertModel.save_pretrained` wrote it."),
    (b"pk\x03\x04", "a zip archive or a PyTorch file", "Rename it to pytorch_model.bin if `torch.save` wrote it."),
)


@dataclasses.dataclass(frozen=True)
class _OtherFormat:
    """A format that is not read: the names or endings of its files, what it is, and what to do."""

    names: tuple[str, ...]
    endings: tuple[str, ...]
    what: str
    fix: str


_FORMATS = (
    _OtherFormat(
        (_ADAPTER_CONFIG, "adapter_model.safetensors", "adapter_model.bin", "pytorch_adapter.bin"),
        (),
        "an adapter (LoRA, PEFT), which is only the difference from another model",
        "Merge it into that model and save the result: "
        "`PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(merged)` in Python with peft.",
    ),
    _OtherFormat((), (".gguf",), "a GGUF file (llama.cpp)", f"{_TAKE_WEIGHTS}."),
    _OtherFormat(
        ("flax_model.msgpack",),
        (".msgpack",),
        "a Flax checkpoint",
        f"{_TAKE_WEIGHTS}, or convert it with transformers 4: "
        "`BertModel.from_pretrained(folder, from_flax=True).save_pretrained(folder)`.",
    ),
    _OtherFormat(("rust_model.ot",), (".ot",), "a rust-bert checkpoint", f"{_TAKE_WEIGHTS}."),
    _OtherFormat(
        ("saved_model.pb",),
        (),
        "an exported SavedModel",
        "Pass the model folder that it was exported from. `kerasbert serve` serves the SavedModel as it is.",
    ),
    _OtherFormat((), (".onnx",), "an ONNX model", f"{_TAKE_WEIGHTS}."),
    _OtherFormat(("openvino_model.xml", "openvino_model.bin"), (), "an OpenVINO model", f"{_TAKE_WEIGHTS}."),
    _OtherFormat((), (".tflite",), "a TensorFlow Lite model", f"{_TAKE_WEIGHTS}."),
    _OtherFormat((), (".mlmodel", ".mlpackage"), "a Core ML model", f"{_TAKE_WEIGHTS}."),
    _OtherFormat(
        (),
        (".keras",),
        "a Keras model file",
        "Load it with `keras.saving.load_model` and save it with `kerasbert.checkpoints.save`.",
    ),
    _OtherFormat(
        (), (".safetensors",), "a safetensors file under another name", "Rename the file to model.safetensors."
    ),
    _OtherFormat((), (".pt", ".pth"), "a PyTorch file under another name", "Rename the file to pytorch_model.bin."),
)


def unreadable_file(path: Path, rule: str, received: object, fix: str) -> BadInputError:
    """The error for a file that cannot be read, which says what the file is if its first bytes tell.

    Args:
        path: The file.
        rule: What the file must be, as a sentence without a full stop.
        received: What is wrong with it, unless it is recognized.
        fix: What to do about it, unless it is recognized.
    """
    what, instead = _recognized_content(path) or (received, fix)
    return BadInputError(f"{path}: {rule}. Received: {what}. {instead}")


def refuse_other_files(path: Path) -> None:
    """Refuses a file or folder that contains a model in a format that is not read.

    Args:
        path: A file, or a folder in which no checkpoint was found.

    Raises:
        BadInputError: The format is a known one. The message says what it is and what to do.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    names = {file.relative_to(path).as_posix() if file != path else file.name: file for file in files}
    shards = [shown for shown in names if _SHARD.search(shown)]
    if shards:
        raise BadInputError(
            f"{path}: weights in several files must come with their index, e.g. model.safetensors.index.json. "
            f"Received: {', '.join(shards[:5])} without one. Download or copy the index into the same folder."
        )
    for format in _FORMATS:
        for shown, file in names.items():
            if file.name in format.names or file.suffix in format.endings:
                what = f"{format.what} ({shown}{_base_model(file)})"
                rule = "a model must be in a format that kerasbert reads"
                raise BadInputError(f"{path}: {rule}. Received: {what}. {format.fix}")
    if path.is_file():
        found = _recognized_content(path)
        if found:
            rule = "the path must be a folder with a checkpoint"
            raise BadInputError(f"{path}: {rule}. Received: {found[0]}. {found[1]}")


def _base_model(file: Path) -> str:
    """The model that an adapter belongs to, if its config says so."""
    config = file.with_name(_ADAPTER_CONFIG)
    if file.name not in _FORMATS[0].names or not config.is_file():
        return ""
    try:
        base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        return ""
    return f", for {base}" if isinstance(base, str) else ""


def _recognized_content(path: Path) -> tuple[str, str] | None:
    """What a file is by its first bytes, and what to do; None if they do not tell."""
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except OSError:
        return None
    if not start:
        return "an empty file", _DOWNLOAD
    head = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next(((what, fix) for magic, what, fix in _CONTENTS if head.startswith(magic)), None)
