"""`kerasbert serve`: runs a local server with TensorFlow Serving's REST and gRPC APIs."""

from typing import Any

import click


@click.command()
@click.argument("model_dir", required=False)
@click.option("--model-name", default="model", show_default=True, help="Name of the model in requests.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    "rest_port",
    default=8501,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the REST API. 0 picks a free port.",
)
@click.option(
    "--grpc-port",
    default=8500,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the gRPC API. 0 picks a free port.",
)
@click.option(
    "--model-config-file",
    type=click.Path(),
    help="File with TensorFlow Serving's ModelServerConfig in protobuf text format. Replaces MODEL_DIR.",
)
@click.option(
    "--model-config-file-poll-wait-seconds",
    default=0.0,
    show_default=True,
    help="Seconds between reads of the model config file. 0 reads it once.",
)
@click.option(
    "--batching-parameters-file",
    type=click.Path(),
    help="File with TensorFlow Serving's BatchingParameters. Only the sizes are used.",
)
@click.option(
    "--monitoring-config-file",
    type=click.Path(),
    help="File with TensorFlow Serving's MonitoringConfig, for the metrics page.",
)
@click.option(
    "--allow-version-labels-for-unavailable-models",
    is_flag=True,
    help="Accept labels of versions that are not served yet.",
)
@click.option("--rest-api-enable-cors-support", is_flag=True, help="Allow requests from web pages on other hosts.")
@click.option(
    "--file-system-poll-wait-seconds",
    default=1.0,
    show_default=True,
    help="Seconds between checks for new versions. 0 checks once.",
)
@click.option(
    "--max-batch-size",
    default=1024,
    show_default=True,
    type=click.IntRange(min=1),
    help="Maximum number of rows of requests that run as one batch.",
)
@click.option(
    "--max-batch-bytes",
    default=128 * 2**10,
    show_default=True,
    type=click.IntRange(min=1),
    help="Maximum size of requests that run as one batch: rows times the bytes of the longest row (4 per token id).",
)
@click.option(
    "--batching/--no-batching",
    "enable_batching",
    default=True,
    show_default=True,
    help="Run waiting requests together as one batch.",
)
@click.option(
    "--warmup/--no-warmup",
    "enable_model_warmup",
    default=True,
    show_default=True,
    help="Run a version's warm-up requests before it is served.",
)
@click.option(
    "--tensorflow-runtime",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "c-library", "python"]),
    help="What runs the models: TensorFlow's C library alone, which starts faster and takes less memory, or its Python "
    "package. auto is the C library if it is found.",
)
@click.option(
    "--rest-api-timeout-in-ms",
    default=30_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Time limit of a REST request, in milliseconds.",
)
@click.option(
    "--max-body-bytes",
    default=64 * 2**20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Maximum size of a REST request, in bytes.",
)
@click.option(
    "--max-reply-bytes",
    default=512 * 2**20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Maximum size of a reply, in bytes.",
)
@click.option(
    "--max-waiting-bytes",
    default=2**30,
    show_default=True,
    type=click.IntRange(min=1),
    help="Maximum total size of the requests that wait for a reply, in bytes.",
)
@click.option(
    "--shutdown-grace-seconds",
    default=30.0,
    show_default=True,
    help="Seconds that requests in progress may take to finish after a stop signal.",
)
def serve(model_dir: str | None, model_config_file: str | None, **options: Any) -> None:
    """Serve the exported model in MODEL_DIR, the folder of its numbered versions, until SIGTERM or Ctrl-C.

    The newest version is served. When a newer one is written, it replaces the old one without losing a request. This
    server is for laptops and tests. In production, run TensorFlow Serving on the same folder.

    \b
    Example:
      kerasbert serve exported --port 8501 --grpc-port 8500
      curl http://localhost:8501/v1/models/model:predict -d '{"instances": ["Where is my card?"]}'
    """
    from kerasbert.errors import BadInputError

    if (model_dir is None) == (model_config_file is None):
        raise click.UsageError("Use either MODEL_DIR or --model-config-file.", click.get_current_context())
    try:
        from kerasbert_serving.server import PortError, ServingError
        from kerasbert_serving.server import serve as run
    except ImportError as error:
        raise BadInputError(
            f'The server requires packages that are not installed ({error.name}). Run: pip install "kerasbert[serving]"'
        ) from error
    try:
        run(model_dir=model_dir, model_config_file=model_config_file, **options)
    except (PortError, ServingError, ValueError) as error:
        raise BadInputError(str(error)) from error
