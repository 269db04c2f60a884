"""Our own layout keeps every variant of the encoder; the layouts of other libraries refuse them."""

import json

import numpy as np
import pytest

from kerasbert.checkpoints import convert, load, load_backbone, save
from kerasbert.checkpoints.formats.keras_hub import to_keras_hub
from kerasbert.checkpoints.model_comparison import differing_weights, largest_differences
from kerasbert.errors import BadInputError

VARIANTS = {
    "pre": {
        "norm_placement": "pre",
        "gated_feed_forward": True,
        "hidden_act": "silu",
        "initialization": "fan_in",
        "position_type": "relative",
        "relative_distance": 3,
    },
    "sandwich": {
        "norm_placement": "sandwich",
        "norm_type": "rms_norm",
        "use_bias": False,
        "position_type": "t5",
        "relative_buckets": 8,
    },
    "deepnorm": {"norm_placement": "deepnorm", "hidden_act": "relu_squared", "position_type": "sine"},
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("kind", ["backbone", "single label", "projected sentences"])
def test_round_trip(make_model, config, text_to_inputs, tmp_path, kind, name):
    model = make_model(kind, config.replace(**VARIANTS[name]))
    folder = save(model, tmp_path / "model", text_to_inputs)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "kerasbert"
    loaded = load(folder)
    assert loaded.source_format == "kerasbert"
    assert type(loaded.model) is type(model)
    assert not differing_weights(model, loaded.model)
    assert max(largest_differences(model, loaded.model).values()) == 0
    assert loaded.text_to_inputs.get_config() == text_to_inputs.get_config()
    assert load_backbone(folder).config == config.replace(**VARIANTS[name])


def test_a_plain_bert_can_be_written_in_our_layout_and_back(saved, tmp_path):
    source = saved("pretrainer", preprocessing=True)
    assert convert(source, tmp_path / "ours", "kerasbert").num_weights == 46
    convert(tmp_path / "ours", tmp_path / "back")
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "back" / file).read_bytes() == (source / file).read_bytes()


def test_absent_parts_stay_absent(make_model, config, tmp_path):
    model = make_model("tokens", config.replace(norm_placement="pre"))
    pooler = [np.asarray(weight) for weight in model.backbone.pooler.weights]
    for weight in model.backbone.pooler.weights:
        weight.assign(np.zeros(weight.shape))
    assert load(save(model, tmp_path / "model")).absent == ("pooler",)
    for weight, value in zip(model.backbone.pooler.weights, pooler, strict=True):
        weight.assign(value)


@pytest.mark.parametrize("format", ["hugging_face", "google_tf1"])
@pytest.mark.parametrize("name", VARIANTS)
def test_other_layouts_refuse_variants(make_model, config, tmp_path, format, name):
    model = make_model("backbone", config.replace(**VARIANTS[name]))
    with pytest.raises(BadInputError, match=rf"norm_placement='{name}'.*Use the format 'kerasbert'"):
        save(model, tmp_path / "model", format=format)
    assert not (tmp_path / "model").exists()


def test_keras_hub_refuses_variants(make_model, config, tmp_path):
    pytest.importorskip("keras_hub")
    model = make_model("backbone", config.replace(norm_placement="pre"))
    with pytest.raises(BadInputError, match=r"norm_placement='pre'.*Use the format 'kerasbert'"):
        to_keras_hub(model)
    with pytest.raises(BadInputError, match=r"'norm_placement': 'pre'.*Use format='kerasbert'"):
        save(model, tmp_path / "model", format="keras_hub")
    assert not (tmp_path / "model").exists()


def test_a_variant_in_the_config_of_another_layout_is_refused(saved, edit_json):
    folder = saved("backbone")
    edit_json(folder / "config.json", norm_placement="deepnorm")
    with pytest.raises(BadInputError, match=r"config\.json: The encoder must be a plain BERT.*'deepnorm'"):
        load(folder)


def test_a_damaged_folder_is_refused(make_model, config, edit_json, tmp_path):
    folder = save(make_model("backbone", config.replace(norm_placement="pre")), tmp_path / "model")
    edit_json(folder / "config.json", norm_placement="sandwich")
    with pytest.raises(BadInputError, match=r"Missing: backbone\.encoder_blocks\.0\.attention_norm\.gamma"):
        load(folder)
    edit_json(folder / "config.json", norm_placement="inside")
    with pytest.raises(BadInputError, match=r"config\.json: `norm_placement` must be one of.*'inside'"):
        load(folder)


def test_a_conversion_names_the_layout_that_works(make_model, config, tmp_path):
    folder = save(make_model("backbone", config.replace(norm_placement="pre")), tmp_path / "model")
    with pytest.raises(BadInputError, match=r"norm_placement='pre'.*Use the format 'kerasbert'"):
        convert(folder, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    convert(folder, tmp_path / "copy", "kerasbert")
    assert (tmp_path / "copy/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_transformers_does_not_take_a_variant_for_a_bert(make_model, config, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is in the newest environment only")
    folder = save(make_model("backbone", config.replace(norm_placement="pre")), tmp_path / "model")
    with pytest.raises(ValueError, match="kerasbert"):
        transformers.AutoModel.from_pretrained(folder)
