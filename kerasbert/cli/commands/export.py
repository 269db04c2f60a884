"""`kerasbert export`: a model folder as a SavedModel that takes raw strings."""

from pathlib import Path
from typing import Any

import click

_COUNT = click.IntRange(min=1)


@click.command()
@click.argument("model")
@click.argument("folder")
@click.option("--version", type=_COUNT, help="Above those that are there. By default the next one.")
@click.option("--min-serving-version", help="Refuse ops that this TF Serving does not link, such as 2.12.")
@click.option(
    "--sequence-length",
    type=click.IntRange(min=3),  # [CLS] and two [SEP]
    help="Most tokens of a row. By default as the model was trained.",
)
@click.option(
    "--model-card", type=click.Path(), help="A JSON object: data, metrics, limits and more for the model card."
)
@click.option("--warm-up-length", "lengths", type=_COUNT, multiple=True, help="Tokens; more than once. 8, 32, 128.")
@click.option("--warm-up-batch-size", "batch_sizes", type=_COUNT, multiple=True, help="Texts; more than once. 1, 8.")
@click.option("--no-warm-up", is_flag=True, help="Write no warm-up requests.")
@click.option("--text-feature", help="Of tf.Examples: the feature with the text, when not its signature's own name.")
@click.option("--pair-feature", help="Of tf.Examples: the feature with the second text.")
def export(
    model: str,
    folder: str,
    model_card: str | None,
    lengths: tuple[int, ...],
    batch_sizes: tuple[int, ...],
    no_warm_up: bool,
    **options: Any,
) -> None:
    """Write MODEL (a folder that kerasbert can load) as FOLDER/<version>, a SavedModel that takes raw strings.

    It appears whole or not at all, so a server that watches FOLDER takes it up safely. TF Serving and `kerasbert
    serve` serve it as it is.

    \b
    Example:
      kerasbert export runs/fine-tune/model exported --min-serving-version 2.12
    """
    from kerasbert.export import WarmUp
    from kerasbert.recipes.exporting import export_model

    default = WarmUp()
    warm_up = WarmUp(lengths or default.lengths, batch_sizes or default.batch_sizes)
    path = export_model(
        model, folder, model_card=_read_card(model_card), warm_up=None if no_warm_up else warm_up, **options
    )
    click.echo(f"SavedModel: {path}")


def _read_card(path: str | None) -> dict[str, Any]:
    """The facts in a JSON file."""
    import json

    from kerasbert.errors import BadInputError

    if path is None:
        return {}
    try:
        card = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInputError(f"'{path}' must be JSON. Received: {error}. Mend the file.") from error
    if not isinstance(card, dict):
        raise BadInputError(
            f"'{path}' must hold a JSON object. Received: {type(card).__name__}. Write such as {{\"data\": ...}}."
        )
    return card
