"""Reads what a run left in its folder: `settings.json`, `history.jsonl` and `evaluation.json`.

Their form is documented in `kerasbert.run_folder`.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from kerasbert.errors import BadInputError
from kerasbert.reports.wording import shortened
from kerasbert.run_folder import EVALUATION, HISTORY, SETTINGS, Evaluation

_EVALUATION_TYPES = {name: get_origin(hint) or hint for name, hint in get_type_hints(Evaluation).items()}
_JSON_NAMES = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}


@dataclass(frozen=True)
class Run:
    """What is known of a run. What its folder does not hold is empty.

    Args:
        folder: the run's folder.
        settings: what the run was started with.
        history: what was logged during training, in order.
        evaluation: what came out, in the form that this file's docstring gives.
    """

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    evaluation: dict[str, Any] = field(default_factory=dict)


def read_run(run_dir: str | os.PathLike[str]) -> Run:
    """Reads a run's folder.

    Raises:
        BadInputError: the folder is none, holds none of the three files, or one of them is damaged; the message names
            the file, and the line where there is one.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise BadInputError(
            f"A run must be a folder. "
            f"Received: {str(folder)!r}, which is {'a file' if folder.exists() else 'not there'}. "
            "Give the folder that `kerasbert pretrain` or `kerasbert fine-tune` wrote."
        )
    if not any((folder / name).is_file() for name in (SETTINGS, HISTORY, EVALUATION)):
        raise BadInputError(
            f"A run's folder must hold {SETTINGS}, {HISTORY} or {EVALUATION}. "
            f"Received: {str(folder)!r}, which holds none. "
            "Give the folder that `kerasbert pretrain` or `kerasbert fine-tune` wrote."
        )
    evaluation = _read_object(folder / EVALUATION)
    _check_types(folder / EVALUATION, evaluation)
    return Run(folder, _read_object(folder / SETTINGS), _read_history(folder / HISTORY), evaluation)


def _read_text(path: Path) -> str:
    """The file's text; nothing if there is no such file."""
    if not path.exists():
        return ""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"A run's files must be UTF-8. Received: {str(path)!r}, whose byte {error.start} is not. "
            "Restore the file or write it again."
        ) from error
    except OSError as error:
        raise BadInputError(
            f"A run's files must be readable. Received: {str(path)!r}: {error.strerror}. "
            "Check what it is and its rights."
        ) from error


def _read_object(path: Path) -> dict[str, Any]:
    """The file's JSON object; empty if there is no such file."""
    if not path.exists():
        return {}
    return _parse_object(_read_text(path), f"{str(path)!r}")


def _parse_object(text: str, where: str) -> dict[str, Any]:
    """One JSON object."""
    try:
        found = json.loads(text, parse_int=_parse_int)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}" if "\n" in text else f"column {error.colno}"
        raise BadInputError(
            f"A run's files must be JSON. Received: {where}, {at}: {error.msg}. "
            "It is cut off or damaged: restore it, or delete what is damaged."
        ) from error
    except (RecursionError, ValueError) as error:
        raise BadInputError(
            f"A run's files must be JSON that can be read. Received: {where}: {error}. "
            "Restore it, or delete what is damaged."
        ) from error
    if not isinstance(found, dict):
        raise BadInputError(
            f"A run's files must hold JSON objects. Received: {where}: {_shown(found)}. "
            'Restore it; an object looks like {"step": 1}.'
        )
    return found


def _shown(value: object) -> str:
    """The beginning of a value as JSON has it."""
    return shortened(json.dumps(value), 60)


def _parse_int(digits: str) -> int:
    """A whole number that arrays can hold."""
    if len(digits) > 18:
        raise ValueError(f"a whole number of {len(digits)} digits is too large")
    return int(digits)


def _read_history(path: Path) -> list[dict[str, Any]]:
    """The lines of the history, with the line number in each complaint."""
    rows = []
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{str(path)!r}, line {number}"
        row = _parse_object(line, where)
        step = row.get("step")
        if isinstance(step, bool) or not isinstance(step, (int, float)) or not 0 <= step < 2**63 or step != int(step):
            raise BadInputError(
                f"`step` must be a whole number of 0 or more. Received: {where}: step={_shown(step)}. "
                "Restore the line, or delete it."
            )
        rows.append(row)
    return rows


def _check_types(path: Path, evaluation: dict[str, Any]) -> None:
    """Whether each key that a report reads holds the JSON type that it must."""
    for name, expected in _EVALUATION_TYPES.items():
        value = evaluation.get(name)
        if value is not None and (not isinstance(value, expected) or isinstance(value, bool)):
            raise BadInputError(
                f"`{name}` must be {_JSON_NAMES[expected]}. Received: {str(path)!r}: {name}={_shown(value)}. "
                "Evaluate again, or delete the key."
            )
