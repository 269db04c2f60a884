"""Makes settings of a compiled pipeline choosable when a run is started, without compiling it again.

TFX can hand such a value to a component only as a whole property, and most settings travel inside JSON. Both backends
replace `{{$.inputs.parameters['name']}}` inside a property by the value of the task's input of that name, which is how
the Kubeflow SDK compiles a string that holds a parameter; so that is what is written here.
"""

import json
import re
from typing import Any

from kerasbert_pipelines.settings import PipelineSettings

# Setting -> the keys under which it stands in a task's properties.
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
# How the Kubeflow SDK names an input that only fills a place inside another one.
_PREFIX = "pipelinechannel--"


def add_run_parameters(job: dict[str, Any], settings: PipelineSettings) -> dict[str, Any]:
    """The job with an input, and its default, for each setting of `RUN_PARAMETERS` that one of its tasks has.

    Args:
        job: a compiled PipelineJob in the form that JSON has it. It is changed in place.
        settings: what the job was compiled from; its values are the defaults.
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
    """Puts the parameter in place of its default in a task's properties; whether there was any."""
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
        parameters[_PREFIX + name] = {"componentInputParameter": name}
    return is_whole or is_part


def _filled(text: str, name: str, keys: tuple[str, ...], value: Any) -> str:
    """JSON with the parameter in place of the value under one of the keys."""
    place = "{{$.inputs.parameters['" + _PREFIX + name + "']}}"
    if isinstance(value, str):
        place = f'"{place}"'
    pattern = rf'("(?:{"|".join(keys)})"\s*:\s*){re.escape(json.dumps(value))}(?=\s*[,}}\]])'
    return re.sub(pattern, lambda found: found.group(1) + place, text)
