"""`kerasbert pipeline submit`: starts or schedules a compiled pipeline on Vertex AI or Kubeflow Pipelines."""

from typing import Any

import click

from kerasbert.cli.options.pipeline_settings import parsed_assignments, require_tfx
from kerasbert.errors import BadInputError

# Options of one backend only.
_ONLY = {
    "vertex": ("project", "region", "job_id"),
    "kubeflow": ("host", "namespace", "run_name"),
}


@click.command()
@click.argument("file")
@click.option(
    "--target",
    type=click.Choice(["vertex", "kubeflow"]),
    default="vertex",
    show_default=True,
    help="Where the pipeline runs. FILE must be compiled for it.",
)
@click.option("--project", help="Vertex AI: Google Cloud project. By default, GOOGLE_CLOUD_PROJECT.")
@click.option("--region", help="Vertex AI: Google Cloud region, e.g. us-central1. By default, GOOGLE_CLOUD_REGION.")
@click.option("--job-id", help="Vertex AI: name of the run. By default, the pipeline's name with the time.")
@click.option("--host", help="Kubeflow: address of the API, e.g. http://localhost:8080. Required.")
@click.option("--namespace", help="Kubeflow: namespace, if the cluster has several users.")
@click.option("--experiment", help="Experiment of the run. On Kubeflow, Default by default.")
@click.option("--run-name", help="Kubeflow: name of the run or the schedule. By default, the pipeline's name.")
@click.option(
    "--schedule",
    help="Start a run regularly, by a cron expression. Kubeflow's begins with seconds. For 3 o'clock every day, "
    '"0 3 * * *" on Vertex AI and "0 0 3 * * *" on Kubeflow.',
)
@click.option(
    "--service-account",
    help="Service account of the steps. By default, KERASBERT_SERVICE_ACCOUNT or else the backend's default account.",
)
@click.option(
    "--parameter",
    "-p",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value for an input of the pipeline, e.g. epochs=5. May be repeated.",
)
@click.option("--no-cache", is_flag=True, help="Run every step, even if nothing has changed.")
def submit(
    file: str, target: str, service_account: str | None, parameters: tuple[str, ...], no_cache: bool, **given: Any
) -> None:
    """Start FILE (from `kerasbert pipeline compile`) on Vertex AI or Kubeflow Pipelines, and return immediately.

    Vertex AI needs Google Cloud credentials: run `gcloud auth application-default login`, or set
    GOOGLE_APPLICATION_CREDENTIALS to the path of a key file. For Kubeflow Pipelines, set KUBEFLOW_TOKEN to a bearer
    token if the API needs one.

    \b
    Example:
      kerasbert pipeline submit fine-tune.json --project my-project --region us-central1 -p epochs=5
      kerasbert pipeline submit fine-tune.yaml --target kubeflow --host http://localhost:8080 -p epochs=5
    """
    require_tfx()
    for other, names in _ONLY.items():
        if other != target and (wrong := [name for name in names if given[name] is not None]):
            option = f"--{wrong[0].replace('_', '-')}"
            raise BadInputError(
                f"{option} is an option for {other}. Received: {option} with --target {target}. Remove it, or use "
                f"--target {other}."
            )
    values = parsed_assignments("--parameter", parameters)
    from kerasbert_pipelines.settings import read_settings

    settings_given = {"project": given["project"], "region": given["region"], "service_account": service_account}
    overrides = {name: value for name, value in settings_given.items() if value is not None}
    settings = read_settings("submit", overrides={**overrides, "enable_cache": not no_cache})
    if target == "vertex":
        from kerasbert_pipelines.vertex_and_kubeflow.submit_to_vertex import submit as submit_to_vertex

        run = submit_to_vertex(file, settings, values, given["job_id"], given["schedule"], given["experiment"])
        click.echo(f"{'Schedule' if given['schedule'] else 'Run'}: {run.resource_name}")
        click.echo(f"Page: {run._dashboard_uri()}")
        return
    if not given["host"]:
        raise BadInputError(
            "--target kubeflow needs --host. Received: no --host. Set it to the address of the API, e.g. "
            "http://localhost:8080 after `kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80`."
        )
    from kerasbert_pipelines.vertex_and_kubeflow.submit_to_kubeflow import submit as submit_to_kubeflow

    created = submit_to_kubeflow(
        file,
        given["host"],
        values,
        run_name=given["run_name"],
        experiment=given["experiment"] or "Default",
        namespace=given["namespace"],
        service_account=settings.service_account,
        schedule=given["schedule"],
        use_cache=not no_cache,
    )
    click.echo(f"{'Recurring run' if given['schedule'] else 'Run'}: {created.name} ({created.id})")
    click.echo(f"Page: {created.page}")
