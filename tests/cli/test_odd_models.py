"""Models whose files differ from the usual form in ways that change no number, from command to command.

Each is the same encoder as the plain one, so every command must give what it gives for the plain one.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from kerasbert.checkpoints import load, save
from kerasbert.config import BertConfig
from kerasbert.data import LabelledTexts
from kerasbert.models import BertBackbone
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.recipes import FineTuningSettings, fine_tune
from kerasbert.recipes.prediction import load_classifier, predict

Command = Callable[..., object]

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "saw", "nail", "is", "here"]
EMBEDDING = "embeddings.word_embeddings.weight"
TEXTS = ["the cat is here", "the nail", "the saw is", "dog"]
Weights = dict[str, np.ndarray]


def padded(weights: Weights, lines: list[str]) -> tuple[Weights, list[str]]:
    """More rows than pieces."""
    table = weights[EMBEDDING]
    return {**weights, EMBEDDING: np.concatenate([table, np.full((4, table.shape[1]), 50, np.float32)])}, lines


def wrapped(weights: Weights, lines: list[str]) -> tuple[Weights, list[str]]:
    """Names as `torch.compile` around `DataParallel` in another model's attribute gives them."""
    return {f"_orig_mod.module.net.{name}": array for name, array in weights.items()}, lines


def with_odd_lines(weights: Weights, lines: list[str]) -> tuple[Weights, list[str]]:
    """Blank lines, and a piece twice, whose last line counts."""
    odd = {5: "", 6: "cat", 8: " ", 10: "\u3000", 12: "\u2028"}
    rows = list(weights[EMBEDDING])
    lines = list(lines)
    for index, line in odd.items():
        lines.insert(index, line)
        rows.insert(index, np.full(rows[0].shape, 50, np.float32))
    return {**weights, EMBEDDING: np.stack(rows)}, lines


def without_pooler(weights: Weights, lines: list[str]) -> tuple[Weights, list[str]]:
    """An encoder without its pooler."""
    return {name: array for name, array in weights.items() if not name.startswith("pooler.")}, lines


def with_odd_files(weights: Weights, lines: list[str]) -> tuple[Weights, list[str]]:
    """All of these at once."""
    return wrapped(*padded(*with_odd_lines(weights, lines)))


ODD = [with_odd_files, without_pooler]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a very small encoder without our own settings file, as other tools write it."""
    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    model = BertBackbone.from_config(config)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if "seed_generator" not in variable.path:
            variable.assign(generator.normal(0.5, 0.4, tuple(variable.shape)))
    to_inputs = TextToInputs(WordPieceTokenizer(Vocabulary(PIECES)), sequence_length=16)
    folder = save(model, tmp_path_factory.mktemp("models") / "plain", to_inputs)
    (folder / "preprocessing.json").unlink()
    return folder


@pytest.fixture(scope="module")
def make_odd(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable], Path]:
    """Writes the plain model with a change, whose function is given."""

    def make(change: Callable) -> Path:
        folder = tmp_path_factory.mktemp("odd") / "model"
        folder.mkdir()
        weights, lines = change(load_file(plain / "model.safetensors"), PIECES)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        config = json.loads((plain / "config.json").read_text())
        rows = next(array for name, array in weights.items() if name.endswith(EMBEDDING)).shape[0]
        (folder / "config.json").write_text(json.dumps({**config, "vocab_size": rows}))
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
        return folder

    return make


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    lines = [f"{text} {word},{label}\n" for text in TEXTS for word, label in (("cat", "a"), ("saw", "t"), ("dog", "a"))]
    path.write_text("text,label\n" + "".join(lines))
    return path


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("documents") / "text.txt"
    path.write_text("\n\n".join("\n".join([text, other]) for text in TEXTS for other in TEXTS) + "\n")
    return path


def fine_tuned(command: Command, model: Path, rows: Path, output: Path) -> Path:
    """The model folder of a short run."""
    options = ("--epochs", 1, "--batch-size", 4, "--sequence-length", 8, "--learning-rate", 1e-2, "--dropout", 0)
    result = command("fine-tune", rows, "--from", model, "--output", output, "--no-progress", *options)
    assert result.code == 0, result.err
    return output / "model"


def answers(command: Command, model: Path) -> list[dict[str, object]]:
    result = command("predict", model, *TEXTS)
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


@pytest.fixture(scope="module")
def expected(plain: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What the model that is fine-tuned from the plain one answers: text -> probability of "a"."""
    settings = FineTuningSettings(
        train=(str(rows),),
        start_from=str(plain),
        output=str(tmp_path_factory.mktemp("runs") / "plain"),
        epochs=1,
        batch_size=4,
        sequence_length=8,
        learning_rate=1e-2,
        dropout=0.0,
        show_progress=False,
    )
    classifier = load_classifier(fine_tune(settings).folder.model)
    texts = LabelledTexts(tuple(TEXTS), None, None, tuple(TEXTS))
    return {str(row["text"]): probability_of_a(row) for row in predict(classifier, texts)}


