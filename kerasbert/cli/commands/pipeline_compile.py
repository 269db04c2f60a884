"""`kerasbert pipeline compile`: writes a pipeline in the format of Vertex AI or Kubeflow Pipelines, offline."""

from typing import Any

import click

from kerasbert.cli.options.pipeline_settings import pipeline_arguments, pipeline_factory, read_pipeline_settings


@click.command()
@pipeline_arguments()
@click.option("--target", required=True, type=click.Choice(["vertex", "kubeflow"]), help="Where the pipeline will run.")
@click.option(
    "--output", "-o", required=True, type=click.Path(), help=".json file (vertex) or .yaml file (kubeflow) to write."
)
def compile(kind: str, config: str | None, assignments: tuple[str, ...], target: Any, output: str) -> None:
    """Write a pipeline for Vertex AI (JSON) or Kubeflow Pipelines v2 (YAML). Needs no network.

    The pipeline's steps run in the container image named by the setting `image`. Build it from
    pipelines/deploy/Dockerfile. Some settings become inputs of the compiled pipeline: their values can be changed
    whenever a run is started.

    \b
    Example:
      kerasbert pipeline compile fine-tune --config fine-tune.yaml --target vertex --output fine-tune.json
    """
    settings = read_pipeline_settings(kind, config, assignments)
    factory = pipeline_factory(kind)
    from kerasbert_pipelines.vertex_and_kubeflow.compile import compile_pipeline, local_places, run_parameters

    path = compile_pipeline(factory, settings, target, output)
    click.echo(f"Pipeline: {path}")
    click.echo(f"Inputs that each run can change: {', '.join(run_parameters(path))}")
    if places := local_places(settings):
        listed = ", ".join(f"{name}={value}" for name, value in places.items())
        click.echo(f"Not in a bucket, so the image must contain it or the cluster must mount it: {listed}", err=True)
