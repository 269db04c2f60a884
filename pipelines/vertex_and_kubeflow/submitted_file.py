"""Reads a compiled pipeline that is about to be started, and checks the values of its inputs."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import Target

_NAMES: dict[Target, str] = {"vertex": "Vertex AI", "kubeflow": "Kubeflow"}
# Type of an input in a compiled pipeline -> Python type, and the rule in words.
_KINDS: dict[str, tuple[type, str]] = {
    "STRING": (str, "text; put a number in quotes"),
    "NUMBER_INTEGER": (int, "a whole number"),
    "NUMBER_DOUBLE": (float, "a number"),
}


def read_compiled(path: str | os.PathLike[str], target: Target) -> dict[str, Any]:
    """Returns a compiled pipeline as JSON values.

    Args:
        path: The file that `compile_pipeline` wrote.
        target: The backend that it was compiled for.

    Raises:
        BadInputError: The file cannot be read, or it is something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        values = json.loads(text) if target == "vertex" else yaml.safe_load(text)
        spec = values["pipelineSpec"] if target == "vertex" else values
        spec["root"]["dag"]
    except (ValueError, KeyError, TypeError, OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"'{path}' must be a pipeline compiled for {_NAMES[target]}. Received: {type(error).__name__}: {reason}. "
            f"Write it with `kerasbert pipeline compile --target {target}`."
        ) from error
    return dict(values)


def run_values(path: str | os.PathLike[str], spec: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values for the inputs of a run, each in the type of its input.

    Args:
        path: The compiled file, for messages.
        spec: Its PipelineSpec.
        given: Input -> value. Text is converted to numbers.

    Raises:
        BadInputError: There is no such input, or a value has another type.
    """
    known = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if unknown := sorted(set(given) - set(known)):
        raise BadInputError(
            f"Run parameters must be inputs of '{path}'. Received: {', '.join(unknown)}. "
            + (f"Use some of: {', '.join(sorted(known))}." if known else "This pipeline has no inputs: remove them.")
        )
    return {name: _converted(name, value, known[name]["parameterType"]) for name, value in given.items()}


def check_schedule(schedule: str | None, fields: int, example: str) -> None:
    """Checks how many fields a cron expression has. A time zone before them does not count.

    Raises:
        BadInputError: It has another number of fields.
    """
    if schedule is None:
        return
    words = schedule.split()
    if words and words[0].startswith(("TZ=", "CRON_TZ=")):
        words = words[1:]
    if len(words) != fields:
        raise BadInputError(
            f"`schedule` must be a cron expression with {fields} fields. Received: schedule={schedule!r}. For example, "
            f"{example} for 3 o'clock every day."
        )


def _converted(name: str, value: Any, kind: str) -> Any:
    """Converts a parameter's value to its type. YAML reads 1e-4, without a point, as text.

    Raises:
        BadInputError: If it has another type.
    """
    make, rule = _KINDS[kind]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    with contextlib.suppress(ValueError):
        if isinstance(value, str) or (is_number and kind != "STRING"):
            converted = make(value)
            if isinstance(value, str) or converted == value:
                return converted
    raise BadInputError(f"Run parameter '{name}' must be {rule}. Received: {name}={value!r}. Correct the value.")
