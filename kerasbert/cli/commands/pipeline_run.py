"""`kerasbert pipeline run`: runs a pipeline on this machine, component by component."""

import click

from kerasbert.cli.options.pipeline_settings import pipeline_arguments, pipeline_factory, read_pipeline_settings


@click.command()
@pipeline_arguments()
@click.option("--no-cache", is_flag=True, help="Run every component, even if nothing has changed.")
def run(kind: str, config: str | None, assignments: tuple[str, ...], no_cache: bool) -> None:
    """Run a pipeline on this machine, and print what each component did.

    A component whose inputs and settings have not changed since an earlier run is not run again, so the same command
    also resumes an interrupted run. All settings are described in docs/settings.md.

    \b
    Example:
      kerasbert pipeline run pretrain --config pretrain.yaml
      kerasbert pipeline run pretrain --set texts=corpus --set steps=2000 --set model=bert-mini
    """
    if no_cache:
        assignments = (*assignments, "enable_cache=false")
    settings = read_pipeline_settings(kind, config, assignments)
    factory = pipeline_factory(kind)
    from kerasbert_pipelines.local.run_local import run as run_pipeline

    click.echo(run_pipeline(factory, settings).table())
