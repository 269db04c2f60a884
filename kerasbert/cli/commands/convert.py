"""`kerasbert convert`: writes a checkpoint in another layout and verifies that weights and outputs are unchanged."""

import sys

import click
from tqdm import tqdm


@click.command()
@click.argument("source")
@click.argument("destination")
@click.option(
    "--to",
    "layout",
    default="hugging_face",
    show_default=True,
    type=click.Choice(["hugging_face", "google_tf1", "keras_hub", "kerasbert"]),
    help="Layout to write.",
)
def convert(source: str, destination: str, layout: str) -> None:
    """Write the checkpoint at SOURCE, of any layout, into the folder DESTINATION in another layout.

    Before the new folder gets its final name, it is loaded back: all weights are compared bit by bit, and the largest
    difference of each layer's output on a fixed input is printed. If the models differ, nothing is written.

    \b
    Example:
      kerasbert convert uncased_L-12_H-768_A-12 bert-base --to hugging_face
      kerasbert convert runs/pretrain/model bert-google --to google_tf1
    """
    from kerasbert import checkpoints

    with tqdm(total=4, unit="step", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(step: str) -> None:
            bar.set_description(step)
            bar.update()

        report = checkpoints.convert(source, destination, layout, progress=show)
    click.echo(str(report))
