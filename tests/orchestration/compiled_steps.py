"""Executes a compiled pipeline's steps here, each as the process that its container would run.

It does a backend's part: it orders the tasks, gives each the executor input that the PipelineSpec asks for, fills in
the inputs of the run, and hands on the artifacts that the step's own executor output describes. Only the image is not
there; `python` is this environment's.
"""

import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


def execute(job: dict[str, Any], folder: Path, parameters: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Runs all steps of a PipelineJob and returns task -> output -> its runtime artifact.

    Args:
        job: in the form that JSON has it.
        folder: where artifacts go.
        parameters: inputs of the run, in place of their defaults.
    """
    spec = job["pipelineSpec"]
    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    given = {name: definition["defaultValue"] for name, definition in defined.items()} | (parameters or {})
    tasks = spec["root"]["dag"]["tasks"]
    outputs: dict[str, dict[str, Any]] = {}
    for name in TopologicalSorter(
        {name: task.get("dependentTasks", []) for name, task in tasks.items()}
    ).static_order():
        component = spec["components"][tasks[name]["componentRef"]["name"]]
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        if "importer" in executor:
            outputs[name] = _imported(component, executor["importer"])
        else:
            inputs = {
                key: outputs[source["producerTask"]][source["outputArtifactKey"]]
                for key, value in tasks[name].get("inputs", {}).get("artifacts", {}).items()
                for source in [value["taskOutputArtifact"]]
            }
            executor_input = _executor_input(name, component, inputs, _values(tasks[name], given), folder)
            outputs[name] = _run(name, executor["container"], executor_input)
    return outputs


def _values(task: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The values of a task's parameters."""
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
    name: str, component: dict[str, Any], inputs: dict[str, Any], values: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """The ExecutorInput of a step."""
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
                        {"name": f"{name}/{key}", "uri": str(folder / name / key), "type": definition["artifactType"]}
                    ]
                }
                for key, definition in outputs.items()
            },
            "outputFile": str(folder / name / "executor_output.json"),
        },
    }


def _run(name: str, container: dict[str, Any], executor_input: dict[str, Any]) -> dict[str, Any]:
    """Runs a step, its driver first where it has one, and returns its artifacts."""
    declared = executor_input["outputs"]["artifacts"]
    for artifacts in declared.values():
        Path(artifacts["artifacts"][0]["uri"]).parent.mkdir(parents=True, exist_ok=True)
    for process in (container.get("lifecycle", {}).get("preCacheCheck"), container):
        if process:
            _call(name, process, executor_input)
    written = json.loads(Path(executor_input["outputs"]["outputFile"]).read_text())
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
    """What an importer step gives: the artifact that is there already."""
    uri = importer["artifactUri"]["constant"]
    (key,) = component["outputDefinitions"]["artifacts"]
    artifact = {"name": key, "uri": uri, "type": importer["typeSchema"], "metadata": importer.get("metadata", {})}
    return {key: artifact}
