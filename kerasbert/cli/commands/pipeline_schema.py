"""`kerasbert pipeline schema`: prints the JSON schema of a pipeline's settings file, for editors."""

import click

from kerasbert.cli.options.pipeline_settings import KINDS


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--output", "-o", type=click.Path(), help="File to write. By default, standard output.")
def schema(kind: str, output: str | None) -> None:
    """Print the JSON schema of a pipeline's YAML file. Editors use it to complete and check settings.

    \b
    Example:
      kerasbert pipeline schema fine-tune --output fine-tune.schema.json
    """
    from kerasbert.cli.reference import pipeline_schema
    from kerasbert.files import write_aside

    text = pipeline_schema(kind)
    if output is None:
        click.echo(text, nl=False)
        return
    with write_aside(output) as aside:
        aside.write_text(text, encoding="utf-8")
    click.echo(f"Schema: {output}")
