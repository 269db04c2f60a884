"""`kerasbert embed`: the model's vectors in the order of the texts, for every input and output format."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kerasbert.checkpoints import load, save
from kerasbert.models import BertSentenceEncoder
from kerasbert.recipes.embedding import embed, load_sentence_encoder

Command = Callable[..., object]
TEXTS = ["the cat and the cow.", "the saw.", "", "the bread and the cheese and the soup.", "ein Käse 🧀"]


@pytest.fixture(scope="module")
def sentence_encoder(pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder with a pooling that is not the default."""
    loaded = load(pretrained / "model")
    model = BertSentenceEncoder(loaded.model.backbone, "max", normalize=True)
    return save(model, tmp_path_factory.mktemp("models") / "sentences", loaded.text_to_inputs)


def vectors_by_hand(folder: Path, pooling: str, normalize: bool) -> np.ndarray:
    """Runs each text alone through the backbone and pools in NumPy."""
    loaded = load(folder)
    rows = []
    for text in TEXTS:
        hidden = np.asarray(loaded.model.backbone(loaded.text_to_inputs([text]))["sequence_output"])[0]
        weighted = np.average(hidden, axis=0, weights=np.arange(1, len(hidden) + 1))
        row = {"mean": hidden.mean(0), "max": hidden.max(0), "cls": hidden[0], "weighted_mean": weighted}[pooling]
        rows.append(row / np.linalg.norm(row) if normalize else row)
    return np.stack(rows)


def jsonl(printed: str) -> tuple[list[str], np.ndarray]:
    rows = [json.loads(line) for line in printed.splitlines()]
    return [row["text"] for row in rows], np.array([row["embedding"] for row in rows], np.float32)


def test_embed_uses_the_pooling_of_a_sentence_transformers_folder(command: Command, sentence_encoder: Path) -> None:
    result = command("embed", sentence_encoder, *TEXTS, "--batch-size", 2)
    texts, vectors = jsonl(result.out)
    assert texts == TEXTS
    np.testing.assert_allclose(vectors, vectors_by_hand(sentence_encoder, "max", True), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "pooling", "normalize"),
    [
        ([], "mean", False),
        (["--normalize"], "mean", True),
        (["--pooling", "cls"], "cls", False),
        (["--pooling", "weighted_mean"], "weighted_mean", False),
    ],
)
def test_options_set_the_pooling_of_a_plain_encoder(
    options: list[str], pooling: str, normalize: bool, command: Command, pretrained: Path
) -> None:
    _, vectors = jsonl(command("embed", pretrained / "model", *TEXTS, *options).out)
    np.testing.assert_allclose(vectors, vectors_by_hand(pretrained / "model", pooling, normalize), atol=1e-6)


def test_options_override_the_pooling_of_the_folder(command: Command, sentence_encoder: Path) -> None:
    _, vectors = jsonl(command("embed", sentence_encoder, *TEXTS, "--pooling", "mean", "--no-normalize").out)
    np.testing.assert_allclose(vectors, vectors_by_hand(sentence_encoder, "mean", False), atol=1e-6)


