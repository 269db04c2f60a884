"""`kerasbert pipeline submit`: starts a compiled pipeline on Vertex AI."""

import click

from kerasbert.cli.options.pipeline_settings import parsed_assignments, require_tfx


@click.command()
@click.argument("file")
@click.option("--project", help="Google Cloud project. By default, GOOGLE_CLOUD_PROJECT.")
@click.option("--region", help="Google Cloud region, e.g. us-central1. By default, GOOGLE_CLOUD_REGION.")
@click.option(
    "--service-account",
    help="Service account of the steps. By default, KERASBERT_SERVICE_ACCOUNT or else the project's default account.",
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
@click.option("--job-id", help="Name of the run. By default, the pipeline's name with the time.")
def submit(
    file: str,
    project: str | None,
    region: str | None,
    service_account: str | None,
    parameters: tuple[str, ...],
    no_cache: bool,
    job_id: str | None,
) -> None:
    """Start FILE (from `kerasbert pipeline compile --target vertex`) on Vertex AI, and return immediately.

    Needs Google Cloud credentials: run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS
    to the path of a key file.

    \b
    Example:
      kerasbert pipeline submit fine-tune.json --project my-project --region us-central1 -p epochs=5
    """
    require_tfx()
    from kerasbert_pipelines.settings import read_settings
    from kerasbert_pipelines.vertex_and_kubeflow.submit_to_vertex import submit as submit_pipeline

    given = {"project": project, "region": region, "service_account": service_account}
    overrides = {name: value for name, value in given.items() if value is not None}
    settings = read_settings("submit", overrides={**overrides, "enable_cache": not no_cache})
    run = submit_pipeline(file, settings, parsed_assignments("--parameter", parameters), job_id)
    click.echo(f"Run: {run.resource_name}")
    click.echo(f"Page: {run._dashboard_uri()}")
