"""`kerasbert vocabulary`: learns word pieces from plain text."""

import click

from kerasbert.cli.reading_progress import reading_progress


@click.command()
@click.argument("texts", nargs=-1, required=True)
@click.option("--output", "-o", required=True, type=click.Path(), help="The file to write, one piece a line.")
@click.option("--size", default=30522, show_default=True, type=click.IntRange(min=7), help="Word pieces at most.")
@click.option("--cased", is_flag=True, help="Keep capitals and accents.")
@click.option("--strip-accents/--keep-accents", default=None, help="By default stripped, unless --cased.")
@click.option("--min-count", default=2, show_default=True, type=click.IntRange(min=1), help="Rarer pieces are out.")
def vocabulary(
    texts: tuple[str, ...], output: str, size: int, cased: bool, strip_accents: bool | None, min_count: int
) -> None:
    """Learn a word-piece vocabulary from TEXTS: plain-text files, folders or patterns, plain or gzipped.

    The same text gives the same vocabulary.

    \b
    Example:
      kerasbert vocabulary corpus.txt --size 8000 --output vocab.txt
    """
    from kerasbert.data import read_lines
    from kerasbert.preprocessing import learn_vocabulary

    with reading_progress(texts, "Reading") as (report, progress):
        learned = learn_vocabulary(
            read_lines(texts, report, progress),
            size,
            lower_case=not cased,
            strip_accents=strip_accents,
            min_count=min_count,
        )
    learned.save(output)
    click.echo(f"{len(learned)} word pieces from {report.lines} lines: {output}")
