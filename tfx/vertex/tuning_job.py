"""A search for hyperparameters as a HyperparameterTuningJob: Vertex AI chooses values and runs each trial as a job.

For what a trial runs, see tuning_trial.py. For the search itself, see `kerasbert_tfx.modules.fine_tuning`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras_tuner

from kerasbert.errors import BadInputError
from kerasbert_tfx.vertex.client import Vertex, errors_of, machine, message, wait_for_job

# Container images have Python on their PATH.
TRIAL_COMMAND = ("python", "-m", "kerasbert_tfx.vertex.tuning_trial")


@dataclass(frozen=True)
class TrialJobs:
    """How trials run, as JSON values in a Tuner's `custom_config`.

    Attributes:
        project: Google Cloud project.
        region: Google Cloud region.
        image: The pipeline's container image.
        machine_type: Machine type of a trial.
        accelerator: Accelerator of a trial, or None.
        accelerator_count: Number of accelerators.
        parallel_trials: How many trials run at once.
        service_account: The account that trials run as. None is Vertex AI's default.
        labels: Labels of the job.
    """

    project: str
    region: str
    image: str
    machine_type: str
    accelerator: str | None = None
    accelerator_count: int = 1
    parallel_trials: int = 1
    service_account: str | None = None
    labels: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class TrialResult:
    """A finished trial.

    Attributes:
        trial: The trial's number.
        values: Hyperparameter -> value.
        score: The metric.
    """

    trial: str
    values: dict[str, Any]
    score: float


def search_with_jobs(
    space: keras_tuner.HyperParameters,
    metric: str,
    is_error: bool,
    trials: int,
    request: str,
    jobs: TrialJobs,
    pause: float = 30.0,
) -> list[TrialResult]:
    """Runs trials on Vertex AI, waits for them, and returns their results, the best one first.

    Args:
        space: The hyperparameters.
        metric: The metric that trials report.
        is_error: Whether a lower metric is better.
        trials: The number of trials.
        request: The address of the file that trials read: see tuning_trial.py.
        jobs: How trials run.
        pause: Seconds between two looks at the job.

    Raises:
        BadInputError: Vertex AI refuses the job, or no trial succeeded.
    """
    place = Vertex(jobs.project, jobs.region)
    service = place.service("JobService")
    job = _job(space, metric, is_error, trials, request, jobs)
    with errors_of("search for hyperparameters"):
        started = service.create_hyperparameter_tuning_job(
            request={"parent": place.parent, "hyperparameter_tuning_job": job}
        )
        ended = wait_for_job(
            lambda: service.get_hyperparameter_tuning_job(request={"name": started.name}),
            "hyperparameter tuning job",
            pause,
        )
    results = [_result(trial, space, metric) for trial in ended.trials if trial.state.name == "SUCCEEDED"]
    scored = [result for result in results if result is not None]
    if not scored:
        raise BadInputError(
            f"At least one trial must report its metric. Received: none of {len(ended.trials)} trials of {ended.name}. "
            "Read the log of a trial."
        )
    return sorted(scored, key=lambda result: result.score if is_error else -result.score)


def study_parameters(space: keras_tuner.HyperParameters) -> list[Any]:
    """Returns the hyperparameters of keras-tuner's search space as messages of Vertex AI."""
    parameters = []
    for parameter in space.space:
        fields: dict[str, Any] = {"parameter_id": parameter.name}
        if isinstance(parameter, keras_tuner.engine.hyperparameters.Float):
            fields["double_value_spec"] = {"min_value": parameter.min_value, "max_value": parameter.max_value}
            if parameter.sampling == "log":
                fields["scale_type"] = "UNIT_LOG_SCALE"
        elif isinstance(parameter, keras_tuner.engine.hyperparameters.Choice):
            fields["discrete_value_spec"] = {"values": sorted(map(float, parameter.values))}
        else:
            raise BadInputError(
                f"A hyperparameter must be a Float or a Choice of numbers. Received: {parameter.name}, a "
                f"{type(parameter).__name__}. Change the search space."
            )
        parameters.append(fields)
    return parameters


def typed_values(space: keras_tuner.HyperParameters, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values with the types of the search space: Vertex AI passes each number as a double.

    Example:
        >>> space = keras_tuner.HyperParameters()
        >>> _ = space.Choice("batch_size", [16, 32])
        >>> typed_values(space, {"batch_size": "32.0"})
        {'batch_size': 32}
    """
    kinds = {parameter.name: type(parameter.default) for parameter in space.space}
    return {name: kinds[name](float(value)) for name, value in values.items() if name in kinds}


def _job(
    space: keras_tuner.HyperParameters, metric: str, is_error: bool, trials: int, request: str, jobs: TrialJobs
) -> Any:
    """Returns the message that describes the job."""
    pool = {
        "machine_spec": machine(jobs.machine_type, jobs.accelerator, jobs.accelerator_count),
        "replica_count": 1,
        "container_spec": {
            "image_uri": jobs.image,
            "command": list(TRIAL_COMMAND),
            # Vertex AI appends `--learning_rate=...` and the like.
            "args": [f"--request={request}"],
        },
    }
    return message(
        "HyperparameterTuningJob",
        display_name="kerasbert-tuner",
        study_spec={
            "metrics": [{"metric_id": metric, "goal": "MINIMIZE" if is_error else "MAXIMIZE"}],
            "parameters": study_parameters(space),
        },
        max_trial_count=trials,
        parallel_trial_count=min(jobs.parallel_trials, trials),
        # A trial may be unlucky, e.g. diverge. If all fail, the first few say why.
        max_failed_trial_count=max(1, trials // 2),
        trial_job_spec={"worker_pool_specs": [pool], "service_account": jobs.service_account or ""},
        labels=jobs.labels,
    )


def _result(trial: Any, space: keras_tuner.HyperParameters, metric: str) -> TrialResult | None:
    """Returns the values and the metric of a trial, or None if it reported no metric."""
    scores = [found.value for found in trial.final_measurement.metrics if found.metric_id == metric]
    if not scores:
        return None
    values = {parameter.parameter_id: parameter.value for parameter in trial.parameters}
    return TrialResult(trial.id, typed_values(space, values), float(scores[-1]))
