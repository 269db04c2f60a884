"""A conversion proves that both models are the same, and writes nothing if it cannot."""

import os

import numpy as np
import pytest

from kerasbert.checkpoints import ConversionReport, convert, load
from kerasbert.checkpoints.model_comparison import differing_weights, fixed_inputs, largest_differences
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone


def test_the_report_proves_both_to_be_the_same(saved, tmp_path):
    source = saved("pretrainer", preprocessing=True)
    report = convert(source, tmp_path / "google", "google_tf1")
    assert isinstance(report, ConversionReport)
    assert (report.source_format, report.format, report.model) == ("hugging_face", "google_tf1", "BertPretrainer")
    assert set(report.differences) == {
        *("embeddings", "encoder_block_0", "encoder_block_1", "pooled_output", "masked_lm", "next_sentence")
    }
    assert report.largest_difference == 0
    assert report.num_weights == 5 + 2 * 16 + 2 + 5 + 2
    text = str(report)
    assert "46 weights compared: bit-identical" in text
    assert "encoder_block_1" in text
    back = convert(tmp_path / "google", tmp_path / "back")
    assert (tmp_path / "back/model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()
    assert (tmp_path / "back/config.json").read_bytes() == (source / "config.json").read_bytes()
    assert back.largest_difference == 0


def test_labels_and_preprocessing_are_converted_too(saved, edit_json, text_to_inputs, tmp_path):
    source = saved("single label", preprocessing=True)
    edit_json(source / "config.json", num_labels=None, id2label={"0": "a", "1": "b", "2": "c"})
    convert(source, tmp_path / "google", "google_tf1")
    loaded = load(tmp_path / "google")
    assert loaded.labels == ("a", "b", "c")
    assert (loaded.model.problem_type, loaded.model.dropout) == ("single_label_classification", 0.3)
    assert loaded.text_to_inputs.get_config() == text_to_inputs.get_config()


def test_absent_parts_stay_absent(saved, edit_weights, edit_json, tmp_path):
    source = saved("pretrainer")

    def without_next_sentence(arrays):
        for name in [name for name in arrays if "pooler" in name or "seq_relationship" in name]:
            del arrays[name]

    edit_weights(source, without_next_sentence)
    edit_json(source / "config.json", architectures=["BertForMaskedLM"])
    report = convert(source, tmp_path / "google", "google_tf1")
    assert report.absent == ("pooler", "next_sentence")
    assert "not written: pooler, next_sentence" in str(report)
    convert(tmp_path / "google", tmp_path / "back")
    assert (tmp_path / "back/model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()
    model = load(tmp_path / "back").model
    outputs = model({**fixed_inputs(model.backbone.bert_config), "mask_positions": np.array([[0]] * 3, "int32")})
    assert not np.any(np.asarray(outputs["next_sentence"]))


@pytest.mark.parametrize("place", [".", "..", "../model", "inner"])
def test_the_source_is_never_overwritten(place, saved):
    source = saved()
    before = (source / "model.safetensors").read_bytes()
    if place == "inner":
        convert(source, source.parent / "inner")
    else:
        with pytest.raises(BadInputError, match="`destination` must not be the source"):
            convert(source, source / place)
    assert (source / "model.safetensors").read_bytes() == before


def test_a_layout_that_cannot_represent_the_model_writes_nothing(saved, tmp_path):
    source = saved("tokens")
    with pytest.raises(BadInputError, match="BertTokenClassifier"):
        convert(source, tmp_path / "google", "google_tf1")
    with pytest.raises(BadInputError, match="`format` must be one of"):
        convert(source, tmp_path / "google", "onnx")
    assert os.listdir(tmp_path) == ["model"]


def test_a_destination_that_differs_is_not_kept(saved, tmp_path, monkeypatch):
    source = saved()

    def other_weights(folder, arrays):
        write(folder, {name: array + (name == "pooler.dense.bias") for name, array in arrays.items()})

    from kerasbert.checkpoints.formats import hugging_face_folder

    write = hugging_face_folder.write_safetensors
    monkeypatch.setattr(hugging_face_folder, "write_safetensors", other_weights)
    with pytest.raises(BadInputError, match=r"must be the same model.*pooler/bias"):
        convert(source, tmp_path / "copy")
    assert os.listdir(tmp_path) == ["model"]


def test_a_key_bias_shows_in_the_weights_only(make_model, config):
    """It cancels in the softmax, so a proof by outputs alone would miss it."""
    model, other = make_model("backbone"), BertBackbone.from_config(config)
    for mine, yours in zip(model.weights, other.weights, strict=True):
        yours.assign(mine)
    bias = other.encoder_blocks[0].attention.key.bias
    bias.assign(np.zeros(8, "float32"))
    assert max(largest_differences(model, other).values()) < 1e-5
    assert [path.split("/", 1)[-1] for path in differing_weights(model, other)] == [bias.path.split("/", 1)[-1]]