def probability_of_a(answer: dict) -> float:
    return answer["probability"] if answer["label"] == "a" else 1 - answer["probability"]


@pytest.mark.parametrize("change", ODD)
def test_every_command_takes_it(
    change: Callable,
    command: Command,
    plain: Path,
    make_odd: Callable[[Callable], Path],
    rows: Path,
    expected: dict[str, float],
    tmp_path: Path,
) -> None:
    odd = make_odd(change)
    embedded = [
        [json.loads(line)["embedding"] for line in command("embed", model, *TEXTS).out.splitlines()]
        for model in (plain, odd)
    ]
    np.testing.assert_allclose(*embedded, atol=1e-6)

    tuned = fine_tuned(command, odd, rows, tmp_path / "run")
    given = {str(row["text"]): probability_of_a(row) for row in answers(command, tuned)}
    if change is not without_pooler:  # which has a new one, initialized randomly
        assert given == pytest.approx(expected, abs=1e-4)
    assert (tuned / "vocab.txt").read_bytes() == (odd / "vocab.txt").read_bytes()
    assert command("evaluate", tuned, rows, "--output", tmp_path / "metrics.json").code == 0
    assert json.loads((tmp_path / "metrics.json").read_text())["rows"] == 12

    converted = command("convert", tuned, tmp_path / "google", "--to", "google_tf1")
    assert converted.code == 0, converted.err
    assert {str(row["text"]): probability_of_a(row) for row in answers(command, tmp_path / "google")} == pytest.approx(
        given, abs=1e-6
    )

    exported = command("export", tuned, tmp_path / "exported", "--no-warm-up")
    assert exported.code == 0, exported.err
    served = tf.saved_model.load(str(tmp_path / "exported" / "1")).signatures["serving_default"]
    scores = served(text=tf.constant(TEXTS))["probabilities"][:, 0].numpy()
    np.testing.assert_allclose(scores, [given[text] for text in TEXTS], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("change", ODD)
def test_pretraining_goes_on_from_it(
    change: Callable, command: Command, make_odd: Callable[[Callable], Path], documents: Path, tmp_path: Path
) -> None:
    odd = make_odd(change)
    options = ("--steps", 2, "--batch-size", 4, "--sequence-length", 8, "--long-share", 0, "--dupe-factor", 1)
    result = command(
        "pretrain", documents, "--from", odd, "--output", tmp_path / "run", "--held-out-share", 0.3, *options
    )
    assert result.code == 0, result.err
    trained = load(tmp_path / "run" / "model")
    assert type(trained.model).__name__ == "BertPretrainer"
    assert trained.config.vocab_size == load(odd).config.vocab_size
    assert (tmp_path / "run/model/vocab.txt").read_bytes() == (odd / "vocab.txt").read_bytes()
