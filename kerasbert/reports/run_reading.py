"""Reads the files of a run's folder: `settings.json`, `history.jsonl` and `evaluation.json`.

`kerasbert.run_folder` documents their formats. Any of the files may be missing, and unknown keys are ignored.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from kerasbert.errors import BadInputError
from kerasbert.reports.wording import shortened
from kerasbert.run_folder import EVALUATION, HISTORY, SETTINGS, Evaluation, check_format

_EVALUATION_TYPES = {name: get_origin(hint) or hint for name, hint in get_type_hints(Evaluation).items()}
_JSON_NAMES = {dict: "an object", list: "a list", str: "a string", int: "an integer"}


@dataclass(frozen=True)
class Run:
    """The data of a run. Fields whose file is missing are empty.

    Attributes:
        folder: the run's folder.
        settings: the content of `settings.json`.
        history: the rows of `history.jsonl`, in order.
        evaluation: the content of `evaluation.json`.

    Example:
        >>> Run(Path("runs/fine-tune"), evaluation={"metrics": {"accuracy": 0.9}}).settings
        {}
    """

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    evaluation: dict[str, Any] = field(default_factory=dict)


def read_run(run_dir: str | os.PathLike[str]) -> Run:
    """Read a run's folder.

    Args:
        run_dir: the folder that `kerasbert pretrain` or `kerasbert fine-tune` wrote.

    Raises:
        BadInputError: the path is not a folder, the folder contains none of the three files, or one of them is damaged
            or of a newer format. The message names the file and, if possible, the line.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "history.jsonl").write_text('{"step": 1, "loss": 2.5}')
        >>> read_run(folder).history
        [{'step': 1, 'loss': 2.5}]
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise BadInputError(
            f"A run must be a folder. "
            f"Received: {str(folder)!r}, which is {'a file' if folder.exists() else 'missing'}. "
            "Use the folder that `kerasbert pretrain` or `kerasbert fine-tune` wrote."
        )
    if not any((folder / name).is_file() for name in (SETTINGS, HISTORY, EVALUATION)):
        raise BadInputError(
            f"A run's folder must contain {SETTINGS}, {HISTORY} or {EVALUATION}. "
            f"Received: {str(folder)!r}, which contains none of them. "
            "Use the folder that `kerasbert pretrain` or `kerasbert fine-tune` wrote."
        )
    evaluation = _read_object(folder / EVALUATION)
    _check_types(folder / EVALUATION, evaluation)
    return Run(folder, _read_object(folder / SETTINGS), _read_history(folder / HISTORY), evaluation)


def _read_text(path: Path) -> str:
    """The text of a file, or an empty text if the file is missing."""
    if not path.exists():
        return ""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"A run's files must be UTF-8. Received: {str(path)!r}, whose byte {error.start} is not. "
            "Restore the file, or run the command that wrote it again."
        ) from error
    except OSError as error:
        raise BadInputError(
            f"A run's files must be readable. Received: {str(path)!r}: {error.strerror}. "
            "Check that it is a file and that you may read it."
        ) from error


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, or an empty object if the file is missing."""
    if not path.exists():
        return {}
    found = _parse_object(_read_text(path), f"{str(path)!r}")
    check_format(path, found)
    return found


def _parse_object(text: str, where: str) -> dict[str, Any]:
    """Parse one JSON object."""
    try:
        found = json.loads(text, parse_int=_parse_int)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}" if "\n" in text else f"column {error.colno}"
        raise BadInputError(
            f"A run's files must be JSON. Received: {where}, {at}: {error.msg}. "
            "The file is cut off or damaged: restore it, or delete the damaged part."
        ) from error
    except (RecursionError, ValueError) as error:
        raise BadInputError(
            f"A run's files must be JSON that can be read. Received: {where}: {error}. "
            "Restore the file, or delete the damaged part."
        ) from error
    if not isinstance(found, dict):
        raise BadInputError(
            f"A run's files must contain JSON objects. Received: {where}: {_shown(found)}. "
            'Restore the file. For example, {"step": 1} is an object.'
        )
    return found


def _shown(value: object) -> str:
    """The beginning of a value as JSON."""
    return shortened(json.dumps(value), 60)


def _parse_int(digits: str) -> int:
    """Parse an integer that fits into an array."""
    if len(digits) > 18:
        raise ValueError(f"an integer of {len(digits)} digits is too large")
    return int(digits)


def _read_history(path: Path) -> list[dict[str, Any]]:
    """Read the rows of the history. Errors name the line."""
    rows = []
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{str(path)!r}, line {number}"
        row = _parse_object(line, where)
        step = row.get("step")
        if isinstance(step, bool) or not isinstance(step, (int, float)) or not 0 <= step < 2**63 or step != int(step):
            raise BadInputError(
                f"`step` must be a whole number of at least 0. Received: {where}: step={_shown(step)}. "
                "Restore the line, or delete it."
            )
        rows.append(row)
    return rows


def _check_types(path: Path, evaluation: dict[str, Any]) -> None:
    """Check the JSON type of each key that a report reads."""
    for name, expected in _EVALUATION_TYPES.items():
        value = evaluation.get(name)
        if value is not None and (not isinstance(value, expected) or isinstance(value, bool)):
            raise BadInputError(
                f"`{name}` must be {_JSON_NAMES[expected]}. Received: {str(path)!r}: {name}={_shown(value)}. "
                "Evaluate the model again, or delete the key."
            )
