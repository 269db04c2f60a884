"""`kerasbert convert`: converts between layouts and prints the comparison; a failed conversion writes nothing."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kerasbert.checkpoints import load

Command = Callable[..., object]
LAYERS = ["embeddings", "encoder_block_0", "pooled_output"]


def differences(printed: str) -> dict[str, float]:
    """Parses the printed table of differences per layer."""
    return {name: float(value) for name, value in re.findall(r"^  (\w+) +(\d\.\de[+-]\d\d)$", printed, re.MULTILINE)}


def test_a_round_trip_gives_identical_files(command: Command, pretrained: Path, tmp_path: Path) -> None:
    source = pretrained / "model"
    there = command("convert", source, tmp_path / "google", "--to", "google_tf1")
    assert there.code == 0, there.err
    assert there.out.splitlines()[0] == (
        f"{source} (hugging_face) -> {tmp_path / 'google'} (google_tf1): BertPretrainer"
    )
    assert "30 weights compared: bit-identical" in there.out
    assert differences(there.out) == dict.fromkeys([*LAYERS, "masked_lm", "next_sentence"], 0.0)
    assert (tmp_path / "google/bert_model.ckpt.index").is_file()
    back = command("convert", tmp_path / "google", tmp_path / "back")
    assert "(google_tf1) -> " in back.out
    for name in ("model.safetensors", "vocab.txt", "preprocessing.json"):
        assert (tmp_path / "back" / name).read_bytes() == (source / name).read_bytes()


def test_a_round_trip_through_keras_hub_gives_an_identical_file(
    command: Command, pretrained: Path, tmp_path: Path
) -> None:
    pytest.importorskip("keras_hub", reason="keras-hub is not installed")
    loaded = load(pretrained / "model")
    from kerasbert.checkpoints import save

    save(loaded.model.backbone, tmp_path / "backbone", loaded.text_to_inputs)
    there = command("convert", tmp_path / "backbone", tmp_path / "preset", "--to", "keras_hub")
    assert there.code == 0, there.err
    assert differences(there.out) == dict.fromkeys(LAYERS, 0.0)
    back = command("convert", tmp_path / "preset", tmp_path / "back")
    assert "(keras_hub) -> " in back.out
    assert (tmp_path / "back/model.safetensors").read_bytes() == (tmp_path / "backbone/model.safetensors").read_bytes()


def test_a_model_that_the_layout_does_not_support_is_rejected(
    command: Command, pretrained: Path, tmp_path: Path
) -> None:
    pytest.importorskip("keras_hub", reason="keras-hub is not installed")
    result = command("convert", pretrained / "model", tmp_path / "preset", "--to", "keras_hub")
    assert result.code == 1
    assert "BertPretrainer" in result.error
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_hidden_layers": 2}, "Missing: encoder.layer.1."),
        ({"model_type": "roberta"}, "model_type"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"hidden_size": 7}, "`hidden_size` must be divisible by"),
    ],
)
def test_a_source_with_an_inconsistent_config_is_rejected(
    change: dict[str, object], words: str, command: Command, pretrained: Path, tmp_path: Path
) -> None:
    source = shutil.copytree(pretrained / "model", tmp_path / "source")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, **change}))
    result = command("convert", source, tmp_path / "google", "--to", "google_tf1")
    assert result.code == 1
    assert words in result.error
    assert str(source) in result.error
    assert os.listdir(tmp_path) == ["source"]


def test_a_truncated_source_is_rejected(command: Command, pretrained: Path, tmp_path: Path) -> None:
    source = shutil.copytree(pretrained / "model", tmp_path / "source")
    whole = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    result = command("convert", source, tmp_path / "google", "--to", "google_tf1")
    assert result.code == 1
    assert "model.safetensors" in result.error
    assert os.listdir(tmp_path) == ["source"]


def test_invalid_sources_and_destinations_are_rejected(command: Command, pretrained: Path, tmp_path: Path) -> None:
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied/notes.txt").write_text("mine")
    occupied = command("convert", pretrained / "model", tmp_path / "occupied")
    assert occupied.code == 0
    assert (tmp_path / "occupied/notes.txt").read_text() == "mine"
    nowhere = command("convert", tmp_path / "nowhere", tmp_path / "new")
    assert nowhere.code == 1
    assert "nowhere" in nowhere.error
    itself = command("convert", pretrained / "model", pretrained / "model")
    assert itself.code == 1
    assert "`DESTINATION` must not be the source" in itself.error
    unknown = command("convert", pretrained / "model", tmp_path / "new", "--to", "onnx")
    assert unknown.code == 2
    assert "onnx" in unknown.error
    assert os.listdir(tmp_path) == ["occupied"]
