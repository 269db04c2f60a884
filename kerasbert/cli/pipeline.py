"""`kerasbert pipeline`: the TFX pipelines. Each sub-command has a module of its own, `pipeline_<name>.py`."""

import click

from kerasbert.cli.command_line import LazyGroup


class PipelineGroup(LazyGroup):
    """The sub-commands of `kerasbert pipeline`."""

    subcommands = {"run": "Run a pipeline on this machine."}  # noqa: RUF012 (read by nobody but the group)
    module_prefix = "pipeline_"


@click.group(cls=PipelineGroup)
def pipeline() -> None:
    """Run pretraining or fine-tuning as a TFX pipeline: data checked, steps cached, models judged before they are
    pushed.

    \b
    Example:
      kerasbert pipeline run pretrain --config pretrain.yaml
    """