@pytest.fixture(scope="module")
def projecting_encoder(pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder whose vectors differ in size from the hidden states."""
    loaded = load(pretrained / "model")
    projections = [{"units": 5, "activation": "tanh"}]
    model = BertSentenceEncoder(loaded.model.backbone, ["max", "mean"], True, projections)
    (layer,) = model.projection_layers
    layer.set_weights([np.random.default_rng(0).normal(0, 1, weight.shape) for weight in layer.get_weights()])
    return save(model, tmp_path_factory.mktemp("models") / "projecting", loaded.text_to_inputs)


def projected_by_hand(folder: Path, poolings: tuple[str, str], normalize: bool) -> np.ndarray:
    pooled = np.concatenate([vectors_by_hand(folder, pooling, False) for pooling in poolings], axis=1)
    kernel, bias = load(folder).model.projection_layers[0].get_weights()
    vectors = np.tanh(pooled @ kernel + bias)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if normalize else vectors


def test_vectors_have_the_size_of_the_last_projection(
    command: Command, projecting_encoder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "vectors.npy"
    result = command("embed", projecting_encoder, *TEXTS, "-o", output)
    assert result.out == f"5 vectors of 5 numbers: {output}\n"
    np.testing.assert_allclose(np.load(output), projected_by_hand(projecting_encoder, ("max", "mean"), True), atol=1e-5)
    _, vectors = jsonl(command("embed", projecting_encoder, *TEXTS, "--no-normalize").out)
    np.testing.assert_allclose(vectors, projected_by_hand(projecting_encoder, ("max", "mean"), False), atol=1e-5)


def test_another_pooling_must_fit_the_projection(command: Command, projecting_encoder: Path) -> None:
    result = command("embed", projecting_encoder, "a text", "--pooling", "last")
    assert result.code == 1
    assert "`--pooling` must return vectors of the size that the model's projection expects, 64" in result.error
    assert "--pooling last, with the size 32. Use the model's own pooling, ('max', 'mean')" in result.error
    encoder = load_sentence_encoder(projecting_encoder, ["cls", "max"], normalize=False)
    (vectors,) = embed(encoder, TEXTS)
    np.testing.assert_allclose(vectors, projected_by_hand(projecting_encoder, ("cls", "max"), False), atol=1e-5)


def test_all_file_formats_give_the_same_vectors(command: Command, sentence_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"question": text}) + "\n" for text in TEXTS))
    expected, output = jsonl(command("embed", sentence_encoder, *TEXTS).out)[1], tmp_path / "vectors.npy"
    plain = command("embed", sentence_encoder, "--file", tmp_path / "texts.txt", "-o", output)
    assert plain.out == f"5 vectors of 32 numbers: {output}\n"
    vectors = np.load(output, allow_pickle=False)
    assert (vectors.dtype, vectors.shape) == (np.float32, (5, 32))
    np.testing.assert_array_equal(vectors, expected)  # JSON keeps every float32
    lines = tmp_path / "vectors.jsonl"
    table = ("--file", tmp_path / "texts.jsonl", "--text-column", "question", "-o", lines)
    assert command("embed", sentence_encoder, *table).code == 0
    texts, vectors = jsonl(lines.read_text(encoding="utf-8"))
    assert texts == TEXTS
    np.testing.assert_array_equal(vectors, expected)


def test_vectors_keep_the_order_of_texts_that_are_sorted_by_length_in_several_groups(
    command: Command, sentence_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kerasbert.recipes.length_order._BATCHES", 3)
    (tmp_path / "texts.txt").write_text("".join(f"{TEXTS[i % 5]}\n" for i in range(53)), encoding="utf-8")
    options = ("--batch-size", 4, "-o", tmp_path / "vectors.npy")
    assert command("embed", sentence_encoder, "--file", tmp_path / "texts.txt", *options).code == 0
    vectors = np.load(tmp_path / "vectors.npy")
    assert len(vectors) == 53
    np.testing.assert_allclose(vectors, vectors_by_hand(sentence_encoder, "max", True)[np.arange(53) % 5], atol=1e-6)


def test_invalid_input_writes_no_file(command: Command, pretrained: Path, tmp_path: Path) -> None:
    model = pretrained / "model"
    ending = command("embed", model, "a text", "-o", tmp_path / "vectors.csv")
    assert (ending.code, "must end in .npy or .jsonl" in ending.error) == (2, True)
    neither = command("embed", model)
    assert (neither.code, "--file" in neither.error) == (2, True)
    (tmp_path / "rows.csv").write_text("question\nthe cat\n")
    column = command("embed", model, "--file", tmp_path / "rows.csv", "-o", tmp_path / "vectors.npy")
    assert (column.code, "'question'" in column.error) == (1, True)
    (tmp_path / "empty.txt").write_text("")
    empty = command("embed", model, "--file", tmp_path / "empty.txt", "-o", tmp_path / "vectors.npy")
    assert (empty.code, "empty" in empty.error) == (1, True)
    nowhere = command("embed", tmp_path / "nowhere", "a text")
    assert (nowhere.code, "nowhere" in nowhere.error) == (1, True)
    loaded = load(model)
    save(loaded.model, tmp_path / "without")
    without = command("embed", tmp_path / "without", "a text")
    assert (without.code, "vocab.txt" in without.error) == (1, True)
    assert sorted(os.listdir(tmp_path)) == ["empty.txt", "rows.csv", "without"]


def test_invalid_utf8_is_counted(command: Command, sentence_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_bytes(b"the \xff cat\nthe saw\n")
    result = command("embed", sentence_encoder, "--file", tmp_path / "texts.txt")
    assert len(result.out.splitlines()) == 2
    assert "1 of 2 lines contain invalid UTF-8" in result.err
