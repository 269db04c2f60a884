"""Starts or schedules a compiled pipeline on Kubeflow Pipelines with its client."""

import dataclasses
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert_pipelines.vertex_and_kubeflow.submitted_file import check_schedule, read_compiled, run_values

OLDEST_BACKEND = (2, 5)
TESTED_BACKENDS = "2.5 to 2.17"


@dataclasses.dataclass(frozen=True)
class KubeflowRun:
    """A run, or a schedule of runs, that was created.

    Attributes:
        id: Its identifier.
        name: Its name.
        page: The address of its page.
    """

    id: str
    name: str
    page: str


def submit(
    path: str | os.PathLike[str],
    host: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    run_name: str | None = None,
    experiment: str = "Default",
    namespace: str | None = None,
    service_account: str | None = None,
    schedule: str | None = None,
    use_cache: bool = True,
) -> KubeflowRun:
    """Starts a run of a compiled pipeline, or creates a recurring run, and returns immediately.

    The artifacts go to the `pipeline_root` that the pipeline was compiled with. If the environment variable
    KUBEFLOW_TOKEN is set, it is sent as a bearer token.

    Args:
        path: The file that `compile_pipeline` wrote for Kubeflow.
        host: The address of the API, e.g. "http://localhost:8080" with `kubectl port-forward`.
        parameters: Values for the pipeline's inputs, which override the defaults.
        run_name: The name of the run or of the schedule. By default, the pipeline's name.
        experiment: The experiment that the run belongs to. It is created if it does not exist.
        namespace: The namespace, if the cluster has several users.
        service_account: The Kubernetes service account of the steps. By default, the cluster's.
        schedule: A cron expression with six fields, of which the first is seconds, e.g. "0 0 3 * * *". None starts one
            run.
        use_cache: Whether steps may be taken from earlier runs.

    Raises:
        BadInputError: A parameter is unknown or has the wrong type, the backend is too old or does not answer, or it
            refuses the run.
    """
    spec = read_compiled(path, "kubeflow")
    values = run_values(path, spec, parameters or {})
    name = run_name or spec["pipelineInfo"]["name"]
    check_schedule(schedule, 6, "'0 0 3 * * *', where the first field is seconds,")
    shared: dict[str, Any] = {
        "pipeline_root": spec["defaultPipelineRoot"],
        # True would also cache the step that looks for changed input.
        "enable_caching": None if use_cache else False,
        "service_account": service_account,
    }
    import kfp
    import kfp_server_api
    import urllib3

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # It only tells that it needs version 2.
            client = kfp.Client(
                host=host, namespace=namespace or "kubeflow", existing_token=os.environ.get("KUBEFLOW_TOKEN")
            )
        _check_version(client, host)
        experiment_id = client.create_experiment(name=experiment, namespace=namespace).experiment_id
        if schedule is None:
            run = client.run_pipeline(
                experiment_id, name, pipeline_package_path=os.fspath(path), params=values, **shared
            )
            return KubeflowRun(run.run_id, name, f"{host.rstrip('/')}/#/runs/details/{run.run_id}")
        recurring = client.create_recurring_run(
            experiment_id,
            name,
            cron_expression=schedule,
            pipeline_package_path=os.fspath(path),
            params=values,
            **shared,
        )
    except (urllib3.exceptions.HTTPError, OSError, TimeoutError) as error:
        raise BadInputError(
            f"Kubeflow Pipelines must answer at `host`. Received: host={host!r} ({error}). Check the address, and that "
            "`kubectl port-forward` is running if you use it."
        ) from error
    except kfp_server_api.ApiException as error:
        reason = " ".join(str(error.body or error.reason).split())[:500]
        raise BadInputError(
            f"Kubeflow Pipelines refused the run. Received: {error.status} {reason}. Fix the problem that it names."
        ) from error
    recurring_id = recurring.recurring_run_id
    return KubeflowRun(recurring_id, name, f"{host.rstrip('/')}/#/recurringrun/details/{recurring_id}")


def _check_version(client: Any, host: str) -> None:
    """Refuses a backend that is too old. One that was built without a version number is not refused."""
    health = client._healthz_api.api_client.call_api(
        "/apis/v2beta1/healthz",
        "GET",
        response_type="object",
        auth_settings=["Bearer"],
        _return_http_data_only=True,
    )
    version = re.match(r"v?(\d+)\.(\d+)", str((health or {}).get("tag_name", "")))
    if version and (int(version[1]), int(version[2])) < OLDEST_BACKEND:
        raise BadInputError(
            f"Kubeflow Pipelines must be version {TESTED_BACKENDS}. Received: version {version[0]} at {host}. Compiled "
            "pipelines are not tested with older versions, which handle inputs and stores differently. Upgrade it."
        )
