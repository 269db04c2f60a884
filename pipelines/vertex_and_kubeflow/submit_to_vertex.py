"""Starts or schedules a compiled pipeline on Vertex AI with Google's client."""

import os
from collections.abc import Mapping
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import PipelineSettings
from kerasbert_pipelines.vertex_and_kubeflow.submitted_file import check_schedule, read_compiled, run_values
from kerasbert_tfx.vertex.vertex_settings import check_place


def submit(
    path: str | os.PathLike[str],
    settings: PipelineSettings,
    parameters: Mapping[str, Any] | None = None,
    job_id: str | None = None,
    schedule: str | None = None,
    experiment: str | None = None,
) -> Any:
    """Starts a run of a compiled pipeline, or creates a schedule of runs, and returns immediately.

    Args:
        path: The file that `compile_pipeline` wrote for Vertex AI.
        settings: `project` and `region` are required. `service_account` is the account that the steps run as.
        parameters: Values for the pipeline's inputs, which override the defaults.
        job_id: A name for the run. By default the client makes one from the time.
        schedule: A cron expression with five fields, e.g. "TZ=Europe/Berlin 0 3 * * *". At most one run at a time is
            started. None starts one run now.
        experiment: An experiment of Vertex AI to which the run belongs. It is created if it does not exist.

    Returns:
        The client's `PipelineJob` or `PipelineJobSchedule`, with its name, state and page.

    Raises:
        BadInputError: If a setting is missing, a parameter is unknown or has the wrong type, there are no credentials,
            or Vertex AI refuses the run.
    """
    job = read_compiled(path, "vertex")
    given = run_values(path, job["pipelineSpec"], parameters or {})
    check_schedule(schedule, 5, "'0 3 * * *'")
    check_place(settings.project, settings.region, "Vertex AI")
    if experiment is not None and schedule is not None:
        raise BadInputError(
            "Only a run that starts now can be put into an experiment. Received: "
            f"experiment={experiment!r}, schedule={schedule!r}. Set `vertex.experiment` before the pipeline is "
            "compiled, so that each run logs itself."
        )
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import aiplatform

    name = job.get("displayName") or settings.pipeline_name
    try:
        run = aiplatform.PipelineJob(
            display_name=name,
            template_path=str(path),
            job_id=job_id,
            parameter_values=given,
            enable_caching=settings.enable_cache,
            project=settings.project,
            location=settings.region,
        )
        if schedule is not None:
            # Two runs at once would both compare their model with the same older one.
            return run.create_schedule(
                cron=schedule,
                display_name=name,
                max_concurrent_run_count=1,
                service_account=settings.service_account,
            )
        _start(run, settings, experiment)
    except GoogleAuthError as error:
        raise BadInputError(
            f"Vertex AI needs credentials. Received: {error}. Run `gcloud auth application-default login`, or set "
            "GOOGLE_APPLICATION_CREDENTIALS to a key file."
        ) from error
    except GoogleAPICallError as error:
        raise BadInputError(
            f"Vertex AI refused the run. Received: {error.code} {error.message}. Fix the problem that it names."
        ) from error
    return run


def _start(run: Any, settings: PipelineSettings, experiment: str | None) -> None:
    """Starts a run, and puts it into an experiment."""
    try:
        run.submit(service_account=settings.service_account, experiment=experiment)
    except RuntimeError as error:
        # What the client makes of an error of the experiment, before or after it starts the run.
        started = _resource_name(run)
        raise BadInputError(
            f"{f'The run {started} was started, but ' if started else ''}Vertex AI refused the experiment. Received: "
            f"{error} ({error.__cause__}). Use another `experiment`."
        ) from error


def _resource_name(run: Any) -> str | None:
    """Returns the name of a run, or None if it was not started."""
    try:
        return str(run.resource_name)
    except RuntimeError:
        return None
