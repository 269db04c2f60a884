"""`kerasbert serve`: the local server, which speaks TF Serving's REST and gRPC."""

from typing import Any

import click


@click.command()
@click.argument("model_dir", required=False)
@click.option("--model-name", default="model", show_default=True, help="As it stands in the paths.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", "rest_port", default=8501, show_default=True, type=click.IntRange(0, 65535), help="REST. 0: a free one."
)
@click.option(
    "--grpc-port", default=8500, show_default=True, type=click.IntRange(0, 65535), help="gRPC. 0: a free one."
)
@click.option(
    "--model-config-file", type=click.Path(), help="In place of MODEL_DIR: a ModelServerConfig, as TF Serving's."
)
@click.option(
    "--model-config-file-poll-wait-seconds", default=0.0, show_default=True, help="Between readings of it. 0: once."
)
@click.option("--batching-parameters-file", type=click.Path(), help="BatchingParameters, read for their sizes.")
@click.option("--monitoring-config-file", type=click.Path(), help="A MonitoringConfig: path of the metrics, or none.")
@click.option(
    "--allow-version-labels-for-unavailable-models", is_flag=True, help="Labels for versions that are yet to come."
)
@click.option("--rest-api-enable-cors-support", is_flag=True, help="Let pages of other hosts ask.")
@click.option(
    "--file-system-poll-wait-seconds", default=1.0, show_default=True, help="Between looks for new versions. 0: once."
)
@click.option("--max-batch-size", default=1024, show_default=True, type=click.IntRange(min=1), help="Rows in one run.")
@click.option(
    "--batching/--no-batching", "enable_batching", default=True, show_default=True, help="Of waiting requests."
)
@click.option("--warmup/--no-warmup", "enable_model_warmup", default=True, show_default=True, help="Warm-up records.")
@click.option(
    "--rest-api-timeout-in-ms",
    default=30_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Of one REST request.",
)
@click.option(
    "--max-body-bytes", default=64 * 2**20, show_default=True, type=click.IntRange(min=1), help="Of one REST request."
)
@click.option(
    "--shutdown-grace-seconds", default=30.0, show_default=True, help="For requests under way when told to stop."
)
def serve(model_dir: str | None, model_config_file: str | None, **options: Any) -> None:
    """Serve the exported model in MODEL_DIR (the folder of its numbered versions) until SIGTERM or Ctrl-C.

    The newest version is served; a newer one is taken up as soon as it is there, without losing a request. For laptops
    and tests: in production run TF Serving on the same folder.

    \b
    Example:
      kerasbert serve exported --port 8501 --grpc-port 8500
      curl http://localhost:8501/v1/models/model:predict -d '{"instances": ["Where is my card?"]}'
    """
    from kerasbert.errors import BadInputError

    if (model_dir is None) == (model_config_file is None):
        raise click.UsageError("Give MODEL_DIR or --model-config-file, and not both.", click.get_current_context())
    try:
        from kerasbert_serving.server import ServingError
        from kerasbert_serving.server import serve as run
    except ImportError as error:
        raise BadInputError(
            f'Serving needs packages that are not installed ({error.name}). Run: pip install "kerasbert[serving]"'
        ) from error
    try:
        run(model_dir=model_dir, model_config_file=model_config_file, **options)
    except (ServingError, ValueError) as error:
        raise BadInputError(str(error)) from error
