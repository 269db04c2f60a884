"""`kerasbert export`: writes a model folder as a SavedModel that takes raw strings, or for another runtime."""

from pathlib import Path
from typing import Any

import click

from kerasbert.cli.options.settings_options import settings_options
from kerasbert.settings import ExportSettings

_COUNT = click.IntRange(min=1)
_SAVED_MODEL = "saved_model"
# The parameters that every format has.
_SHARED = ("model", "folder", "format", "sequence_length")


@click.command()
@click.argument("model")
@click.argument("folder")
@click.option(
    "--format",
    "format",
    type=click.Choice([_SAVED_MODEL, "onnx", "openvino", "litert"]),
    default=_SAVED_MODEL,
    show_default=True,
    help="Format to write. All but the SavedModel take token ids, and allow --sequence-length only.",
)
@click.option("--version", type=_COUNT, help="Version number, higher than all existing ones. By default, the next one.")
@click.option(
    "--min-serving-version",
    help="Oldest version of TF Serving to support, e.g. 2.12. Fails if the model needs an op that it does not have.",
)
@settings_options(ExportSettings)
@click.option(
    "--sequence-length",
    type=click.IntRange(min=3),  # [CLS] and two [SEP]
    help="Maximum number of tokens of a row. By default, as the model was trained.",
)
@click.option("--model-card", type=click.Path(), help="JSON file with facts for the model card: data, metrics, limits.")
@click.option(
    "--warm-up-length",
    "lengths",
    type=_COUNT,
    multiple=True,
    help="Tokens of a warm-up request. By default, 8, 32 and 128. May be repeated.",
)
@click.option(
    "--warm-up-batch-size",
    "batch_sizes",
    type=_COUNT,
    multiple=True,
    help="Texts of a warm-up request. By default, 1 and 8. May be repeated.",
)
@click.option("--no-warm-up", is_flag=True, help="Write no warm-up requests.")
@click.option(
    "--text-feature", help="Feature of a tf.Example that holds the text. By default, the name of the signature's input."
)
@click.option("--pair-feature", help="Feature of a tf.Example that holds the second text.")
def export(
    model: str,
    folder: str,
    format: str,
    model_card: str | None,
    lengths: tuple[int, ...],
    batch_sizes: tuple[int, ...],
    no_warm_up: bool,
    **options: Any,
) -> None:
    """Write MODEL (a folder that kerasbert can load) as FOLDER/<version>, a SavedModel that takes raw strings.

    The version's folder appears complete or not at all, so a server can watch FOLDER. Both TF Serving and `kerasbert
    serve` serve it unchanged.

    In another --format, write a complete model folder in Hugging Face's layout instead, with the graph from token ids
    to answers as FOLDER/onnx/model.onnx, FOLDER/openvino/openvino_model.xml or FOLDER/litert/model.tflite. The graph is
    compared with the model before the folder appears.

    \b
    Example:
      kerasbert export runs/fine-tune/model exported --min-serving-version 2.12
      kerasbert export runs/fine-tune/model exported-onnx --format onnx
    """
    if format != _SAVED_MODEL:
        _export_graph(model, folder, format, options["sequence_length"])
        return
    from kerasbert.export import WarmUp
    from kerasbert.export.model_card import stored_precision
    from kerasbert.recipes.exporting import export_model

    default = WarmUp()
    warm_up = WarmUp(lengths or default.lengths, batch_sizes or default.batch_sizes)
    path = export_model(
        model, folder, model_card=_read_card(model_card), warm_up=None if no_warm_up else warm_up, **options
    )
    click.echo(f"SavedModel: {path}")
    if options["precision"] != "float32":
        click.echo(f"Precision {stored_precision(path)}.", err=True)


def _export_graph(model: str, folder: str, format: str, sequence_length: int | None) -> None:
    """Write the model for another runtime. Options of SavedModels are usage errors."""
    context = click.get_current_context()
    given = [
        param.opts[0]
        for param in context.command.params
        if param.name not in _SHARED
        and context.get_parameter_source(str(param.name)) is not click.core.ParameterSource.DEFAULT
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)} can be used only with --format {_SAVED_MODEL}.", context)
    from kerasbert.recipes.exporting import export_graph

    path = export_graph(model, folder, format, sequence_length=sequence_length)
    click.echo(f"Model folder: {path}")


def _read_card(path: str | None) -> dict[str, Any]:
    """The facts in a JSON file."""
    import json

    from kerasbert.errors import BadInputError

    if path is None:
        return {}
    try:
        card = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInputError(f"'{path}' must be JSON. Received: {error}. Correct the file.") from error
    if not isinstance(card, dict):
        raise BadInputError(
            f"'{path}' must contain a JSON object. Received: {type(card).__name__}. For example, {{\"data\": ...}}."
        )
    return card
