"""Turns settings of a compiled pipeline into inputs that are chosen when a run is started, without compiling again.

TFX can only pass such a value to a component as a whole property, and most settings are inside JSON. Both backends
replace `{{$.inputs.parameters['name']}}` inside a property by the value of the task's input with that name. The
Kubeflow SDK compiles a string with a parameter in this way, and so does this module.
"""

import json
import re
from typing import Any

from kerasbert_pipelines.settings import PipelineSettings

# Setting -> its keys in a task's properties.
RUN_PARAMETERS: dict[str, tuple[str, ...]] = {
    "texts": ("input_base", "texts"),
    "data": ("input_base",),
    "push_folder": ("base_directory", "push_folder"),
    "learning_rate": ("learning_rate",),
    "batch_size": ("batch_size",),
    "steps": ("steps",),
    "epochs": ("epochs",),
}
_TYPES = {str: "STRING", int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE"}
# The Kubeflow SDK's prefix for an input that is only used inside another one.
PREFIX = "pipelinechannel--"


def add_run_parameters(job: dict[str, Any], settings: PipelineSettings) -> dict[str, Any]:
    """Adds an input with a default for each setting of `RUN_PARAMETERS` that one of the tasks has.

    Args:
        job: A compiled PipelineJob as JSON values. It is changed in place.
        settings: The settings that the job was compiled from. Their values are the defaults.

    Returns:
        The job.
    """
    root = job["pipelineSpec"]["root"]
    for name, keys in RUN_PARAMETERS.items():
        value = getattr(settings, name, None)
        if value is None:
            continue
        used = [_use(task, name, keys, value) for task in root["dag"]["tasks"].values()]
        if any(used):
            definitions = root.setdefault("inputDefinitions", {}).setdefault("parameters", {})
            definitions[name] = {"parameterType": _TYPES[type(value)], "defaultValue": value, "isOptional": True}
    return job


def _use(task: dict[str, Any], name: str, keys: tuple[str, ...], value: Any) -> bool:
    """Replaces the default in a task's properties by the parameter, and returns whether there was any."""
    parameters = task.get("inputs", {}).get("parameters", {})
    is_whole, is_part = False, False
    for key, given in parameters.items():
        constant = given.get("runtimeValue", {}).get("constant")
        if key in keys and constant == value:
            parameters[key] = {"componentInputParameter": name}
            is_whole = True
        elif isinstance(constant, str):
            filled = _filled(constant, name, keys, value)
            is_part |= filled != constant
            given["runtimeValue"]["constant"] = filled
    if is_part:
        parameters[PREFIX + name] = {"componentInputParameter": name}
    return is_whole or is_part


def _filled(text: str, name: str, keys: tuple[str, ...], value: Any) -> str:
    """Returns JSON in which the value of one of the keys is replaced by the parameter."""
    place = "{{$.inputs.parameters['" + PREFIX + name + "']}}"
    if isinstance(value, str):
        place = f'"{place}"'
    pattern = rf'("(?:{"|".join(keys)})"\s*:\s*){re.escape(json.dumps(value))}(?=\s*[,}}\]])'
    return re.sub(pattern, lambda found: found.group(1) + place, text)
