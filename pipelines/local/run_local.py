"""Runs a pipeline on this machine, one component after the other, and says how each went.

As TFX's LocalDagRunner, with what a person at a terminal wants besides: a line for each component while it runs, its
time and peak memory, a table at the end, and one clear line with the component's name when something is wrong. An
unchanged component is taken from the cache, so that the same call goes on after a kill. What TFX and Beam log goes to a
file under the pipeline's root.
"""

import contextlib
import datetime
import json
import logging
import multiprocessing.util
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from absl import logging as absl_logging
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.components.evaluator.constants import ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from kerasbert.errors import BadInputError, TrainingStoppedError
from kerasbert.files import write_aside
from kerasbert_pipelines.local.outdated import is_outdated
from kerasbert_pipelines.local.peak_memory import PeakMemory
from kerasbert_pipelines.local.run_summary import ComponentSummary, RunSummary, in_words
from kerasbert_pipelines.settings import PipelineSettings
from kerasbert_tfx.components.component_metrics import read_metrics

PipelineFactory = Callable[[Any], Pipeline]
Say = Callable[[str], None]

_STATES = {mlmd.Execution.COMPLETE: "done", mlmd.Execution.CACHED: "cached"}
# Errors whose message is meant for the user.
_CLEAR_ERRORS = (BadInputError, TrainingStoppedError, OSError)
_FULL_DISK = re.compile(r"(?:(?P<path>/[^;\n]*); )?No space left on device|database or disk is full")


class ComponentFailedError(BadInputError):
    """A component of a pipeline could not do its work. The message begins with the component's name."""


