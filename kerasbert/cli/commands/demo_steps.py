"""The demo's steps, one function each: what `kerasbert demo` calls in order.

The recipe is for a small model on two cores and a few minutes: a short corpus seen many times, no dropout until
fine-tuning, and learning rates far above those of a large BERT. Both trainings that the demo shows run as pipelines;
the model without pretraining, to compare with, is fine-tuned by the recipe that the pipeline's Trainer calls.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from kerasbert import checkpoints
from kerasbert.cli.commands.demo_served_answers import ask_grpc, ask_rest, served
from kerasbert.data import Labels, read_labelled
from kerasbert.data.pretraining.python_documentation import FRACTIONS, CorpusReport, write_python_documentation
from kerasbert.errors import BadInputError
from kerasbert.recipes import FineTuningSettings, RunFolder, fine_tune
from kerasbert.recipes.baseline_comparison import METRICS, linear_metrics, majority_metrics
from kerasbert.recipes.fine_tuning import FineTuned
from kerasbert.recipes.prediction import Classifier, predict
from kerasbert_pipelines import fine_tune as fine_tune_pipeline
from kerasbert_pipelines import pretrain as pretrain_pipeline
from kerasbert_pipelines.local.run_local import run
from kerasbert_pipelines.local.run_summary import RunSummary
from kerasbert_pipelines.settings import FineTuneSettings, PretrainSettings

PRETRAINED, FROM_NOTHING = "BERT, pretrained here", "BERT, not pretrained"
# Of fine-tuning. What suits a pretrained model need not suit one without, so the latter has its choice of two, by its
# validation metric.
LEARNING_RATE = 2e-3
FROM_NOTHING_RATES = (1e-3, 2e-3)
# A live answer and a served one may differ by this much.
TOLERANCE = 1e-5
# The same for both ways of fine-tuning.
_FINE_TUNING: dict[str, Any] = {"sequence_length": 128, "batch_size": 32, "dropout": 0.1}


@dataclass(frozen=True)
class Scale:
    """How long the demo trains."""

    pretraining_steps: int
    fine_tuning_epochs: int


FULL = Scale(pretraining_steps=4000, fine_tuning_epochs=5)
QUICK = Scale(pretraining_steps=20, fine_tuning_epochs=1)


@dataclass(frozen=True)
class DemoFolder:
    """What lies where under the demo's folder."""

    path: Path

    @property
    def corpus(self) -> Path:
        """Texts and tables."""
        return self.path / "corpus"

    def pipeline(self, name: str) -> Path:
        """Artifacts, metadata and logs of a pipeline; all seeds share them, and so what does not depend on the seed."""
        return self.path / "pipelines" / name

    def pushed(self, name: str, seed: int) -> Path:
        """The versions that a pipeline has pushed."""
        return self.path / f"seed-{seed}" / name

    def run(self, name: str, seed: int) -> RunFolder:
        """The folder of one training run outside of a pipeline."""
        return RunFolder(self.path / f"seed-{seed}" / name)


@dataclass(frozen=True)
class PipelineRun:
    """What a run of a pipeline left.

    Attributes:
        run: the training run's folder.
        metrics: on rows or text that training has not seen.
        pushed: the version that was pushed by this run or, where nothing has changed since, by an earlier one.
    """

    run: RunFolder
    metrics: dict[str, Any]
    pushed: Path


def make_corpus(folder: DemoFolder) -> CorpusReport:
    """Step 1: Python's own documentation, as text and as labelled tables."""
    report = write_python_documentation(folder.corpus)
    for part in report.documents:
        click.echo(
            f"  {part}: {report.documents[part]} documents, {report.sentences[part]} sentences, "
            f"{report.bytes[part] / 1e6:.2f} MB"
        )
    for part, labels in report.labels.items():
        click.echo(f"  labelled {part}: {sum(labels.values())} docstrings of {len(labels)} packages")
    click.echo(f"  exact duplicates removed: {report.duplicates_removed} of {report.docstrings} docstrings")
    return report


