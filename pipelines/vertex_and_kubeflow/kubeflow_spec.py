"""Changes a compiled pipeline so that open-source Kubeflow Pipelines can run it.

Its backend differs from Vertex AI, for which TFX compiles: it passes input artifacts without their types, adds an
output of its own, runs no driver before the cache is checked, and copies all artifacts through local folders. So each
step starts with `kubeflow_step.py`, a step that is never cached looks at the files of the input, and importers become
steps that copy the model.
"""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import LAUNCHER_ONLY, PipelineSettings
from kerasbert_pipelines.vertex_and_kubeflow.resources import is_distributed
from kerasbert_tfx.records.input_files import folder_and_pattern
from kerasbert_tfx.records.remote_folders import is_remote

# The backend downloads and uploads artifacts of these stores.
STORES = ("gs", "s3", "minio")
INPUT_CHECK = "InputCheck"
# Prefix of the inputs that only serve the cache: a changed fingerprint is a changed input.
FINGERPRINT_PREFIX = "fingerprint--"
# Settings whose files steps read, besides the artifacts of other steps.
INPUT_SETTINGS = ("texts", "data", "bulk_inference", "start_from", "vocabulary", "model", "schema")
_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")
_MODEL_IMPORT = "kerasbert_tfx.components.model_import.ModelImportExecutor"


def for_kubeflow(job: dict[str, Any], settings: PipelineSettings) -> dict[str, Any]:
    """Returns a compiled PipelineJob with the changes that Kubeflow Pipelines needs.

    Args:
        job: The job that TFX compiled, with the inputs of the run, as JSON values.
        settings: The settings that the job was compiled from.
    """
    job = copy.deepcopy(job)
    spec = job["pipelineSpec"]
    readers = {
        name: list(_readers(spec, name, address))
        for name in INPUT_SETTINGS
        if (address := address_of(settings, name)) is not None
    }
    for task in spec["root"]["dag"]["tasks"].values():
        _keep_placeholders(task)
    _add_input_check(spec, {name: tasks for name, tasks in readers.items() if tasks}, settings)
    _define_inputs(spec)
    for name, component in spec["components"].items():
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        if "importer" in executor:
            _replace_importer(component, executor, settings)
        if name != INPUT_CHECK:
            _start_with_our_entry_point(name, component, executor["container"])
    return job


def kubernetes_resource(accelerator: str) -> str:
    """Returns the Kubernetes resource of an accelerator, which may be given by Vertex AI's name.

    Example:
        >>> kubernetes_resource("NVIDIA_TESLA_T4"), kubernetes_resource("amd.com/gpu")
        ('nvidia.com/gpu', 'amd.com/gpu')
    """
    if accelerator.startswith("NVIDIA_"):
        return "nvidia.com/gpu"
    if "/" not in accelerator:
        raise BadInputError(
            f"On Kubeflow, `accelerator` must be a Kubernetes resource. Received: accelerator={accelerator!r}. "
            "For example, 'nvidia.com/gpu'."
        )
    return accelerator


def _module(name: str) -> str:
    return f"{__package__}.{name}"


def address_of(settings: PipelineSettings, name: str) -> str | None:
    """Returns the address that a setting holds. `model` may be a named size instead."""
    value = getattr(settings, name, None)
    return None if not value or (name == "model" and "." not in value) else value


def _readers(spec: dict[str, Any], name: str, address: str) -> Iterator[str]:
    """Yields the tasks that read the files of a setting."""
    written = json.dumps(address)[1:-1]
    for task_name, task in spec["root"]["dag"]["tasks"].items():
        values = task.get("inputs", {}).get("parameters", {})
        constants = {key: value.get("runtimeValue", {}).get("constant") for key, value in values.items()}
        if (
            any(value.get("componentInputParameter") == name for value in values.values())
            or any(constant == address for constant in constants.values())
            or any(f'"{written}"' in constant for constant in constants.values() if isinstance(constant, str))
            or _is_example_gen_of(constants, address)
        ):
            yield task_name


def _is_example_gen_of(constants: dict[str, Any], address: str) -> bool:
    """Whether a task's constants are an ExampleGen's folder and pattern of an address."""
    folder, pattern = folder_and_pattern(address)
    if constants.get("input_base") != folder or not isinstance(constants.get("input_config"), str):
        return False
    return any(split.get("pattern") == pattern for split in json.loads(constants["input_config"]).get("splits", ()))


def _replace_importer(component: dict[str, Any], executor: dict[str, Any], settings: PipelineSettings) -> None:
    """Makes an importer a step that copies the files.

    The backend only imports addresses of its stores, reuses an artifact of the same address even if its files have
    changed, and cannot download a folder that contains an empty object for itself.
    """
    del executor["importer"]
    executor["container"] = {
        "image": settings.image,
        "args": [
            *("--executor_class_path", _MODEL_IMPORT),
            *("--json_serialized_invocation_args", "{{$}}"),
            *("--json_serialized_inputs_spec_args", ""),
        ],
    }
    for output in component["outputDefinitions"]["artifacts"].values():
        output.pop("metadata", None)


