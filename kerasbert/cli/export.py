"""`kerasbert export`: a model folder as a SavedModel that takes raw strings."""

import click


@click.command()
@click.argument("model")
@click.argument("folder")
@click.option("--version", type=click.IntRange(min=1), help="Above those that are there. By default the next one.")
def export(model: str, folder: str, version: int | None) -> None:
    """Write MODEL (a folder, ours or Hugging Face's) as FOLDER/<version>, a SavedModel that takes raw strings.

    It appears whole or not at all, so a server that watches FOLDER takes it up safely. TF Serving and `kerasbert
    serve` serve it as it is.

    \b
    Example:
      kerasbert export runs/fine-tune/model exported
    """
    from kerasbert import checkpoints
    from kerasbert import export as exporting
    from kerasbert.errors import BadInputError

    loaded = checkpoints.load(model)
    if loaded.text_to_inputs is None:
        raise BadInputError(
            f"Export needs the model's vocabulary. Received: '{model}' without one. Copy its vocab.txt there."
        )
    path = exporting.save(loaded.model, loaded.text_to_inputs, folder, labels=loaded.labels, version=version)
    click.echo(f"SavedModel: {path}")
