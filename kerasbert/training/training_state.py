"""The file from which a killed run goes on: all variables and the position, written aside and renamed.

A NumPy `.npz` (its checksums find a damaged file; nothing in it is executed): one array for each variable, and the
rest as JSON. Which variables there are: see train_step.py.
"""

import dataclasses
import json
import logging
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside

_LOGGER = logging.getLogger(__name__)
_FORMAT = 1
_KEPT_FILES = 2
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError)

Arrays = list[tuple[str, np.ndarray]]  # (path, value) of each variable, in the model's order


@dataclasses.dataclass(frozen=True)
class TrainingState:
    """One moment of a run.

    Attributes:
        about: the position and everything else that is no array, as JSON values.
        arrays: the variables by group: "model", "optimizer", "metrics" and, with early stopping, "best".
    """

    about: dict[str, Any]
    arrays: dict[str, Arrays]


def arrays_of(variables: Sequence[keras.Variable]) -> Arrays:
    """Copies of the variables' values, with their paths."""
    return [(variable.path, np.array(ops.convert_to_numpy(variable.value))) for variable in variables]


def save_state(folder: Path, step: int, state: TrainingState) -> Path:
    """Writes `folder/step-<step>.npz` aside, renames it, and removes all but the newest files.

    Raises:
        BadInputError: the folder cannot be written or the disk is full. The files that were there are kept.
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
            "Free space or choose another folder; the last state that was written is kept."
        ) from error
    return final


def load_newest_state(folder: Path) -> TrainingState | None:
    """Reads the newest state; if it is damaged, says so and reads the one before. None if there is none at all.

    Raises:
        BadInputError: there are states and all are damaged.
    """
    files = _state_files(folder)
    for file in files:
        try:
            return _load(file)
        except _UNREADABLE as error:
            reason = f"{type(error).__name__}: {error}"
            _LOGGER.warning("The training state %s is damaged (%s) and is passed over.", file, reason)
    if files:
        raise BadInputError(
            f"A training state must be whole to go on from it. Received: {', '.join(map(str, files))}, all damaged. "
            "Remove them to begin anew."
        )
    return None


def remove_states(folder: Path) -> None:
    """Removes all states, so that the next run begins anew."""
    for file in _state_files(folder):
        file.unlink()


def check_fits(saved: Arrays, group: str, variables: Sequence[keras.Variable]) -> None:
    """Checks that the arrays of a group belong to these variables.

    Raises:
        BadInputError: names every mismatch.
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
            f"A training state must have the shapes of the {group} that goes on from it. "
            f"Received {len(mismatches)} mismatches: {'; '.join(mismatches)}. "
            "Use the settings of the run that wrote it, or another run folder."
        )


def assign(saved: Arrays, variables: Sequence[keras.Variable]) -> None:
    """Sets the variables to arrays that `check_fits` has accepted."""
    for (_, array), variable in zip(saved, variables, strict=True):
        variable.assign(ops.convert_to_tensor(array, variable.dtype))


def _state_files(folder: Path) -> list[Path]:
    """The state files, newest first."""
    return sorted(folder.glob("step-*.npz"), reverse=True)


def _write(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """What `np.savez` does, but with the file closed where it fails half-way."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _load(file: Path) -> TrainingState:
    """Reads one file whole."""
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
    """The array, or its bits if NumPy's file format does not know its type (bfloat16)."""
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def _restored(array: np.ndarray, dtype: str) -> np.ndarray:
    """What `_storable` was given."""
    if dtype == "bfloat16":
        import ml_dtypes

        return array.view(ml_dtypes.bfloat16)
    return array
