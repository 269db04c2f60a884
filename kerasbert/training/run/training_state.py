"""The file from which a killed run continues: all variables and the position in the run.

The file is a NumPy `.npz`, whose checksums reveal damage and in which nothing is executed: one array per variable, and
everything else as JSON. It is written under another name and renamed. For which variables there are, see train_step.py.
"""

import dataclasses
import errno
import fnmatch
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
from keras import ops

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

_LOGGER = logging.getLogger(__name__)
_FORMAT = 1
_KEPT_FILES = 2
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError)

Result = TypeVar("Result")
Arrays = list[tuple[str, np.ndarray]]  # (path, value) of each variable, in the model's order


@dataclasses.dataclass(frozen=True)
class TrainingState:
    """The state of a run after one of its steps.

    Attributes:
        about: the position in the run and everything else that is not an array, as JSON values.
        arrays: the variables by group: "model", "optimizer", "metrics" and, with early stopping, "best".
    """

    about: dict[str, Any]
    arrays: dict[str, Arrays]


def arrays_of(variables: Sequence[keras.Variable]) -> Arrays:
    """Return copies of the variables' values, with their paths."""
    return [(variable.path, np.array(ops.convert_to_numpy(variable.value))) for variable in variables]


def save_state(folder: Path, step: int, state: TrainingState) -> Path:
    """Write `folder/step-<step>.npz`, and remove all but the newest files.

    Raises:
        BadInputError: the folder cannot be written or the disk is full. The existing files are kept.
    """
    paths = {group: [path for path, _ in members] for group, members in state.arrays.items()}
    types = {group: [str(array.dtype) for _, array in members] for group, members in state.arrays.items()}
    about = json.dumps({"format": _FORMAT, "about": state.about, "paths": paths, "types": types})
    arrays = {
        f"{group}/{index}": _storable(array)
        for group, members in state.arrays.items()
        for index, (_, array) in enumerate(members)
    }
    final = folder / f"step-{step:09d}.npz"
    try:
        with write_aside(final) as aside:
            _write(aside, {"about": np.frombuffer(about.encode(), np.uint8), **arrays})
        for old in _state_files(folder)[_KEPT_FILES:]:
            old.unlink()
    except OSError as error:
        raise BadInputError(
            f"The training state must be writable. Received: {final}: {error.strerror or error}. "
            "Free some disk space or choose another folder. The last state that was written is kept."
        ) from error
    return final


def load_newest_state(folder: Path) -> TrainingState | None:
    """Read the newest state. If it is damaged, log a warning and read the one before.

    Returns:
        The state, or None if the folder contains none.

    Raises:
        BadInputError: all states are damaged, or the folder or a state cannot be read (e.g. for lack of permission).
    """
    files = _readable(folder, _state_files)
    for file in files:
        try:
            return _readable(file, _load)
        except BadInputError:
            raise
        except _DAMAGED as error:
            reason = f"{type(error).__name__}: {error}"
            _LOGGER.warning("The training state %s is damaged (%s). Using the one before it.", file, reason)
    if files:
        raise BadInputError(
            "A training state must be undamaged to continue from it. "
            f"Received: {', '.join(map(str, files))}, all damaged. Begin again with `restart=True`."
        )
    return None


def remove_states(folder: Path) -> None:
    """Remove all states, so that the next run begins from the first step."""
    for file in _state_files(folder):
        file.unlink()


def _readable(path: Path, read: Callable[[Path], Result]) -> Result:
    """Return what `read` returns for a path. An error of the file system does not mean that the file is damaged."""
    try:
        return read(path)
    except OSError as error:
        if error.errno == errno.EINVAL:  # A damaged archive can point to a place before its beginning.
            raise ValueError(str(error)) from error
        raise BadInputError(
            f"Training states must be readable. Received: {path}: {error.strerror or error}. "
            "Correct its permissions or restore it, or begin again with `restart=True`."
        ) from error


def check_fits(saved: Arrays, group: str, variables: Sequence[keras.Variable]) -> None:
    """Check that the arrays of a group have the shapes of these variables.

    Raises:
        BadInputError: they do not. The message names every mismatch.
    """
    mismatches = []
    if len(saved) == len(variables):
        mismatches = [
            f"{variable.path} has the shape {tuple(variable.shape)} and the file {tuple(array.shape)} ({path})"
            for (path, array), variable in zip(saved, variables, strict=True)
            if tuple(array.shape) != tuple(variable.shape)
        ]
    else:
        here, there = {v.path: tuple(v.shape) for v in variables}, {path: array.shape for path, array in saved}
        mismatches = [f"{path} {shape} is not in the file" for path, shape in here.items() if path not in there]
        mismatches += [f"{path} {shape} is only in the file" for path, shape in there.items() if path not in here]
        mismatches += [
            f"{path} has the shape {shape} and the file {there[path]}"
            for path, shape in here.items()
            if path in there and there[path] != shape
        ]
        mismatches.append(f"there are {len(variables)} variables and in the file {len(saved)}")
    if mismatches:
        raise BadInputError(
            f"A training state must have the shapes of the {group} that continues from it. "
            f"Received: {len(mismatches)} mismatches: {'; '.join(mismatches)}. "
            "Use the settings of the run that wrote it, another run folder, or `restart=True`."
        )


def assign(saved: Arrays, variables: Sequence[keras.Variable]) -> None:
    """Set the variables to arrays that `check_fits` has accepted."""
    for (_, array), variable in zip(saved, variables, strict=True):
        variable.assign(ops.convert_to_tensor(array, variable.dtype))


def _state_files(folder: Path) -> list[Path]:
    """Return the state files, newest first."""
    # `Path.glob` would find nothing in a folder that cannot be read, and training would begin from the first step.
    names = os.listdir(folder) if folder.exists() else []
    return [folder / name for name in sorted(fnmatch.filter(names, "step-*.npz"), reverse=True)]


def _write(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as `np.savez` does, but close the file if writing fails."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _load(file: Path) -> TrainingState:
    """Read all of one file."""
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        if about["format"] != _FORMAT:
            raise ValueError(f"format {about['format']} is not {_FORMAT}")
        arrays = {
            group: [
                (path, _restored(stored[f"{group}/{index}"], about["types"][group][index]))
                for index, path in enumerate(paths)
            ]
            for group, paths in about["paths"].items()
        }
    return TrainingState(about["about"], arrays)


def _storable(array: np.ndarray) -> np.ndarray:
    """Return the array, or its bits as integers if NumPy's file format has no such type (bfloat16)."""
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def _restored(array: np.ndarray, dtype: str) -> np.ndarray:
    """Return the array that `_storable` was given."""
    if dtype == "bfloat16":
        import ml_dtypes

        return array.view(ml_dtypes.bfloat16)
    return array
