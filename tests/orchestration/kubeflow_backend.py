"""Executes a pipeline as open-source Kubeflow Pipelines does: API server, driver, cache, launcher and records.

Written from the backend's sources in Go at tags 2.5.0, 2.14.0 and 2.17.0 (`backend/src/v2/{driver,component,metadata,
cacheutils,objectstore}`). What it keeps of them is what decides whether a step can run: input artifacts have no type,
an output for logs is added, no driver of TFX runs, and artifacts travel through local folders. Steps run with the
`python` of this environment instead of in an image. The local folders are in `/`, so this needs root.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

MOUNTS = {"gs": "/gcs", "s3": "/s3", "minio": "/minio", "bucket": "/bucket"}
LOGS = "executor-logs"
_TEXT, _NUMBER, _FLAG = "STRING", ("NUMBER_INTEGER", "NUMBER_DOUBLE"), "BOOLEAN"


class BackendError(Exception):
    """The backend refuses the pipeline, or a step failed."""


@dataclasses.dataclass
class TaskRun:
    """What one task of a run left.

    Attributes:
        is_cached: Whether an earlier run's outputs were taken.
        artifacts: Output -> id of its record.
        parameters: Output parameter -> value.
        log: What the container printed.
    """

    is_cached: bool
    artifacts: dict[str, int]
    parameters: dict[str, Any]
    log: str = ""


class ObjectStore:
    """Objects under keys. A key may end in a slash, as those that stand for folders do."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def keys(self, prefix: str) -> list[str]:
        names = (name.replace("|", "/") for name in os.listdir(self.folder))
        return sorted(name for name in names if name.startswith(prefix))

    def file(self, key: str) -> Path:
        return self.folder / key.replace("/", "|")


