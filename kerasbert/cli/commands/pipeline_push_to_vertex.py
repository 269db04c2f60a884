"""`kerasbert pipeline push-to-vertex`: does with one exported model what `push_to: vertex` does in a pipeline."""

import os
from typing import Any

import click

from kerasbert.cli.options.pipeline_settings import require_tfx
from kerasbert.cli.options.settings_options import settings_options
from kerasbert.cli.options.table_options import format_of, table_options
from kerasbert.errors import BadInputError
from kerasbert_tfx.vertex.vertex_settings import VertexSettings

# Settings of a pipeline's run, which a single model does not have.
_OF_RUNS = (
    "experiment",
    "tensorboard",
    "tuner_machine_type",
    "tuner_accelerator",
    "tuner_accelerator_count",
    "tuner_parallel_trials",
)


@click.command()
@click.argument("model")
@click.option("--project", help="Google Cloud project. By default, GOOGLE_CLOUD_PROJECT.")
@click.option("--region", help="Google Cloud region, e.g. us-central1. By default, GOOGLE_CLOUD_REGION.")
@click.option(
    "--push-folder",
    help="Folder in Cloud Storage to which the model is pushed first. By default, that of MODEL, if it is in a bucket.",
)
@settings_options(VertexSettings, without=_OF_RUNS)
@table_options(with_label=False)
def push_to_vertex(
    model: str,
    project: str | None,
    region: str | None,
    push_folder: str | None,
    text_column: str,
    pair_column: str | None,
    **values: Any,
) -> None:
    """Upload MODEL to Vertex AI's Model Registry, deploy it on an endpoint, and predict a table with it.

    MODEL is an exported version, or the folder of numbered versions, of which the newest is used. A model that was
    uploaded before is not uploaded again, so the same command also changes the traffic, or deploys what could not be
    deployed. Needs Google Cloud credentials: run `gcloud auth application-default login`.

    \b
    Example:
      kerasbert pipeline push-to-vertex exported --project my-project --region us-central1 \\
          --push-folder gs://bucket/models/questions --model-name questions --endpoint questions --traffic-percent 10
    """
    require_tfx()
    table_format = format_of(values)
    settings = VertexSettings(**{name: value for name, value in values.items() if value is not None})
    from kerasbert_tfx.vertex.batch_prediction import BatchTable
    from kerasbert_tfx.vertex.client import Vertex
    from kerasbert_tfx.vertex.pushing import push_to_vertex as push_version
    from kerasbert_tfx.vertex.vertex_settings import check_place, model_id

    place = Vertex(
        *check_place(
            project or os.environ.get("GOOGLE_CLOUD_PROJECT"),
            region or os.environ.get("GOOGLE_CLOUD_REGION"),
            "`push-to-vertex`",
        )
    )
    if not (settings.model_name or settings.parent_model):
        raise BadInputError(
            "A model needs an id in Model Registry. Received: no `model_name`. For example, `model_name=questions`."
        )
    version = _pushed(model, push_folder)
    table = BatchTable(text_column, pair_column, table_format)
    for name, value in push_version(version, model_id(settings, ""), settings, table, place).lines():
        click.echo(f"{name.capitalize()}: {value}")


def _pushed(model: str, push_folder: str | None) -> str:
    """Returns the version in the bucket that is MODEL, after copying MODEL there if necessary.

    Raises:
        BadInputError: If MODEL is no exported model, or if there is no bucket to copy it to.
    """
    import tensorflow as tf

    from kerasbert_tfx.records.pushed_versions import newest_version
    from kerasbert_tfx.vertex.setting_forms import is_in_store
    from kerasbert_tfx.vertex.vertex_settings import bucket_address, check_push_folder

    found = model.rstrip("/")
    if not tf.io.gfile.exists(f"{found}/saved_model.pb"):
        found = newest_version(found) or found
    if not tf.io.gfile.exists(f"{found}/saved_model.pb"):
        raise BadInputError(
            f"`model` must be an exported model. Received: model='{model}', which contains no saved_model.pb. Export "
            "one with `kerasbert export`."
        )
    parent, _, number = found.rpartition("/")
    if push_folder is None and number.isdigit() and is_in_store(bucket_address(parent)):
        return found
    if push_folder is None:
        raise BadInputError(
            f"A model that is not a version in a bucket is pushed to one first. Received: '{model}' and no "
            "`push_folder`. For example, `push_folder=gs://bucket/models/questions`."
        )
    check_push_folder(push_folder)
    # Imports TFX, for which errors do not need to wait.
    from kerasbert_tfx.components.model_pusher import push

    click.echo(f"Pushing to {push_folder}", err=True)
    return push(found, push_folder)