def run_pretraining(folder: DemoFolder, corpus: CorpusReport, seed: int, scale: Scale) -> PipelineRun:
    """Step 2: a vocabulary, then masked LM and next-sentence prediction, short sequences first."""
    settings = PretrainSettings(
        texts=str(corpus.texts["train"]),
        held_out_share=0.1,
        pipeline_root=str(folder.pipeline("pretrain")),
        push_folder=str(folder.pushed("pretrained", seed)),
        vocabulary_size=8000,
        vocabulary_min_count=1,
        model="bert-tiny",
        steps=scale.pretraining_steps,
        sequence_length=64,
        long_sequence_length=256,
        batch_size=32,
        learning_rate=2e-3,
        beta_2=0.98,
        dropout=0.0,
        validate_every=max(1, scale.pretraining_steps // 6),
        checkpoint_every=1000,
        seed=seed,
    )
    return _run(pretrain_pipeline.create_pipeline, settings, "PretrainingEvaluator")


def run_fine_tuning(folder: DemoFolder, seed: int, scale: Scale, pretrained: PipelineRun) -> PipelineRun:
    """Step 3: docstring -> package, from the pretrained model."""
    settings = FineTuneSettings(
        # The split by a hash of the text is the one by which the corpus keeps test rows out of pretraining's text.
        data=str(folder.corpus / "labelled_*.csv"),
        train_share=FRACTIONS["train"],
        validation_share=FRACTIONS["validation"],
        test_share=FRACTIONS["test"],
        start_from=str(pretrained.pushed),
        pipeline_root=str(folder.pipeline("fine-tune")),
        push_folder=str(folder.pushed("served", seed)),
        epochs=scale.fine_tuning_epochs,
        learning_rate=LEARNING_RATE,
        seed=seed,
        **_FINE_TUNING,
    )
    return _run(fine_tune_pipeline.create_pipeline, settings, "Trainer")


def _run(factory: Callable[[Any], Any], settings: Any, judge: str) -> PipelineRun:
    """Runs a pipeline and prints what each component did."""
    summary: RunSummary = run(factory, settings)
    for line in summary.table().splitlines():
        click.echo(f"  {line}")
    versions = sorted(Path(settings.push_folder).glob("[0-9]*"), key=lambda path: int(path.name))
    if not versions:
        raise BadInputError(
            f"The pipeline must push a model. Received: none in '{settings.push_folder}'. Its table says why."
        )
    folder = RunFolder(Path(summary["Trainer"].outputs["model_run"]))
    return PipelineRun(folder, summary[judge].metrics, versions[-1])


def fine_tune_from_nothing(
    folder: DemoFolder, corpus: CorpusReport, seed: int, scale: Scale, pretrained: PipelineRun
) -> FineTuned:
    """Step 4: the same model without pretraining, at the learning rate that does best on the validation rows."""
    results = []
    for rate in FROM_NOTHING_RATES:
        click.echo(f"  {FROM_NOTHING}, learning rate {rate}:")
        settings = FineTuningSettings(
            train=(str(corpus.labelled["train"]),),
            validation=(str(corpus.labelled["validation"]),),
            test=(str(corpus.labelled["test"]),),
            output=str(folder.run(f"fine-tune-from-nothing-{rate}", seed).path),
            model="bert-tiny",
            vocabulary=str(pretrained.pushed / "vocab.txt"),
            epochs=scale.fine_tuning_epochs,
            learning_rate=rate,
            seed=seed,
            **_FINE_TUNING,
        )
        results.append(fine_tune(settings))
    return max(results, key=lambda result: float(result.history.rows[-1]["accuracy"]))


def comparison_metrics(metrics: dict[str, Any]) -> dict[str, float]:
    """The metrics that the comparison shows."""
    return {name: float(metrics[name]) for name in METRICS}


def baselines(corpus: CorpusReport) -> dict[str, dict[str, float]]:
    """The metrics of the simpler models on the same rows."""
    train, test = (read_labelled(corpus.labelled[part]) for part in ("train", "test"))
    return {
        "majority class": majority_metrics(train, test),
        "TF-IDF + logistic regression": linear_metrics(train, test),
    }


def serve_and_ask(folder: DemoFolder, corpus: CorpusReport, tuned: PipelineRun) -> list[dict[str, Any]]:
    """Step 5: the pushed SavedModel, served, and asked over REST and gRPC.

    Raises:
        BadInputError: the server did not start, or an answer differs from the live model's.
    """
    click.echo(f"  SavedModel: {tuned.pushed}")
    test = read_labelled(corpus.labelled["test"])
    chosen = test.select(np.linspace(0, len(test) - 1, 4).astype(int).tolist())
    loaded = checkpoints.load(tuned.run.model)
    if loaded.text_to_inputs is None or not loaded.labels:
        raise BadInputError(f"'{tuned.run.model}' must hold a classifier with its vocabulary. Run the demo anew.")
    classifier = Classifier(loaded.model, loaded.text_to_inputs, Labels(loaded.labels))
    live = [(answer["label"], answer["probability"]) for answer in predict(classifier, chosen)]
    with served(tuned.pushed.parent, folder.path / "server.log") as addresses:
        status, rest = ask_rest(addresses, chosen.texts)
        grpc = ask_grpc(addresses, chosen.texts)
    click.echo(f"  REST at {addresses.rest}, gRPC at {addresses.grpc}: version {status.version} {status.state}")
    answers = []
    for text, expected, *ways in zip(chosen.texts, chosen.labels or (), live, rest, grpc, strict=True):
        answers.append(
            {
                "text": text,
                "expected": expected,
                **{
                    way: {"label": label, "probability": share}
                    for way, (label, share) in zip(("live", "rest", "grpc"), ways, strict=True)
                },
            }
        )
        _check_same(text, ways)
        shown = " ".join(text.split())
        click.echo(f"  {shown[:60] + ('…' if len(shown) > 60 else ''):62s} -> {ways[0][0]} ({expected})")
        click.echo(f"    live {ways[0][1]:.7f}   REST {ways[1][1]:.7f}   gRPC {ways[2][1]:.7f}")
    return answers


def _check_same(text: str, ways: list[tuple[str, float]]) -> None:
    """Refuses answers that differ."""
    (label, share), *others = ways
    for other_label, other_share in others:
        if other_label != label or abs(other_share - share) > TOLERANCE:
            raise BadInputError(
                f"Served answers must equal the live model's to {TOLERANCE}. Received: {ways} for {text[:80]!r}. "
                "Please report this as a bug."
            )