class Backend:
    """A cluster with one namespace.

    Args:
        version: The backend's version, e.g. "2.14".
        store: The objects of all buckets; the first part of a key is the bucket.
        pipeline_root: The cluster's default root.
    """

    def __init__(self, version: str, store: ObjectStore, pipeline_root: str) -> None:
        self.version = tuple(int(part) for part in version.split("."))
        self.store = store
        self.pipeline_root = pipeline_root.rstrip("/")
        self.records: dict[int, dict[str, Any]] = {}
        self.attempts: dict[str, int] = {}
        self._cache: dict[tuple[str, str], TaskRun] = {}

    def run(self, spec: dict[str, Any], parameters: dict[str, Any] | None = None) -> dict[str, TaskRun]:
        """Runs all tasks of a PipelineSpec."""
        _check_upload(spec)
        values = _run_values(spec, parameters or {})
        tasks = spec["root"]["dag"]["tasks"]
        run_id, done = uuid.uuid4().hex[:8], {}
        order = TopologicalSorter({name: task.get("dependentTasks", []) for name, task in tasks.items()})
        for name in order.static_order():
            done[name] = self._run_task(spec, name, values, done, run_id)
        return done

    def uri(self, task: TaskRun, output: str) -> str:
        """The address of an output."""
        return str(self.records[task.artifacts[output]]["uri"])

    # === Driver ===

    def _run_task(
        self, spec: dict[str, Any], name: str, values: dict[str, Any], done: dict[str, TaskRun], run_id: str
    ) -> TaskRun:
        task = spec["root"]["dag"]["tasks"][name]
        component = spec["components"][task["componentRef"]["name"]]
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        inputs = self._inputs(task, component, values, done)
        outputs = self._outputs(component, f"{self.pipeline_root}/{spec['pipelineInfo']['name']}/{run_id}/{name}")
        key = (spec["pipelineInfo"]["name"], _cache_key(inputs, outputs, component, container))
        if task.get("cachingOptions", {}).get("enableCache") and key in self._cache:
            return dataclasses.replace(self._cache[key], is_cached=True)
        _check_resources(container.get("resources", {}))
        retries = task.get("retryPolicy", {}).get("maxRetryCount", 0)
        for attempt in range(retries + 1):
            self.attempts[name] = attempt + 1
            try:
                run = self._launch(name, container, {"inputs": inputs, "outputs": outputs})
                break
            except BackendError:
                if attempt == retries:
                    raise
        if task.get("cachingOptions", {}).get("enableCache"):
            self._cache[key] = run
        return run

    def _inputs(
        self, task: dict[str, Any], component: dict[str, Any], values: dict[str, Any], done: dict[str, TaskRun]
    ) -> dict[str, Any]:
        given, definitions = task.get("inputs", {}), component.get("inputDefinitions", {})
        parameters = {}
        for name, source in given.get("parameters", {}).items():
            if "componentInputParameter" in source:
                parameters[name] = values[source["componentInputParameter"]]
            elif "taskOutputParameter" in source:
                origin = source["taskOutputParameter"]
                parameters[name] = done[origin["producerTask"]].parameters[origin["outputParameterKey"]]
            else:
                parameters[name] = source["runtimeValue"]["constant"]
        for name, definition in definitions.get("parameters", {}).items():
            if name not in parameters:
                if not definition.get("isOptional") and "defaultValue" not in definition:
                    raise BackendError(f"neither value nor default value provided for non-optional parameter {name}")
                continue
            parameters[name] = _converted(name, parameters[name], definition["parameterType"])
        artifacts = {}
        for name, source in given.get("artifacts", {}).items():
            origin = source["taskOutputArtifact"]
            artifacts[name] = {
                "artifacts": [
                    self._runtime_artifact(done[origin["producerTask"]].artifacts[origin["outputArtifactKey"]])
                ]
            }
        return {
            "parameterValues": {name: _json_number(value) for name, value in parameters.items()},
            "artifacts": artifacts,
        }

    def _runtime_artifact(self, record_id: int) -> dict[str, Any]:
        """A record as the executor input has it: without its type."""
        record = self.records[record_id]
        return {
            "name": str(record_id),
            "type": {"instanceSchema": ""},
            "uri": record["uri"],
            "metadata": {key: _json_number(value) for key, value in record["properties"].items()},
        }

    def _outputs(self, component: dict[str, Any], task_folder: str) -> dict[str, Any]:
        definitions = component.get("outputDefinitions", {})
        root = f"{task_folder}/{uuid.uuid4().hex[:8]}"
        artifacts = {name: dict(definition) for name, definition in definitions.get("artifacts", {}).items()}
        if self.version >= (2, 5):
            artifacts[LOGS] = {"artifactType": {"schemaTitle": "system.Artifact"}}
        is_new = self.version >= (2, 16)
        return {
            "artifacts": {
                name: {
                    "artifacts": [
                        {
                            "name": name if is_new else "",
                            "uri": f"{root}/{name}",
                            "type": definition["artifactType"],
                            "metadata": definition.get("metadata", {}),
                        }
                    ]
                }
                for name, definition in artifacts.items()
            },
            "parameters": {
                name: {"outputFile": f"/tmp/kfp/outputs/{name}"} for name in definitions.get("parameters", {})
            },
            "outputFile": f"{_local(root)}/output_metadata.json" if is_new else "/tmp/kfp_outputs/output_metadata.json",
        }

    # === Launcher ===

    def _launch(self, name: str, container: dict[str, Any], executor_input: dict[str, Any]) -> TaskRun:
        bucket = self.pipeline_root.partition("://")[2].partition("/")[0]
        local_root = Path(_local(self.pipeline_root.partition("://")[0] + "://" + bucket))
        temporary = [local_root, Path("/tmp/kfp_outputs"), Path("/tmp/kfp/outputs")]
        try:
            for artifacts in executor_input["inputs"]["artifacts"].values():
                for artifact in artifacts["artifacts"]:
                    self._download(artifact["uri"])
            for artifacts in executor_input["outputs"]["artifacts"].values():
                Path(_local(artifacts["artifacts"][0]["uri"])).parent.mkdir(parents=True, exist_ok=True)
            Path("/tmp/kfp/outputs").mkdir(parents=True, exist_ok=True)
            command = _filled([*container["command"], *container.get("args", [])], executor_input, self.version)
            command = [sys.executable, *command[1:]]
            finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if logs := executor_input["outputs"]["artifacts"].get(LOGS):
                Path(_local(logs["artifacts"][0]["uri"])).write_text(finished.stdout)
            if finished.returncode:
                raise BackendError(f"{name}: {finished.stdout[-3000:]}")
            return self._publish(executor_input["outputs"], finished.stdout)
        finally:
            for folder in temporary:
                shutil.rmtree(folder, ignore_errors=True)

    def _publish(self, outputs: dict[str, Any], log: str) -> TaskRun:
        written: dict[str, Any] = {}
        if os.path.exists(outputs["outputFile"]):
            written = json.loads(Path(outputs["outputFile"]).read_text())
            json_format.ParseDict(written, pipeline_spec_pb2.ExecutorOutput())  # strict
        parameters = {
            name: written["parameterValues"][name]
            if name in written.get("parameterValues", {})
            else Path(parameter["outputFile"]).read_text()
            for name, parameter in outputs["parameters"].items()
        }
        ids = {}
        for name, artifacts in outputs["artifacts"].items():
            (artifact,) = artifacts["artifacts"]
            described = written.get("artifacts", {}).get(name, {}).get("artifacts", [{}])[0]
            if name != LOGS and described.get("uri"):
                artifact = {**artifact, "uri": described["uri"]}
            properties = {**artifact["metadata"], **(described.get("metadata", {}) if name != LOGS else {})}
            self._upload(artifact["uri"])
            stored = {key: _property(key, value) for key, value in properties.items()}
            session = {"display_name": name, "store_session_info": '{"Provider":"minio","Params":{"fromEnv":"true"}}'}
            self.records[len(self.records) + 1] = {"uri": artifact["uri"], "properties": session | stored}
            ids[name] = len(self.records)
        return TaskRun(False, ids, parameters, log)

    def _download(self, uri: str) -> None:
        key = uri.partition("://")[2].rstrip("/")
        for found in self.store.keys(key):
            if found != key and not found.startswith(f"{key}/"):
                continue
            relative = os.path.relpath(found, key)
            target = Path(_local(uri), "" if relative == "." else relative)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.store.file(found), target)
            except OSError as error:
                raise BackendError(f"failed to download input artifact from {uri}: {error}") from error

    def _upload(self, uri: str) -> None:
        if not uri.startswith(self.pipeline_root):
            raise BackendError(f"failed to upload output artifact: {uri} is not under {self.pipeline_root}")
        local, key = Path(_local(uri)), uri.partition("://")[2]
        files = [local] if local.is_file() else [file for file in local.rglob("*") if file.is_file()]
        for file in files:
            relative = file.relative_to(local).as_posix()
            shutil.copyfile(file, self.store.file(key if relative == "." else f"{key}/{relative}"))


