"""The steps of `kerasbert demo`, one function each, in the order in which they run.

The settings suit a small model that is trained for a few minutes on two cores: many passes over a short corpus, no
dropout in pretraining, and learning rates far above those of a large BERT. Pretraining and fine-tuning run as
pipelines. The baseline without pretraining is fine-tuned by the recipe that the pipeline's Trainer calls.
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

PRETRAINED, FROM_SCRATCH = "BERT, pretrained here", "BERT, not pretrained"
# Learning rates of fine-tuning. A model without pretraining may need a different rate than a pretrained one, so two are
# tried, and its validation accuracy decides.
LEARNING_RATE = 2e-3
FROM_SCRATCH_RATES = (1e-3, 2e-3)
# Maximum difference between a probability of the model in memory and that of the served model.
TOLERANCE = 1e-5
# Settings that fine-tuning with and without pretraining share.
_FINE_TUNING: dict[str, Any] = {"sequence_length": 128, "batch_size": 32, "dropout": 0.1}


@dataclass(frozen=True)
class Scale:
    """How long the demo trains: pretraining in steps, fine-tuning in epochs."""

    pretraining_steps: int
    fine_tuning_epochs: int


FULL = Scale(pretraining_steps=4000, fine_tuning_epochs=5)
QUICK = Scale(pretraining_steps=20, fine_tuning_epochs=1)


@dataclass(frozen=True)
class DemoFolder:
    """Layout of the demo's folder."""

    path: Path

    @property
    def corpus(self) -> Path:
        """Folder of the texts and tables."""
        return self.path / "corpus"

    def pipeline(self, name: str) -> Path:
        """Folder of a pipeline's artifacts and metadata. Seeds share it, so steps that ignore the seed are cached."""
        return self.path / "pipelines" / name

    def pushed(self, name: str, seed: int) -> Path:
        """Folder of the versions that a pipeline has pushed."""
        return self.path / f"seed-{seed}" / name

    def run(self, name: str, seed: int) -> RunFolder:
        """Folder of one training run outside a pipeline."""
        return RunFolder(self.path / f"seed-{seed}" / name)


@dataclass(frozen=True)
class PipelineRun:
    """Results of a pipeline's run.

    Attributes:
        run: Folder of the training run.
        metrics: Metrics on rows or text that training has not seen.
        pushed: Folder of the version that this run pushed or, if nothing has changed, that an earlier run pushed.
    """

    run: RunFolder
    metrics: dict[str, Any]
    pushed: Path


def make_corpus(folder: DemoFolder) -> CorpusReport:
    """Step 1: writes Python's own documentation as text and as labelled tables."""
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
    """Step 2: learns a vocabulary and pretrains, first on short and then on long sequences."""
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
    """Step 3: fine-tunes the pretrained model to predict the package that a docstring comes from."""
    settings = FineTuneSettings(
        # The pipeline splits rows by a hash of their text, as the corpus does. So no test row is in pretraining's text.
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
    """Runs a pipeline and prints what each component did.

    Raises:
        BadInputError: If no model was pushed.
    """
    summary: RunSummary = run(factory, settings)
    for line in summary.table().splitlines():
        click.echo(f"  {line}")
    versions = sorted(Path(settings.push_folder).glob("[0-9]*"), key=lambda path: int(path.name))
    if not versions:
        raise BadInputError(
            f"The pipeline must push a model. Received: no version in '{settings.push_folder}'. The table above shows "
            "which component did not succeed. Fix the cause and run the demo again."
        )
    folder = RunFolder(Path(summary["Trainer"].outputs["model_run"]))
    return PipelineRun(folder, summary[judge].metrics, versions[-1])


def fine_tune_from_scratch(
    folder: DemoFolder, corpus: CorpusReport, seed: int, scale: Scale, pretrained: PipelineRun
) -> FineTuned:
    """Step 4: fine-tunes the same model from random weights, and returns the run with the best validation accuracy."""
    results = []
    for rate in FROM_SCRATCH_RATES:
        click.echo(f"  {FROM_SCRATCH}, learning rate {rate}:")
        settings = FineTuningSettings(
            train=(str(corpus.labelled["train"]),),
            validation=(str(corpus.labelled["validation"]),),
            test=(str(corpus.labelled["test"]),),
            output=str(folder.run(f"fine-tune-from-scratch-{rate}", seed).path),
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
    """Returns the metrics that the comparison shows."""
    return {name: float(metrics[name]) for name in METRICS}


def baselines(corpus: CorpusReport) -> dict[str, dict[str, float]]:
    """Returns the metrics of simpler models on the same rows."""
    train, test = (read_labelled(corpus.labelled[part]) for part in ("train", "test"))
    return {
        "majority class": majority_metrics(train, test),
        "TF-IDF + logistic regression": linear_metrics(train, test),
    }


def serve_and_ask(folder: DemoFolder, corpus: CorpusReport, tuned: PipelineRun) -> list[dict[str, Any]]:
    """Step 5: serves the pushed SavedModel and compares its answers over REST and gRPC with the model in memory.

    Raises:
        BadInputError: If the server does not start, or an answer differs from that of the model in memory.
    """
    click.echo(f"  SavedModel: {tuned.pushed}")
    test = read_labelled(corpus.labelled["test"])
    chosen = test.select(np.linspace(0, len(test) - 1, 4).astype(int).tolist())
    loaded = checkpoints.load(tuned.run.model)
    if loaded.text_to_inputs is None or not loaded.labels:
        raise BadInputError(
            f"'{tuned.run.model}' must contain a classifier with its vocabulary. Received: a model without them. Use "
            "another `--output` folder."
        )
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
    """Raises `BadInputError` if an answer differs from the first one, which is that of the model in memory."""
    (label, share), *others = ways
    for other_label, other_share in others:
        if other_label != label or abs(other_share - share) > TOLERANCE:
            raise BadInputError(
                f"Served probabilities must equal those of the model in memory to within {TOLERANCE}. Received: {ways} "
                f"for {text[:80]!r}. Please report this as a bug."
            )
