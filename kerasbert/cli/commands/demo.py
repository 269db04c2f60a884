"""`kerasbert demo`: raw text -> two TFX pipelines (pretraining, fine-tuning) -> SavedModel -> server, with a report."""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerasbert.cli.options.option_types import SEED
from kerasbert.run_folder import REPORT

if TYPE_CHECKING:
    from kerasbert.cli.commands.demo_steps import DemoFolder, PipelineRun, Scale
    from kerasbert.data.pretraining.python_documentation import CorpusReport


@click.command()
@click.option(
    "--output", "-o", default="runs/demo", show_default=True, type=click.Path(), help="Folder for all outputs."
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=SEED,
    help="Random seed for initialization, data order, masking and dropout.",
)
@click.option("--seeds", help="Several seeds, e.g. 0,1,2. Trains with each seed and shows the spread of the metrics.")
@click.option("--quick", is_flag=True, help="Train for a few steps only. The metrics are then meaningless.")
def demo(output: str, seed: int, seeds: str | None, quick: bool) -> None:
    """Run all steps, from raw text to a served model, on Python's own documentation. Needs no download.

    If a demo was stopped, the same command resumes it. If it had finished, only the report is written again.

    \b
    Example:
      kerasbert demo --output runs/demo
    """
    numbers = _seeds(seeds) if seeds is not None else [seed]
    from kerasbert.cli.options.pipeline_settings import require_tfx

    require_tfx()
    from kerasbert.cli.commands.demo_steps import FULL, QUICK, DemoFolder, make_corpus

    scale = QUICK if quick else FULL
    folder = DemoFolder(Path(output))
    began = time.monotonic()
    with _step(1, "Corpus: Python's own documentation"):
        corpus = make_corpus(folder)
    if seeds is not None:
        _compare_seeds(folder, corpus, numbers, scale)
    else:
        _run_all_steps(folder, corpus, seed, scale)
    click.echo(f"Time: {time.monotonic() - began:.0f} s")
    if seeds is None:
        click.echo(f"Report: {(folder.path / REPORT).resolve()}")


def _run_all_steps(folder: "DemoFolder", corpus: "CorpusReport", seed: int, scale: "Scale") -> None:
    """Runs all steps with one seed and writes the report."""
    from kerasbert.cli.commands import demo_steps as steps

    with _step(2, "Pretraining pipeline: vocabulary, masked LM + next sentence"):
        pretrained = steps.run_pretraining(folder, corpus, seed, scale)
    with _step(3, "Fine-tuning pipeline: docstring -> package"):
        tuned = steps.run_fine_tuning(folder, seed, scale, pretrained)
    with _step(4, "Comparison with simpler models"):
        from_scratch = steps.fine_tune_from_scratch(folder, corpus, seed, scale, pretrained)
        metrics = {
            **steps.baselines(corpus),
            steps.FROM_SCRATCH: steps.comparison_metrics(from_scratch.metrics),
            steps.PRETRAINED: steps.comparison_metrics(tuned.metrics),
        }
    with _step(5, "Serving"):
        answers = steps.serve_and_ask(folder, corpus, tuned)
    with _step(6, "Report"):
        _write_report(folder, pretrained, tuned, metrics, answers)
    _print_metrics(pretrained.metrics, metrics)


