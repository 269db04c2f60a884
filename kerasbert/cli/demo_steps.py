"""The demo's steps, one function each: what `kerasbert demo` calls in order.

The recipe is for a small model on two cores and a few minutes: a short corpus seen many times, no dropout until
fine-tuning, and learning rates far above those of a large BERT.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from kerasbert.cli.served_answers import ask_grpc, ask_rest, served
from kerasbert.data import read_labelled, read_lines
from kerasbert.data.python_documentation import CorpusReport, write_python_documentation
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import learn_vocabulary
from kerasbert.recipes import FineTuningSettings, PretrainingSettings, RunFolder, fine_tune, pretrain
from kerasbert.recipes.comparison import FIGURES, linear_figures, majority_figures
from kerasbert.recipes.exporting import export_model
from kerasbert.recipes.fine_tuning import FineTuned
from kerasbert.recipes.prediction import Classifier, predict
from kerasbert.recipes.pretraining import Pretrained

VOCABULARY_SIZE = 8000
# Of fine-tuning.
LEARNING_RATES = (1e-3, 2e-3)
PRETRAINED, FROM_NOTHING = "BERT, pretrained here", "BERT, not pretrained"
# A live answer and a served one may differ by this much.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Scale:
    """How long the demo trains."""

    pretraining_steps: int
    fine_tuning_epochs: int


FULL = Scale(pretraining_steps=4500, fine_tuning_epochs=5)
QUICK = Scale(pretraining_steps=20, fine_tuning_epochs=1)


@dataclass(frozen=True)
class DemoFolder:
    """What lies where under the demo's folder."""

    path: Path

    @property
    def corpus(self) -> Path:
        """Texts and tables."""
        return self.path / "corpus"

    @property
    def vocabulary(self) -> Path:
        """The vocabulary file."""
        return self.path / "vocab.txt"

    @property
    def exported(self) -> Path:
        """The SavedModel's versions."""
        return self.path / "exported"

    def run(self, name: str, seed: int) -> RunFolder:
        """The folder of one training run."""
        return RunFolder(self.path / f"seed-{seed}" / name)


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


def make_vocabulary(folder: DemoFolder, corpus: CorpusReport) -> None:
    """Step 2: word pieces, learned from the training text alone."""
    vocabulary = learn_vocabulary(read_lines(corpus.texts["train"]), VOCABULARY_SIZE, min_count=1)
    vocabulary.save(folder.vocabulary)
    click.echo(f"  {len(vocabulary)} word pieces: {folder.vocabulary}")


def run_pretraining(folder: DemoFolder, corpus: CorpusReport, seed: int, scale: Scale) -> Pretrained:
    """Step 3: masked LM and next-sentence prediction, short sequences first."""
    return pretrain(
        PretrainingSettings(
            texts=(str(corpus.texts["train"]),),
            held_out=(str(corpus.texts["held_out"]),),
            output=str(folder.run("pretrain", seed).path),
            vocabulary=str(folder.vocabulary),
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
    )


def run_fine_tuning(
    folder: DemoFolder, corpus: CorpusReport, seed: int, scale: Scale, pretrained: Path | None
) -> FineTuned:
    """Step 4: docstring -> package, from the pretrained model or from nothing, with the same settings.

    Of the learning rates, the one that does best on the validation rows counts: what suits a pretrained model need not
    suit one without.
    """
    begin: dict[str, Any] = (
        {"start_from": str(pretrained)} if pretrained else {"model": "bert-tiny", "vocabulary": str(folder.vocabulary)}
    )
    name = "fine-tune" if pretrained else "fine-tune-from-nothing"
    results = []
    for rate in LEARNING_RATES:
        click.echo(f"  {PRETRAINED if pretrained else FROM_NOTHING}, learning rate {rate}:")
        settings = FineTuningSettings(
            train=(str(corpus.labelled["train"]),),
            validation=(str(corpus.labelled["validation"]),),
            test=(str(corpus.labelled["test"]),),
            output=str(folder.run(f"{name}-{rate}", seed).path),
            sequence_length=128,
            batch_size=32,
            epochs=scale.fine_tuning_epochs,
            learning_rate=rate,
            dropout=0.1,
            seed=seed,
            **begin,
        )
        results.append(fine_tune(settings))
    return max(results, key=lambda result: float(result.history.rows[-1]["accuracy"]))


def comparison_figures(tuned: FineTuned) -> dict[str, float]:
    """A fine-tuned model's figures that the comparison shows."""
    return {name: float(tuned.metrics[name]) for name in FIGURES}


def baselines(corpus: CorpusReport) -> dict[str, dict[str, float]]:
    """The figures of the simpler models on the same rows."""
    train, test = (read_labelled(corpus.labelled[part]) for part in ("train", "test"))
    return {
        "majority class": majority_figures(train, test),
        "TF-IDF + logistic regression": linear_figures(train, test),
    }


def serve_and_ask(folder: DemoFolder, corpus: CorpusReport, tuned: FineTuned) -> list[dict[str, Any]]:
    """Steps 5 and 6: one SavedModel, served, and asked over REST and gRPC.

    Raises:
        BadInputError: the server did not start.
        RuntimeError: an answer differs from the live model's.
    """
    version = export_model(tuned.folder.model, folder.exported, min_serving_version="2.12")
    click.echo(f"  SavedModel: {version}")
    test = read_labelled(corpus.labelled["test"])
    chosen = test.select(np.linspace(0, len(test) - 1, 4).astype(int).tolist())
    live = [
        (answer["label"], answer["probability"])
        for answer in predict(Classifier(tuned.model, tuned.text_to_inputs, tuned.labels), chosen)
    ]
    with served(folder.exported, folder.path / "server.log") as addresses:
        status, rest = ask_rest(addresses, chosen.texts)
        grpc = ask_grpc(addresses, chosen.texts)
    click.echo(f"  REST at {addresses.rest}, gRPC at {addresses.grpc}: version {status['version']} {status['state']}")
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
