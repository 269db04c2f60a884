"""Compiles a pipeline for Vertex AI (JSON) or Kubeflow Pipelines v2 (YAML), offline, and checks the result.

The backends have requirements that TFX does not handle: Kubeflow Pipelines only runs containers and importers, both
take machine sizes as numbers, and a value that is chosen when a run is started must be an input of the whole pipeline.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
from tfx.orchestration.kubeflow.v2.pipeline_builder import DEFAULT_IMAGE_PATH_KEY
from tfx.orchestration.pipeline import Pipeline

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside
from kerasbert_pipelines.settings import ComponentResources, PipelineSettings, Target
from kerasbert_pipelines.vertex_and_kubeflow.kubeflow_spec import (
    INPUT_SETTINGS,
    address_of,
    check_stores,
    for_kubeflow,
    kubernetes_resource,
)
from kerasbert_pipelines.vertex_and_kubeflow.run_parameters import add_run_parameters

PipelineFactory = Callable[[Any], Pipeline]
# Settings that are addresses which steps read or write.
_PLACES = ("push_folder", *INPUT_SETTINGS)
TARGETS: dict[Target, tuple[str, ...]] = {"vertex": (".json",), "kubeflow": (".yaml", ".yml")}

ResourceSpec = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec
# The pause before a retry: a spot machine that was taken away is not back at once.
_BACKOFF = {"backoffDuration": "30s", "backoffFactor": 2, "backoffMaxDuration": "600s"}
_BYTES = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def compile_pipeline(
    pipeline_factory: PipelineFactory, settings: PipelineSettings, target: Target, output: str | os.PathLike[str]
) -> Path:
    """Writes a pipeline in the format of a backend.

    Args:
        pipeline_factory: Makes the pipeline from the settings, e.g. `kerasbert_pipelines.pretrain.create_pipeline`.
        settings: The pipeline's settings. `image` is required, and the backend's machines must be able to read files.
        target: The backend.
        output: The file to write. It must end in `.json` for Vertex AI and in `.yaml` for Kubeflow.

    Returns:
        The file's path.

    Raises:
        BadInputError: If a setting does not fit the backend, or if `output` has another extension.
        OSError: If the file cannot be written.
    """
    path = Path(output)
    if path.suffix not in TARGETS[target]:
        raise BadInputError(
            f"A pipeline for {target} must be written to a {TARGETS[target][0]} file. Received: output='{path}'. "
            f"Use the extension {TARGETS[target][0]}."
        )
    job = compiled_job(pipeline_factory, settings, target)
    with write_aside(path) as aside, aside.open("w", encoding="utf-8") as file:
        if target == "vertex":
            json.dump(job, file, indent=2, sort_keys=True)
        else:
            yaml.safe_dump(job["pipelineSpec"], file, sort_keys=True)
    return path


def local_places(settings: PipelineSettings) -> dict[str, str]:
    """Returns the settings whose files are not in a bucket. The container image must contain these files."""
    given = {name: address_of(settings, name) for name in ("pipeline_root", *_PLACES)}
    given["vertex.batch_input"] = settings.vertex.batch_input
    # Vertex AI mounts buckets under /gcs.
    return {
        name: value for name, value in given.items() if value and "://" not in value and not value.startswith("/gcs/")
    }


def run_parameters(path: str | os.PathLike[str]) -> list[str]:
    """Returns the inputs of a compiled pipeline, which can be chosen when a run is started."""
    # JSON is YAML too.
    compiled = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    root = compiled.get("pipelineSpec", compiled)["root"]
    return sorted(root.get("inputDefinitions", {}).get("parameters", {}))


def compiled_job(pipeline_factory: PipelineFactory, settings: PipelineSettings, target: Target) -> dict[str, Any]:
    """Returns the pipeline as a checked PipelineJob, as JSON values.

    Args:
        pipeline_factory: See `compile_pipeline`.
        settings: See `compile_pipeline`.
        target: The backend.

    Raises:
        BadInputError: If a setting does not fit the backend.
    """
    _check_settings(settings, target)
    pipeline = pipeline_factory(settings)
    own_images = {name: resources.image for name, resources in settings.resources.items() if resources.image}
    config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image={DEFAULT_IMAGE_PATH_KEY: settings.image, **own_images},
        use_pipeline_spec_2_1=True,
        display_name=settings.pipeline_name,
    )
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(config=config)
    job = add_run_parameters(runner.run(pipeline, write_out=False), settings)
    # Kubeflow's file has no other place for the root.
    job["pipelineSpec"]["defaultPipelineRoot"] = settings.pipeline_root
    _add_resources(job, settings, target)
    if target == "kubeflow":
        job = for_kubeflow(job, settings)
    check_job(job, target)
    return job


def _add_resources(job: dict[str, Any], settings: PipelineSettings, target: Target) -> None:
    """Writes the resources of each component into its container. TFX leaves out those of file-based ExampleGens."""
    spec = job["pipelineSpec"]
    for name, resources in settings.resources.items():
        task = spec["root"]["dag"]["tasks"][name]
        executor = spec["deploymentSpec"]["executors"][
            spec["components"][task["componentRef"]["name"]]["executorLabel"]
        ]
        needed = json_format.MessageToDict(resource_spec(resources, target))
        if "container" in executor and needed:
            executor["container"]["resources"] = needed
        if resources.retries:
            task["retryPolicy"] = {"maxRetryCount": resources.retries, **_BACKOFF}


def resource_spec(resources: ComponentResources, target: Target) -> Any:
    """Returns what a component may use, in the backends' units: cores, gigabytes (10^9 bytes), accelerators."""
    spec = ResourceSpec()
    if resources.cpu is not None:
        spec.cpu_limit = resources.cpu
    if resources.memory is not None:
        number = resources.memory.rstrip("KMGTi")
        spec.memory_limit = float(number) * _BYTES[resources.memory.removeprefix(number)] / 1e9
    if resources.accelerator is not None:
        accelerator = resources.accelerator
        spec.accelerator.type = kubernetes_resource(accelerator) if target == "kubeflow" else accelerator
        spec.accelerator.count = resources.accelerator_count
    return spec