def _keep_placeholders(task: dict[str, Any]) -> None:
    """Writes `${name}` for a parameter inside of a value, which only our entry point fills.

    Backends before 2.14 fill such placeholders before or after the executor input, in a random order, and no version
    escapes the value for the JSON around it.
    """
    for value in task.get("inputs", {}).get("parameters", {}).values():
        constant = value.get("runtimeValue", {}).get("constant")
        if isinstance(constant, str):
            value["runtimeValue"]["constant"] = _PARAMETER.sub(r"${\1}", constant)


def _add_input_check(spec: dict[str, Any], readers: dict[str, list[str]], settings: PipelineSettings) -> None:
    """Adds the step that fingerprints the files of the input, and makes the fingerprints inputs of their readers."""
    if not readers:
        return
    tasks = spec["root"]["dag"]["tasks"]
    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    spec["components"][INPUT_CHECK] = {
        "executorLabel": f"{INPUT_CHECK}_executor",
        "inputDefinitions": {"parameters": {name: {"parameterType": "STRING"} for name in readers}},
        "outputDefinitions": {"parameters": {name: {"parameterType": "STRING"} for name in readers}},
    }
    spec["deploymentSpec"]["executors"][f"{INPUT_CHECK}_executor"] = {
        "container": {
            "image": settings.image,
            "command": ["python", "-m", _module("kubeflow_input_check")],
            "args": ["--executor_input", "{{$}}"],
        }
    }
    tasks[INPUT_CHECK] = {
        "taskInfo": {"name": INPUT_CHECK},
        "componentRef": {"name": INPUT_CHECK},
        # Without `enableCache`, the step runs in every run.
        "cachingOptions": {},
        "inputs": {
            "parameters": {
                name: {"componentInputParameter": name}
                if name in defined
                else {"runtimeValue": {"constant": address_of(settings, name)}}
                for name in readers
            }
        },
    }
    for name, reading in readers.items():
        for task_name in reading:
            task = tasks[task_name]
            task.setdefault("inputs", {}).setdefault("parameters", {})[FINGERPRINT_PREFIX + name] = {
                "taskOutputParameter": {"producerTask": INPUT_CHECK, "outputParameterKey": name}
            }
            task["dependentTasks"] = sorted({*task.get("dependentTasks", ()), INPUT_CHECK})


def _define_inputs(spec: dict[str, Any]) -> None:
    """Declares the inputs that were added to tasks in their components."""
    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for task in spec["root"]["dag"]["tasks"].values():
        component = spec["components"][task["componentRef"]["name"]]
        for name, value in task.get("inputs", {}).get("parameters", {}).items():
            declared = component.setdefault("inputDefinitions", {}).setdefault("parameters", {})
            if name not in declared:
                source = defined.get(value.get("componentInputParameter", ""), {})
                declared[name] = {"parameterType": source.get("parameterType", "STRING")}


def _start_with_our_entry_point(name: str, component: dict[str, Any], container: dict[str, Any]) -> None:
    """Makes a container run our entry point with the arguments of TFX's, and with what the backend withholds."""
    args = container["args"]
    spec_index = args.index("--json_serialized_inputs_spec_args") + 1
    args[spec_index] = json.dumps(component.get("inputDefinitions", {}), sort_keys=True)
    outputs = sorted(component.get("outputDefinitions", {}).get("artifacts", {}))
    extra = ["--name", name, "--outputs", json.dumps(outputs)]
    if container.pop("lifecycle", None):
        extra.append("--resolve_input_files")
    if is_distributed(args[spec_index + 1 :]):
        extra.append("--keep_addresses")
    container["command"] = ["python", "-m", _module("kubeflow_step")]
    container["args"] = [*args[: spec_index + 1], *extra, *args[spec_index + 1 :]]


def check_stores(settings: PipelineSettings) -> None:
    """Checks the addresses that steps on Kubeflow Pipelines use.

    Raises:
        BadInputError: The backend or the steps cannot use one of them.
    """
    scheme = settings.pipeline_root.partition("://")[0]
    steps_read_root = not settings.pipeline_root.startswith(LAUNCHER_ONLY)
    if not is_remote(settings.pipeline_root) or scheme not in STORES:
        raise BadInputError(
            "Kubeflow Pipelines keeps artifacts in an object store. Received: "
            f"pipeline_root={settings.pipeline_root!r}. For example, `pipeline_root: gs://bucket/kerasbert` or "
            "`pipeline_root: minio://mlpipeline/v2/artifacts`."
        )
    if not steps_read_root and settings.push_folder.startswith(f"{scheme}://"):
        raise BadInputError(
            "Steps push models with TensorFlow, which must know the file system. Received: "
            f"push_folder={settings.push_folder!r}. Set `push_folder` to a bucket of Cloud Storage (gs://), or to a "
            "path on a volume that all steps mount."
        )
    if not steps_read_root and is_distributed(settings.beam_pipeline_args):
        raise BadInputError(
            "Workers of a Beam runner read artifacts from `pipeline_root`, which Beam and TensorFlow must both know. "
            f"Received: pipeline_root={settings.pipeline_root!r}. Use a bucket of Cloud Storage (gs://), or remove "
            "`--runner` from `beam_pipeline_args`."
        )