def _compare_seeds(folder: "DemoFolder", corpus: "CorpusReport", seeds: list[int], scale: "Scale") -> None:
    """Pretrains and fine-tunes with each seed, and prints the gain from pretraining next to the spread of the seeds."""
    from kerasbert.cli.commands import demo_steps as steps

    runs: dict[str, list[dict[str, float]]] = {steps.PRETRAINED: [], steps.FROM_SCRATCH: []}
    for seed in seeds:
        with _step(2, f"Seed {seed}: pretraining"):
            pretrained = steps.run_pretraining(folder, corpus, seed, scale)
        with _step(3, f"Seed {seed}: fine-tuning"):
            tuned = steps.run_fine_tuning(folder, seed, scale, pretrained)
            runs[steps.PRETRAINED].append(steps.comparison_metrics(tuned.metrics))
        with _step(4, f"Seed {seed}: fine-tuning without pretraining"):
            from_scratch = steps.fine_tune_from_scratch(folder, corpus, seed, scale, pretrained)
            runs[steps.FROM_SCRATCH].append(steps.comparison_metrics(from_scratch.metrics))
    click.echo(f"\nOn the labelled test rows, seeds {', '.join(map(str, seeds))}:")
    for name, metrics in steps.baselines(corpus).items():
        click.echo(f"  {name:30s} accuracy {metrics['accuracy']:.4f}   macro F1 {metrics['macro_f1']:.4f}")
    for metric in ("accuracy", "macro_f1"):
        _print_spread(metric, {name: [row[metric] for row in rows] for name, rows in runs.items()})


def _print_spread(metric: str, values: Mapping[str, Sequence[float]]) -> None:
    """Prints a metric for every seed, and whether pretraining improves it by more than the seeds differ."""
    words = metric.replace("_", " ")
    for name, found in values.items():
        each = " ".join(f"{value:.4f}" for value in found)
        mean = statistics.fmean(found)
        click.echo(f"  {name:30s} {words:8s} {each}   mean {mean:.4f}, spread {max(found) - min(found):.4f}")
    with_it, without = map(statistics.fmean, values.values())
    spread = max(max(found) - min(found) for found in values.values())
    verdict = "more" if with_it - without > spread else "NOT more"
    click.echo(
        f"  Pretraining adds {with_it - without:+.4f} {words}, {verdict} than the spread between seeds ({spread:.4f})."
    )


def _write_report(
    folder: "DemoFolder",
    pretrained: "PipelineRun",
    tuned: "PipelineRun",
    metrics: Mapping[str, Mapping[str, float]],
    answers: list[dict[str, Any]],
) -> None:
    """Writes one page on both runs, with the comparison and the server's answers."""
    from kerasbert.recipes.baseline_comparison import comparison_table
    from kerasbert.reports import Report, add_run, read_run

    comparison = comparison_table(
        metrics, "Comparison with simpler models", "On the labelled test rows, which no model or vocabulary has seen."
    )
    run = read_run(tuned.run.path)
    run = dataclasses.replace(run, evaluation={**run.evaluation, "comparison": comparison, "answers": answers})
    report = Report("From raw text to a served BERT", "Python's own documentation, two cores, a few minutes")
    add_run(report, run, "Fine-tuning: which package does a docstring come from?")
    add_run(report, read_run(pretrained.run.path), "Pretraining: masked LM and next-sentence prediction")
    report.write(folder.path / REPORT)


def _print_metrics(pretraining: Mapping[str, Any], metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Prints the metrics of pretraining and of all classifiers."""
    click.echo("\nOn held-out text, which pretraining and the vocabulary have not seen:")
    for words, task in (("masked LM", "masked_lm"), ("next sentence", "next_sentence")):
        accuracy, loss = pretraining[f"{task}_accuracy"], pretraining[f"{task}_loss"]
        click.echo(f"  {words:30s} accuracy {accuracy:.4f}   loss     {loss:.4f}")
    click.echo("On the labelled test rows:")
    for name, row in metrics.items():
        click.echo(f"  {name:30s} accuracy {row['accuracy']:.4f}   macro F1 {row['macro_f1']:.4f}")


def _seeds(text: str) -> list[int]:
    """Parses whole numbers separated by commas."""
    try:
        return [SEED(int(part)) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(
            f"--seeds must be numbers separated by commas. Received: {text!r}. For example, 0,1,2."
        ) from error


@contextlib.contextmanager
def _step(number: int, title: str) -> Iterator[None]:
    """Prints a step's title, and how long it took."""
    click.echo(f"[{number}/6] {title}")
    began = time.monotonic()
    yield
    click.echo(f"  {time.monotonic() - began:.0f} s")
