"""`kerasbert embed`: writes one vector per text, as a NumPy file or as JSON lines."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from kerasbert.cli.options.settings_options import settings_options
from kerasbert.cli.options.table_options import format_of
from kerasbert.cli.options.text_options import read_given_texts, text_options
from kerasbert.cli.reading_progress import echo_precision, echo_warning
from kerasbert.settings import FormatSettings, InferenceSettings, TableSettings, settings_of

if TYPE_CHECKING:
    import numpy as np


@click.command()
@click.argument("model")
@text_options
@settings_options(TableSettings, "text_column", *settings_of(FormatSettings))
@click.option(
    "--output", "-o", type=click.Path(), help=".npy or .jsonl file to write. By default, JSONL on standard output."
)
@click.option(
    "--pooling",
    type=click.Choice(["mean", "cls", "max", "mean_sqrt_len", "weighted_mean", "last"]),
    help="Pooling method. By default, the one in the folder of a sentence-transformers model, otherwise mean.",
)
@click.option(
    "--normalize/--no-normalize", default=None, help="Scale vectors to length 1. By default, as the model specifies."
)
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Texts per batch.")
@settings_options(InferenceSettings)
def embed(
    model: str,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    text_column: str,
    output: str | None,
    pooling: str | None,
    normalize: bool | None,
    batch_size: int,
    precision: str,
    **file_format: Any,
) -> None:
    """Compute a vector for each of TEXTS, or for each text in files, with MODEL (a folder in any layout).

    A .npy file contains a float32 array [texts, vector size], in the order of the texts.

    \b
    Example:
      kerasbert embed all-MiniLM-L6-v2 "Where is my card?" "My card is lost."
      kerasbert embed all-MiniLM-L6-v2 --file questions.csv --text-column question --output vectors.npy
    """
    from kerasbert.data import ReadReport
    from kerasbert.recipes.embedding import embed as vectors_of
    from kerasbert.recipes.embedding import load_sentence_encoder

    if output and Path(output).suffix not in (".npy", ".jsonl"):
        raise click.BadParameter(f"must end in .npy or .jsonl. Received: '{output}'.", param_hint="--output")
    report = ReadReport()
    rows = read_given_texts(texts, files, text_column, None, report, format_of(file_format))
    encoder = load_sentence_encoder(model, pooling, normalize, precision, rows.texts)
    hidden = not sys.stderr.isatty()
    with tqdm(total=len(rows), unit="text", desc="Embedding", disable=hidden, leave=False) as bar:

        def blocks() -> Iterable["np.ndarray"]:
            for block in vectors_of(encoder, rows.texts, batch_size):
                yield block
                bar.update(len(block))

        _write(output, rows.texts, encoder.size, blocks())
    echo_warning(report)
    echo_precision(encoder.chosen)
    if output:
        click.echo(f"{len(rows)} vectors of {encoder.size} numbers: {output}")


def _write(output: str | None, texts: tuple[str, ...], size: int, blocks: Iterable["np.ndarray"]) -> None:
    """Writes the vectors of all texts, block by block, so that only one block is in memory."""
    import numpy as np

    from kerasbert.files import write_aside

    vectors = (vector for block in blocks for vector in block)
    if not output:
        for line in _json_lines(texts, vectors):
            click.echo(line)
        return
    with write_aside(output) as aside, aside.open("wb") as stream:
        if output.endswith(".npy"):
            header = {"descr": "<f4", "fortran_order": False, "shape": (len(texts), size)}
            np.lib.format.write_array_header_1_0(stream, header)
            stream.writelines(block.astype("<f4").tobytes() for block in blocks)
        else:
            stream.writelines(f"{line}\n".encode() for line in _json_lines(texts, vectors))


def _json_lines(texts: tuple[str, ...], vectors: Iterable["np.ndarray"]) -> Iterable[str]:
    """Yields one JSON object per text. Numbers have the fewest digits that give the same float32 when read back."""
    for text, vector in zip(texts, vectors, strict=True):
        yield json.dumps({"text": text, "embedding": [float(str(value)) for value in vector]}, ensure_ascii=False)
