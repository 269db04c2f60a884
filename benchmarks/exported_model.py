"""Compares the speed of an exported model with that of the model in memory.

The variants run alternately, so a busy machine slows all of them equally. The medians in milliseconds are written to
standard output as one JSON object. Nothing is asserted.

* `live`: the Keras model in a tf.function, on token ids.
* `token_ids`, `text`: the exported signatures. The difference between them is the tokenizer.
* `frozen text`: the text signature with its weights as constants, to see how much that would save.
* `fixed padding`: the live model on ids that are always padded to the full length.

    python -m benchmarks.exported_model --layers 6 --hidden 384 --rounds 20
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from kerasbert import export
from kerasbert.config import BertConfig
from kerasbert.models import BertBackbone, BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

LENGTH = 128
# The number of tokens of each text in the batch.
CASES = {
    "1 text of 16": [16],
    "1 text of 128": [128],
    "8 texts of 16": [16] * 8,
    "32 texts of 32": [32] * 32,
    "31 texts of 8 and one of 128": [8] * 31 + [128],
}


def make_model(layers: int, hidden: int) -> tuple[BertSequenceClassifier, TextToInputs]:
    """Make a classifier with random weights and a vocabulary of the usual size."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(30000)), "##x"]
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(hidden // 64, 1),
        intermediate_size=4 * hidden,
    )
    model = BertSequenceClassifier(BertBackbone.from_config(config), num_labels=10)
    return model, TextToInputs(WordPieceTokenizer(Vocabulary(pieces)), sequence_length=LENGTH)


def variants(
    model: Any, text_to_inputs: TextToInputs, signatures: Any, texts: tf.Tensor
) -> dict[str, Callable[[], Any]]:
    """The functions to time, by name."""
    inputs = text_to_inputs(texts)
    fixed = TextToInputs(text_to_inputs.tokenizer, LENGTH, padding="fixed")(texts)
    specs = [{name: tf.TensorSpec([None, None], tf.int32) for name in inputs}]
    live = tf.function(lambda values: model(values, training=False), input_signature=specs)
    frozen = convert_variables_to_constants_v2(signatures["text"])
    return {
        "live": lambda: live(inputs),
        "token_ids": lambda: signatures["token_ids"](**inputs),
        "text": lambda: signatures["text"](text=texts),
        "frozen text": lambda: frozen(texts),
        "fixed padding": lambda: live(fixed),
    }


def medians(timed: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each variant. The variants take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for round_number in range(rounds + 2):
        for name, run in timed.items():
            begin = time.perf_counter()
            tf.nest.map_structure(lambda tensor: tensor.numpy(), run())
            if round_number >= 2:
                seconds[name].append(time.perf_counter() - begin)
    return {name: round(statistics.median(values) * 1000, 3) for name, values in seconds.items()}


def main() -> None:
    """Export a model, time it and print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    model, text_to_inputs = make_model(arguments.layers, arguments.hidden)
    metrics: dict[str, Any] = {"layers": arguments.layers, "hidden": arguments.hidden}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        path = export.save(model, Path(folder), text_to_inputs)
        metrics["export seconds"] = round(time.perf_counter() - begin, 2)
        metrics["graph megabytes"] = round((path / "saved_model.pb").stat().st_size / 1e6, 2)
        begin = time.perf_counter()
        module = tf.saved_model.load(str(path))
        metrics["load seconds"] = round(time.perf_counter() - begin, 2)
        for name, tokens in CASES.items():
            texts = tf.constant([" ".join(f"w{place}" for place in range(count - 2)) for count in tokens])
            timed = variants(model, text_to_inputs, module.signatures, texts)
            metrics[name] = medians(timed, arguments.rounds)
    json.dump(metrics, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
