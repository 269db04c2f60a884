"""Executes the steps of a compiled pipeline on this machine, each as the process that its container would run.

Like a backend, it sorts the tasks by their dependencies, builds the executor input that the PipelineSpec describes,
fills in the inputs of the run, and passes on the artifacts of each step's executor output. The only difference is the
image: steps run with the `python` of this environment.
"""

import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from typing import Any

import tensorflow as tf

_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


Outputs = dict[str, dict[str, Any]]  # task -> output -> runtime artifact


def execute(job: dict[str, Any], folder: str, parameters: dict[str, Any] | None = None) -> Outputs:
    """Runs all steps of a PipelineJob.

    Args:
        job: The job as JSON values.
        folder: The root folder of the artifacts.
        parameters: Inputs of the run, which override the defaults.
    """
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    outputs: Outputs = {}
    for name in TopologicalSorter(
        {name: task.get("dependentTasks", []) for name, task in tasks.items()}
    ).static_order():
        outputs[name] = execute_step(job, name, outputs, folder, parameters)
    return outputs


def execute_step(
    job: dict[str, Any], name: str, outputs: Outputs, folder: str, parameters: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Runs one step with the outputs of earlier steps, and returns its outputs."""
    spec = job["pipelineSpec"]
    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    given = {key: definition["defaultValue"] for key, definition in defined.items()} | (parameters or {})
    task = spec["root"]["dag"]["tasks"][name]
    component = spec["components"][task["componentRef"]["name"]]
    executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
    if "importer" in executor:
        return _imported(component, executor["importer"])
    inputs = {
        key: outputs[source["producerTask"]][source["outputArtifactKey"]]
        for key, value in task.get("inputs", {}).get("artifacts", {}).items()
        for source in [value["taskOutputArtifact"]]
    }
    executor_input = _executor_input(name, component, inputs, _values(task, given), folder)
    return _run(name, executor["container"], executor_input)


def _values(task: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of a task's parameters."""
    parameters = task.get("inputs", {}).get("parameters", {})
    values = {
        name: given[value["componentInputParameter"]]
        if "componentInputParameter" in value
        else value["runtimeValue"]["constant"]
        for name, value in parameters.items()
    }
    return {
        name: _INPUT.sub(lambda found: _text(values[found.group(1)]), value) if isinstance(value, str) else value
        for name, value in values.items()
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _executor_input(
    name: str, component: dict[str, Any], inputs: dict[str, Any], values: dict[str, Any], folder: str
) -> dict[str, Any]:
    """Returns the ExecutorInput of a step."""
    outputs = component.get("outputDefinitions", {}).get("artifacts", {})
    return {
        "inputs": {
            "parameterValues": values,
            "artifacts": {key: {"artifacts": [artifact]} for key, artifact in inputs.items()},
        },
        "outputs": {
            "artifacts": {
                key: {
                    "artifacts": [
                        {"name": f"{name}/{key}", "uri": f"{folder}/{name}/{key}", "type": definition["artifactType"]}
                    ]
                }
                for key, definition in outputs.items()
            },
            "outputFile": f"{folder}/{name}/executor_output.json",
        },
    }


def _run(name: str, container: dict[str, Any], executor_input: dict[str, Any]) -> dict[str, Any]:
    """Runs a step's driver, if it has one, and then the step, and returns the step's artifacts."""
    declared = executor_input["outputs"]["artifacts"]
    for artifacts in declared.values():
        tf.io.gfile.makedirs(artifacts["artifacts"][0]["uri"].rpartition("/")[0])
    for process in (container.get("lifecycle", {}).get("preCacheCheck"), container):
        if process:
            _call(name, process, executor_input)
    written = json.loads(tf.io.gfile.GFile(executor_input["outputs"]["outputFile"]).read())
    results = {}
    for key, artifacts in declared.items():
        (artifact,) = artifacts["artifacts"]
        (described,) = written.get("artifacts", {}).get(key, {}).get("artifacts", [{}])
        results[key] = {
            **artifact,
            "uri": described.get("uri", artifact["uri"]),
            "metadata": described.get("metadata", {}),
        }
    return results


def _call(name: str, process: dict[str, Any], executor_input: dict[str, Any]) -> None:
    command = [sys.executable if word == "python" else word for word in process["command"]]
    arguments = [word.replace("{{$}}", json.dumps(executor_input)) for word in process["args"]]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name}: {done.stderr[-3000:]}"


def _imported(component: dict[str, Any], importer: dict[str, Any]) -> dict[str, Any]:
    """Returns the output of an importer step: the existing artifact."""
    uri = importer["artifactUri"]["constant"]
    (key,) = component["outputDefinitions"]["artifacts"]
    artifact = {"name": key, "uri": uri, "type": importer["typeSchema"], "metadata": importer.get("metadata", {})}
    return {key: artifact}