def check_job(job: Mapping[str, Any], target: Target) -> None:
    """Parses a compiled job into the backend's messages.

    Args:
        job: The job as JSON values.
        target: The backend.

    Raises:
        ValueError: If it is not a valid job, or if it has a step that the backend cannot run.
    """
    try:
        message = json_format.ParseDict(job, pipeline_spec_pb2.PipelineJob())
        spec = json_format.ParseDict(json_format.MessageToDict(message.pipeline_spec), pipeline_spec_pb2.PipelineSpec())
        deployment = json_format.ParseDict(
            json_format.MessageToDict(spec.deployment_spec), pipeline_spec_pb2.PipelineDeploymentConfig()
        )
    except json_format.ParseError as error:
        raise ValueError(f"The compiled pipeline must be a PipelineJob. Received: {error}.") from error
    for name, task in spec.root.dag.tasks.items():
        component = spec.components[task.component_ref.name]
        kind = deployment.executors[component.executor_label].WhichOneof("spec")
        if kind not in ("container", "importer"):
            raise ValueError(f"{target} only runs containers and importers. Received: '{name}', a {kind}.")


def _check_settings(settings: PipelineSettings, target: Target) -> None:
    if not settings.image:
        raise BadInputError(
            "A compiled pipeline runs in a container image. Received: no `image`. Build one from "
            "pipelines/deploy/Dockerfile, push it, and set `image` or KERASBERT_PIPELINE_IMAGE to its name."
        )
    if target == "kubeflow":
        check_stores(settings)
        if getattr(settings, "tune", False) and getattr(settings, "tuner", "") == "vertex":
            raise BadInputError(
                "Trials on Vertex AI read artifacts from Cloud Storage, and steps on Kubeflow see local files. "
                "Received: tuner='vertex' for target kubeflow. Set `tuner: keras_tuner`, or compile for vertex."
            )
    for name in ("pipeline_root", *_PLACES) if target == "vertex" else _PLACES:
        scheme, sign, _ = (getattr(settings, name, None) or "").partition("://")
        if sign and scheme not in tf.io.gfile.get_registered_schemes():
            raise BadInputError(
                "Steps read and write files with TensorFlow, which must know the file system. Received: "
                f"{name}={getattr(settings, name)!r}. Use a bucket of Cloud Storage (gs://)."
            )
    if target == "vertex" and not settings.pipeline_root.startswith("gs://"):
        raise BadInputError(
            "Vertex AI keeps artifacts in Cloud Storage. Received: "
            f"pipeline_root={settings.pipeline_root!r}. For example, `pipeline_root: gs://bucket/kerasbert`."
        )
