"""`kerasbert report`: writes a run's metrics and curves as one HTML page."""

import click


@click.command()
@click.argument("run")
@click.option("--output", "-o", type=click.Path(), help="File to write. By default, report.html in the run's folder.")
@click.option("--title", default="", help="Heading of the page.")
def report(run: str, output: str | None, title: str) -> None:
    """Write the metrics and curves of RUN (the folder of `pretrain` or `fine-tune`) as one self-contained HTML page.

    \b
    Example:
      kerasbert report runs/fine-tune
    """
    from kerasbert.reports import write_run_report

    click.echo(f"Report: {write_run_report(run, output, title)}")
