"""Small labelled tables on three topics, and a tiny model to start from, for the tests of fine-tuning."""

import csv
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.metrics

from kerasbert import checkpoints
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone
from kerasbert.preprocessing import TextToInputs
from kerasbert_pipelines.local.run_summary import RunSummary
from kerasbert_pipelines.settings import FineTuneSettings
from kerasbert_tfx.evaluation.ranking_metrics import log_odds_steps

from .conftest import WORDS

TOPICS = tuple(WORDS)
FineTuned = tuple[FineTuneSettings, RunSummary]
FINE_TUNE_COMPONENTS = {
    "LabelledExampleGen",
    "StatisticsGen",
    "LabelledSchemaGen",
    "ExampleValidator",
    "DataCheck",
    "StartModel",
    "Trainer",
    "ComparingEvaluator",
    "SkewCheck",
    "ModelPusher",
}


def sentence(topics: Iterable[str], rng: random.Random) -> str:
    """Returns one word of each topic."""
    return "the " + " and the ".join(rng.choice(WORDS[topic]) for topic in topics) + "."


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Writes a CSV or TSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def topic_rows(number: int, seed: int = 1) -> list[tuple[str, str]]:
    """Returns texts of two to eight words on one topic, each with its topic."""
    rng = random.Random(seed)
    topics = [rng.choice(TOPICS) for _ in range(number)]
    return [(sentence([topic] * rng.randint(2, 8), rng), topic) for topic in topics]


def save_tiny_model(folder: Path, preprocessing: Path, seed_size: int = 16) -> Path:
    """Saves an encoder with random weights and the topics' vocabulary."""
    to_inputs = TextToInputs.load(preprocessing, sequence_length=32)
    config = BertConfig(
        vocab_size=len(to_inputs.vocabulary),
        hidden_size=seed_size,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * seed_size,
        max_position_embeddings=32,
    )
    checkpoints.save(BertBackbone.from_config(config), folder, text_to_inputs=to_inputs)
    return folder


def fine_tune_settings(folder: Path, data: Path, start_from: Path, **values: Any) -> FineTuneSettings:
    """Returns settings of a run that takes seconds and clearly beats chance."""
    return FineTuneSettings(
        **{
            "data": str(data),
            "start_from": str(start_from),
            "pipeline_root": str(folder / "root"),
            "push_folder": str(folder / "pushed"),
            "sequence_length": 32,
            "batch_size": 16,
            "learning_rate": 1e-2,
            "dropout": 0.0,
            "epochs": 4,
            "train_share": 0.7,
            "validation_share": 0.1,
            "test_share": 0.2,
            "infra_validator": "no",
            "show_progress": False,
            **values,
        }
    )


def auc_and_its_bound(flags: np.ndarray, probabilities: np.ndarray) -> tuple[float, float, float]:
    """Computes the area under the ROC curve with scikit-learn, and the tolerance for the evaluation's value.

    The evaluation counts probabilities within one step of the log-odds as equal, and a model's last digits depend on
    the batch size. Both affect only pairs of a right and a wrong answer with nearly equal probabilities.

    Returns:
        The arguments of `pytest.approx`: the area, a relative tolerance of 0 and an absolute tolerance.
    """
    is_right, scores = np.ravel(flags).astype(bool), np.ravel(probabilities).astype(np.float64)
    right, wrong = scores[is_right, None], scores[None, ~is_right]
    is_near = abs(log_odds_steps(right) - log_odds_steps(wrong)) <= 2
    is_saturated = (np.minimum(right, wrong) > 0.5) & (abs(right - wrong) < 1e-6)
    return sklearn.metrics.roc_auc_score(is_right, scores), 0.0, float((is_near | is_saturated).mean()) + 1e-9