def run(pipeline_factory: PipelineFactory, settings: PipelineSettings, say: Say | None = None) -> RunSummary:
    """Runs a pipeline to its end, or to the first component that fails.

    Args:
        pipeline_factory: makes a new pipeline of the settings, such as `kerasbert_pipelines.pretrain.create_pipeline`.
        settings: of the pipeline.
        say: called with each line of progress; None writes them to standard error if `settings.show_progress`.

    Returns:
        What each component did, its metrics, and whether the model was blessed and pushed.

    Raises:
        ComponentFailedError: a component cannot use its input, or fails. What was pushed before is as it was.
        BadInputError: the pipeline's folder cannot be written.
    """
    say = say or (_write_line if settings.show_progress else _write_nothing)
    log = _prepare_folders(settings)
    components: list[ComponentSummary] = []
    outdated: set[str] = set()
    with _logged_to(log), _temporary_files_removed():
        # TFX runs a component once in a run: what must not come from the cache after all takes a new run.
        while not components:
            components = _run_components(
                _compiled(pipeline_factory(settings)), settings.push_folder, outdated, say, log
            )
    summary = RunSummary(settings.pipeline_name, settings.pipeline_root, tuple(components))
    if "://" not in settings.pipeline_root:
        with write_aside(Path(settings.pipeline_root, "summary.json")) as aside:
            aside.write_text(json.dumps(summary.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def _compiled(pipeline: Pipeline) -> pipeline_pb2.Pipeline:
    """The pipeline as TFX executes it, with a name for this run."""
    compiled = compiler.Compiler().compile(pipeline)
    run_id = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now().isoformat()}
    runtime_parameter_utils.substitute_runtime_parameter(compiled, run_id)
    return compiled


def _run_components(
    pipeline: pipeline_pb2.Pipeline, push_folder: str, outdated: set[str], say: Say, log: Path | None
) -> list[ComponentSummary]:
    """Runs all components, those of `outdated` without the cache; if one more must be, adds it and returns nothing."""
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


def _run_component(
    pipeline: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode, log: Path | None
) -> ComponentSummary:
    """Launches one component and reads from the metadata what became of it."""
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
        raise ComponentFailedError(f"{name}: its inputs could not be found. {_look_into(log)}")
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


def _outcome(store: Any, execution_id: int | None) -> tuple[str, dict[str, mlmd.Artifact]]:
    """An execution's state in one word, and its output artifacts by key."""
    if not execution_id:
        return "skipped", {}
    (execution,) = store.get_executions_by_id([execution_id])
    events = [
        event
        for event in store.get_events_by_execution_ids([execution_id])
        if event.type in (mlmd.Event.OUTPUT, mlmd.Event.INTERNAL_OUTPUT)
    ]
    artifacts = {
        artifact.id: artifact for artifact in store.get_artifacts_by_id([event.artifact_id for event in events])
    }
    outputs = {
        next((step.key for step in event.path.steps if step.HasField("key")), "output"): artifacts[event.artifact_id]
        for event in events
    }
    return _STATES.get(execution.last_known_state, "failed"), outputs


def _blessed(outputs: dict[str, mlmd.Artifact]) -> bool | None:
    """The judgement on the model that a component noted; None where it judges none."""
    judgements = [
        artifact.custom_properties["blessed"].int_value == 1
        for artifact in outputs.values()
        if artifact.type in ("ModelBlessing", "InfraBlessing")
    ]
    return all(judgements) if judgements else None


def _noted(outputs: dict[str, mlmd.Artifact], key: str) -> str | None:
    """What a component noted with one of its outputs under a key."""
    for artifact in outputs.values():
        if key in artifact.custom_properties:
            return str(artifact.custom_properties[key].string_value)
    return None


# === Errors ===


def reason(error: BaseException, log: Path | None = None) -> str:
    """What went wrong, in one line: the first error in the chain that was written for the user, or else the error."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    for found in chain:
        if isinstance(found, OSError) and found.strerror:
            place = f": {found.filename}" if found.filename else ""
            return f"{found.strerror}{place}. Free space, or check the path and its rights."
        if isinstance(found, _CLEAR_ERRORS) and str(found):
            return " ".join(str(found).split())
    for found in chain:
        # TensorFlow and the metadata's SQLite have errors of their own for it.
        if full := _FULL_DISK.search(str(found)):
            return f"No space left on device: {full['path'] or 'the metadata'}. Free space, or name another folder."
    message = " ".join(str(error).split()) or type(error).__name__
    return f"{type(error).__name__}: {message[:500]}{'...' if len(message) > 500 else ''} {_look_into(log)}".strip()


def _look_into(log: Path | None) -> str:
    return f"See '{log}'." if log else ""


# === Folders and logs ===


def _prepare_folders(settings: PipelineSettings) -> Path | None:
    """Makes the folders that a run needs, and names its log."""
    if "://" in settings.pipeline_root:
        return None
    log = Path(settings.pipeline_root, "logs", f"{datetime.datetime.now():%Y%m%d-%H%M%S-%f}.log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        Path(settings.metadata_path).parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise BadInputError(
            f"`pipeline_root` must be a folder that can be written. Received: '{settings.pipeline_root}' "
            f"({error.strerror or error}). Free space, change its rights, or name another folder."
        ) from error
    return log


@contextlib.contextmanager
def _temporary_files_removed() -> Iterator[None]:
    """Gives this process, and those that it starts, a folder for temporary files that goes away in the end.

    TFX and Beam remove none of theirs: with Beam arguments TFX packages itself anew for each component, in 42 MB.
    """
    # Sockets of multiprocessing lie in a folder that it makes once, and keeps for the life of the process.
    multiprocessing.util.get_temp_dir()
    with tempfile.TemporaryDirectory(prefix="kerasbert-", ignore_cleanup_errors=True) as folder:
        earlier, variable = tempfile.tempdir, os.environ.get("TMPDIR")
        tempfile.tempdir, os.environ["TMPDIR"] = folder, folder
        try:
            yield
        finally:
            tempfile.tempdir = earlier
            if variable is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = variable


@contextlib.contextmanager
def _logged_to(log: Path | None) -> Iterator[None]:
    """Sends what is logged to a file, and not to the terminal."""
    root = logging.getLogger()
    handlers, level, verbosity = root.handlers[:], root.level, absl_logging.get_verbosity()
    handler = logging.FileHandler(log, encoding="utf-8") if log else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    absl_logging.set_verbosity(absl_logging.INFO)
    try:
        yield
    finally:
        absl_logging.set_verbosity(verbosity)
        root.handlers, root.level = handlers, level
        handler.close()


def _write_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _write_nothing(line: str) -> None:
    del line