def _check_upload(spec: dict[str, Any]) -> None:
    """The API server's checks."""
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    if spec["schemaVersion"] != "2.1.0" or not re.fullmatch("[a-z0-9][a-z0-9-]{0,127}", spec["pipelineInfo"]["name"]):
        raise BackendError("invalid pipeline spec: schemaVersion or name")
    if len(json.dumps(spec)) > 32 << 20:
        raise BackendError("the pipeline is larger than 32 MiB")
    for name, task in spec["root"]["dag"]["tasks"].items():
        if not task.get("taskInfo", {}).get("name"):
            raise BackendError(f"{name}: taskInfo.name is empty")
        executor = spec["deploymentSpec"]["executors"][
            spec["components"][task["componentRef"]["name"]]["executorLabel"]
        ]
        if set(executor) != {"container"}:
            raise BackendError(f"{name}: {set(executor)} is not a container")
        if not executor["container"].get("image"):
            raise BackendError(f"{name}: no image")


def _run_values(spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The values of the run's inputs, which the API server checks."""
    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if unknown := set(given) - set(defined):
        raise BackendError(f"parameters that the pipeline does not have: {unknown}")
    values = {name: definition["defaultValue"] for name, definition in defined.items()} | given
    for name, value in values.items():
        kind = defined[name]["parameterType"]
        fits = isinstance(value, str) if kind == _TEXT else isinstance(value, int | float) and kind in _NUMBER
        if not fits:
            raise BackendError(f"input parameter {name} requires type {kind}, but the parameter value is {value!r}")
    return values


def _converted(name: str, value: Any, kind: str) -> Any:
    if kind == _TEXT:
        return value if isinstance(value, str) else json.dumps(_json_number(value))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (kind in _NUMBER) != is_number or (kind == _FLAG) != isinstance(value, bool):
        raise BackendError(f"input parameter {name} type mismatch: expect {kind}, got {value!r}")
    return value


def _json_number(value: Any) -> Any:
    """A number as Go writes it in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _property(key: str, value: Any) -> Any:
    """A value after a round trip through ML Metadata."""
    if value is None:
        raise BackendError(f"failed to convert RuntimeArtifact to MLMD artifact: {key} is null")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list | dict):
        return {"list" if isinstance(value, list) else "struct": value}
    return float(value) if isinstance(value, int) else value


def _cache_key(
    inputs: dict[str, Any], outputs: dict[str, Any], component: dict[str, Any], container: dict[str, Any]
) -> str:
    """Ids of input artifacts, parameters, names and types of outputs, image and command: no URI, no resources."""
    parts = {
        "inputArtifactNames": {
            name: [artifact["name"] for artifact in artifacts["artifacts"]]
            for name, artifacts in inputs["artifacts"].items()
        },
        "inputParameterValues": inputs["parameterValues"],
        "outputArtifactsSpec": {
            name: {**artifacts["artifacts"][0], "uri": ""} for name, artifacts in outputs["artifacts"].items()
        },
        "outputParametersSpec": component.get("outputDefinitions", {}).get("parameters", {}),
        "containerSpec": [container["image"], *container["command"], *container.get("args", [])],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _check_resources(resources: dict[str, Any]) -> None:
    """What Kubernetes accepts."""
    accelerator = resources.get("accelerator", {}).get("type")
    if accelerator is not None and not re.fullmatch(r"[a-z0-9.-]+/[A-Za-z0-9._-]+", accelerator):
        raise BackendError(f"{accelerator} is not the name of a Kubernetes resource")


def _filled(words: list[str], executor_input: dict[str, Any], version: tuple[int, ...]) -> list[str]:
    """Fills the placeholders. Before 2.14, in the random order of a Go map: here, `{{$}}` last."""
    whole = {"{{$}}": json.dumps(executor_input)}
    parts = dict(_part_placeholders(executor_input))
    replaced = [*whole.items(), *parts.items()] if version >= (2, 14) else [*parts.items(), *whole.items()]
    for placeholder, value in replaced:
        words = [word.replace(placeholder, value) for word in words]
    return words


def _part_placeholders(executor_input: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in executor_input["inputs"]["parameterValues"].items():
        # Not escaped for JSON.
        yield f"{{{{$.inputs.parameters['{name}']}}}}", value if isinstance(value, str) else json.dumps(value)
    for side in ("inputs", "outputs"):
        for name, artifacts in executor_input[side]["artifacts"].items():
            uri = artifacts["artifacts"][0]["uri"]
            yield f"{{{{$.{side}.artifacts['{name}'].uri}}}}", uri
            yield f"{{{{$.{side}.artifacts['{name}'].path}}}}", _local(uri)


def _local(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    return f"{MOUNTS[scheme]}/{rest}"
