"""Settings of pipelines that are compiled, with tiny data, for the tests of every backend."""

import csv
import random
from pathlib import Path
from typing import Any

from kerasbert_pipelines import fine_tune, pretrain
from kerasbert_pipelines.settings import FineTuneSettings, PretrainSettings

from .conftest import WORDS, documents, write_documents

IMAGE = "example.com/kerasbert-pipeline:cpu"
FACTORIES = {"pretrain": pretrain.create_pipeline, "fine-tune": fine_tune.create_pipeline}
TINY = {"batch_size": 8, "learning_rate": 5e-3, "dropout": 0.0, "checkpoint_every": 10, "show_progress": False}


def write_rows(path: Path, number: int = 90) -> Path:
    rng = random.Random(3)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(number):
            topic = rng.choice(sorted(WORDS))
            writer.writerow(["the " + " and the ".join(rng.sample(WORDS[topic], 3)) + ".", topic])
    return path


def compiled_settings(kind: str, folder: Path, config_file: Path, vocabulary_file: Path, **values: Any) -> Any:
    """Returns the settings of one pipeline, whose texts or rows are in `folder`."""
    shared = {"image": IMAGE, "pipeline_root": "gs://bucket/root", "model": str(config_file), **TINY}
    if kind == "pretrain":
        write_documents(folder / "texts" / "a.txt", documents(150))
        lengths = {"sequence_length": 24, "long_sequence_length": 48, "steps": 20, "vocabulary_size": 100}
        texts = {"texts": str(folder / "texts"), "dupe_factor": 2, "held_out_share": 0.2}
        return PretrainSettings(**{**shared, **lengths, **texts, **values})
    rows = write_rows(folder / "rows" / "rows.csv")
    start = {} if "start_from" in values else {"vocabulary": str(vocabulary_file)}
    return FineTuneSettings(
        **{**shared, **start, "data": str(rows.parent), "epochs": 2, "sequence_length": 24, **values}
    )
