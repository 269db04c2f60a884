"""The files that make up a model in each layout: what `save` replaces in a folder, and what it leaves alone.

Everything else in a folder (`.git`, a README, ONNX files, training states) belongs to its owner.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from kerasbert.checkpoints.formats.google_checkpoint import GOOGLE_CONFIG_FILE
from kerasbert.checkpoints.formats.hugging_face_folder import CONFIG_FILE, WEIGHTS_FILES, weights_file
from kerasbert.checkpoints.formats.keras_hub import PRESET_FILES, is_preset
from kerasbert.checkpoints.formats.sentence_transformers_folder import MODULES_FILE, SENTENCE_FILES
from kerasbert.checkpoints.formats.tokenizer_files import TOKENIZER_FILES

_NAMES = {
    CONFIG_FILE,
    GOOGLE_CONFIG_FILE,
    "checkpoint",  # names the latest of several TensorFlow checkpoints
    *WEIGHTS_FILES,
    *PRESET_FILES,
    *SENTENCE_FILES,
    *TOKENIZER_FILES,
}
_SHARD = re.compile(r"(model|pytorch_model)-\d+-of-\d+\.(safetensors|bin)")
_TENSORFLOW = re.compile(r"(.+)\.(index|data-\d+-of-\d+)")


def is_checkpoint(folder: Path) -> bool:
    """Returns whether a folder contains the config and the weights of a model in a known layout."""
    if (folder / MODULES_FILE).is_file():
        return True
    if (folder / CONFIG_FILE).is_file() and (weights_file(folder) or is_preset(folder)):
        return True
    return (folder / GOOGLE_CONFIG_FILE).is_file() and any(folder.glob("*.index"))


def model_files(folder: Path) -> Callable[[Path], bool]:
    """Returns a function that tells whether a file of a folder is a part of the model in it.

    Args:
        folder: The folder of a model, of something else, or an empty one.

    Returns:
        A function of a path relative to `folder`, of a file or of a whole sub-folder.
    """
    steps = _step_folders(folder / MODULES_FILE)

    def is_model_file(path: Path) -> bool:
        if path.as_posix() in _NAMES or path in steps:
            return True
        if len(path.parts) > 1:
            return False
        name = path.name
        found = _TENSORFLOW.fullmatch(name)
        if found:  # an index of something else has no data file
            return (folder / f"{found[1]}.index").is_file() and any(
                child.name.startswith(f"{found[1]}.data-") for child in folder.iterdir()
            )
        return _SHARD.fullmatch(name) is not None

    return is_model_file


def _step_folders(modules: Path) -> set[Path]:
    """The sub-folders that a `modules.json` names; none if it is missing or broken."""
    try:
        paths = [Path(str(module["path"])) for module in json.loads(modules.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {path for path in paths if path.parts and not path.is_absolute() and ".." not in path.parts}
