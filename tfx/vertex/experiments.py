"""Logs a run of a pipeline to Vertex AI Experiments, with its curves in a TensorBoard instance."""

import contextlib
import hashlib
import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert_tfx.vertex.client import Vertex, errors_of
from kerasbert_tfx.vertex.tensorboard_curves import read_curves, upload_curves

# Ids in the metadata have 128 characters at most, and the longest is EXPERIMENT-RUN-tb-run, with an EXPERIMENT of 63.
_LONGEST_RUN = 56
_JOB_FOLDER = re.compile(r"/([a-z0-9][a-z0-9-]*)/[^/]+_-?\d+/[^/]+/*$")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class LoggedRun:
    """A run in Experiments.

    Attributes:
        experiment: The experiment's name.
        run: The run's name.
        points: Number of points of its curves that were uploaded.
    """

    experiment: str
    run: str
    points: int


def run_name(pipeline_name: str, artifact: str) -> str:
    """Returns the name of the run that made an artifact.

    On Vertex AI, it is the id of the pipeline's job, which is part of the addresses of its artifacts. Elsewhere, it is
    the pipeline's name with the artifact's number or a hash of its address. A step that is tried again logs to the same
    run.

    Args:
        pipeline_name: The pipeline's name.
        artifact: The address of an artifact of the run.

    Example:
        >>> run_name("questions", "gs://bucket/root/123/questions-20261130120000/Trainer_-42/model_run")
        'questions-20261130120000'
        >>> run_name("questions", "runs/pipelines/questions/Trainer/model_run/7")
        'questions-7'
    """
    found = _JOB_FOLDER.search(artifact)
    number = artifact.rstrip("/").rpartition("/")[2]
    if not number.isdigit():
        number = hashlib.sha256(artifact.encode()).hexdigest()[:10]
    name = found[1] if found else f"{pipeline_name}-{number}"
    return _NOT_IN_NAMES.sub("-", name.lower()).strip("-")[-_LONGEST_RUN:].strip("-")


def log_run(
    run: str,
    experiment: str,
    tensorboard: str | None,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    curves: str | None,
    place: Vertex,
) -> LoggedRun:
    """Logs a run. The experiment is created if it does not exist, and a run of this name is updated.

    Args:
        run: The run's name.
        experiment: The experiment's name.
        tensorboard: Number or full name of the TensorBoard instance, or None.
        parameters: The run's settings. Values that are no numbers are logged as text, and None is left out.
        metrics: The run's metrics.
        curves: The folder of TensorBoard's event files, or None.
        place: Project and region.

    Raises:
        BadInputError: Vertex AI refuses or fails.
    """
    from google.cloud import aiplatform

    where: dict[str, Any] = {"project": place.project, "location": place.region}
    points = 0
    instance = place.full_name("tensorboards", tensorboard) if tensorboard else None
    with _errors(), _as_quiet():
        # Some of the client's requests go to its default region, whatever region they are about.
        aiplatform.init(**where)
        aiplatform.Experiment.get_or_create(experiment, **where)
        logged = aiplatform.ExperimentRun.get(run, experiment=experiment, **where)
        if logged is None:
            logged = aiplatform.ExperimentRun.create(run, experiment=experiment, tensorboard=instance, **where)
        elif instance:
            # The client refuses a second assignment of the same instance.
            with contextlib.suppress(ValueError):
                logged.assign_backing_tensorboard(instance)
        logged.log_params({name: _parameter(value) for name, value in parameters.items() if value is not None})
        # The service stores numbers as JSON, which has no NaN.
        logged.log_metrics({name: value for name, value in metrics.items() if math.isfinite(value)})
        if instance and curves:
            name = f"{instance}/experiments/{experiment}/runs/{run}"
            points = upload_curves(read_curves(curves), name, place)
        logged.update_state(aiplatform.gapic.Execution.State.COMPLETE)
    return LoggedRun(experiment, run, points)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    with errors_of("log the run to the experiment"):
        try:
            yield
        except (RuntimeError, ValueError) as error:
            # The client wraps the API's errors in its own.
            if error.__cause__ is not None:
                raise error.__cause__ from error
            raise BadInputError(
                f"Vertex AI did not log the run to the experiment. Received: {error}. Choose another `experiment`."
            ) from error


@contextlib.contextmanager
def _as_quiet() -> Iterator[None]:
    """Keeps Google's client from printing a line for each request."""
    disabled = logging.root.manager.disable
    # Each of its modules has a logger with a level of its own.
    logging.disable(max(disabled, logging.INFO))
    try:
        yield
    finally:
        logging.disable(disabled)


def _parameter(value: Any) -> float | int | str:
    """Returns a value of one of the types that parameters may have."""
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else str(value)
