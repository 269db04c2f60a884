"""`kerasbert pipeline`: the TFX pipelines. Each sub-command has a module of its own, `pipeline_<name>.py`."""

import click

from kerasbert.cli.command_line import LazyGroup


class PipelineGroup(LazyGroup):
    """The sub-commands of `kerasbert pipeline`."""

    subcommands = {  # noqa: RUF012 (read by nobody but the group)
        "run": "Run a pipeline on this machine.",
        "compile": "Write a pipeline for Vertex AI or Kubeflow Pipelines.",
        "submit": "Start a compiled pipeline on Vertex AI or Kubeflow Pipelines.",
        "push-to-vertex": "Upload a model to Vertex AI, deploy it, and predict a batch with it.",
        "schema": "Print the JSON schema of a pipeline's settings, for editors.",
    }
    module_prefix = "pipeline_"


@click.group(cls=PipelineGroup)
def pipeline() -> None:
    """Run pretraining or fine-tuning as a TFX pipeline, which validates the data, caches every step and evaluates each
    model before it is pushed.

    \b
    Example:
      kerasbert pipeline run pretrain --config pretrain.yaml
      kerasbert pipeline compile pretrain --config pretrain.yaml --target vertex --output pretrain.json
      kerasbert pipeline submit pretrain.json --project my-project --region us-central1
    """
