"""Runs a pipeline on this machine, one component after the other, and reports on each of them.

Like TFX's LocalDagRunner, with additional output for a terminal: a line per component while it runs, its time and peak
memory, a table at the end, and one clear line with the component's name if something goes wrong. Unchanged components
are taken from the cache, so the same call resumes after a kill. The log of TFX and Beam is written to a file.
"""

import datetime
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2
from tfx.components.evaluator.constants import ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside
from kerasbert_pipelines.assembly import check_folders
from kerasbert_pipelines.local.failure_reasons import look_into, reason
from kerasbert_pipelines.local.outdated import is_outdated
from kerasbert_pipelines.local.peak_memory import PeakMemory
from kerasbert_pipelines.local.run_summary import ComponentSummary, RunSummary, in_words
from kerasbert_pipelines.local.surroundings import prepare_folders, surroundings
from kerasbert_pipelines.settings import PipelineSettings
from kerasbert_tfx.records.component_metrics import read_metrics
from kerasbert_tfx.records.remote_folders import is_remote

# Its type stubs do not know the messages.
_MLMD: Any = metadata_store_pb2

PipelineFactory = Callable[[Any], Pipeline]
Say = Callable[[str], None]

_STATES = {_MLMD.Execution.COMPLETE: "done", _MLMD.Execution.CACHED: "cached"}


class ComponentFailedError(BadInputError):
    """Raised when a component of a pipeline fails. The message begins with the component's name."""


def run(pipeline_factory: PipelineFactory, settings: PipelineSettings, say: Say | None = None) -> RunSummary:
    """Runs a pipeline to its end, or to the first component that fails.

    Args:
        pipeline_factory: Makes a new pipeline from the settings, e.g. `kerasbert_pipelines.pretrain.create_pipeline`.
        settings: The pipeline's settings.
        say: Called with each line of progress. None writes the lines to standard error if `settings.show_progress`.

    Returns:
        The state and the metrics of each component, and whether the model was blessed and pushed.

    Raises:
        ComponentFailedError: If a component fails or cannot use its input. The models pushed before are unchanged.
        BadInputError: If the pipeline's folder cannot be written.
    """
    say = say or (_write_line if getattr(settings, "show_progress", True) else _write_nothing)
    check_folders(settings)
    log = prepare_folders(settings)
    components: list[ComponentSummary] = []
    outdated: set[str] = set()
    with surroundings(log):
        # TFX runs a component once per run, so a component that must not come from the cache needs a new run.
        while not components:
            components = _run_components(
                _compiled(pipeline_factory(settings)), settings.push_folder, outdated, say, log
            )
    summary = RunSummary(settings.pipeline_name, settings.pipeline_root, tuple(components))
    _write_summary(summary, f"{settings.pipeline_root}/summary.json")
    return summary


def _write_summary(summary: RunSummary, path: str) -> None:
    text = json.dumps(summary.as_json(), indent=2, ensure_ascii=False) + "\n"
    if is_remote(path):
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(text)
    else:
        with write_aside(path) as aside:
            aside.write_text(text, encoding="utf-8")


def _compiled(pipeline: Pipeline) -> pipeline_pb2.Pipeline:
    """Returns the pipeline in the form that TFX executes, with a name for this run."""
    compiled = compiler.Compiler().compile(pipeline)
    run_id = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now().isoformat()}
    runtime_parameter_utils.substitute_runtime_parameter(compiled, run_id)
    return compiled


def _run_components(
    pipeline: pipeline_pb2.Pipeline, push_folder: str, outdated: set[str], say: Say, log: Path
) -> list[ComponentSummary]:
    """Runs all components, those of `outdated` without the cache. Returns nothing if another one is outdated."""
    components: list[ComponentSummary] = []
    for number, node in enumerate(pipeline.nodes, start=1):
        name = node.pipeline_node.node_info.id
        if name in outdated:
            node.pipeline_node.execution_options.caching_options.enable_cache = False
        say(f"[{number}/{len(pipeline.nodes)}] {name}")
        component = _run_component(pipeline, node.pipeline_node, log)
        if component.state == "cached" and is_outdated(component, components, push_folder):
            say(f"[{number}/{len(pipeline.nodes)}] {name} must run again: the pushed models have changed")
            outdated.add(name)
            return []
        components.append(component)
        say(f"[{number}/{len(pipeline.nodes)}] {name} {in_words(component)}")
    return components


def _run_component(pipeline: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode, log: Path) -> ComponentSummary:
    """Launches one component and reads its outcome from the metadata."""
    deployment = runner_utils.extract_local_deployment_config(pipeline)
    connection = deployment.metadata_connection_config
    connection = getattr(connection, connection.WhichOneof("connection_config"))
    name = node.node_info.id
    start = time.monotonic()
    with PeakMemory() as memory:
        try:
            execution = launcher.Launcher(
                pipeline_node=node,
                mlmd_connection=metadata.Metadata(connection),
                pipeline_info=pipeline.pipeline_info,
                pipeline_runtime_spec=pipeline.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, name),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
            ).launch()
        except Exception as error:
            logging.getLogger(__name__).exception("%s failed.", name)
            raise ComponentFailedError(f"{name}: {reason(error, log)}") from error
    seconds = time.monotonic() - start
    with metadata.Metadata(connection) as handle:
        state, outputs = _outcome(handle.store, execution.execution_id if execution else None)
    if state == "failed":
        raise ComponentFailedError(f"{name}: its inputs could not be found. {look_into(log)}")
    return ComponentSummary(
        name=name,
        state=state,
        seconds=seconds,
        peak_megabytes=memory.megabytes,
        outputs={key: artifact.uri for key, artifact in outputs.items()},
        metrics={key: value for artifact in outputs.values() for key, value in read_metrics(artifact.uri).items()},
        blessed=_blessed(outputs),
        baseline=_noted(outputs, ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY),
        pushed_to=_noted(outputs, "pushed_destination"),
    )


def _outcome(store: Any, execution_id: int | None) -> tuple[str, dict[str, Any]]:
    """Returns an execution's state as one word, and its output artifacts by key."""
    if not execution_id:
        return "skipped", {}
    (execution,) = store.get_executions_by_id([execution_id])
    events = [
        event
        for event in store.get_events_by_execution_ids([execution_id])
        if event.type in (_MLMD.Event.OUTPUT, _MLMD.Event.INTERNAL_OUTPUT)
    ]
    artifacts = {
        artifact.id: artifact for artifact in store.get_artifacts_by_id([event.artifact_id for event in events])
    }
    outputs = {
        next((step.key for step in event.path.steps if step.HasField("key")), "output"): artifacts[event.artifact_id]
        for event in events
    }
    return _STATES.get(execution.last_known_state, "failed"), outputs


def _blessed(outputs: dict[str, Any]) -> bool | None:
    """Returns a component's verdict on the model, or None if it evaluates no model."""
    verdicts = [
        artifact.custom_properties["blessed"].int_value == 1
        for artifact in outputs.values()
        if artifact.type in ("ModelBlessing", "InfraBlessing")
    ]
    return all(verdicts) if verdicts else None


def _noted(outputs: dict[str, Any], key: str) -> str | None:
    """Returns the custom property of one of the outputs, or None if no output has it."""
    for artifact in outputs.values():
        if key in artifact.custom_properties:
            return str(artifact.custom_properties[key].string_value)
    return None


def _write_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _write_nothing(line: str) -> None:
    del line
