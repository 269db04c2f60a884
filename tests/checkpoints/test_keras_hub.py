"""Weights are converted to keras-hub's backbone and back, in memory and as a preset, and both compute the same."""

import sys

import numpy as np
import pytest

from kerasbert.checkpoints import convert, from_keras_hub, largest_differences, load, save, to_keras_hub
from kerasbert.checkpoints.model_comparison import fixed_inputs, layer_outputs
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer


@pytest.fixture(scope="module")
def keras_hub():
    return pytest.importorskip("keras_hub", reason="keras-hub is not installed")


@pytest.fixture(scope="module")
def hub_config(config):
    return config.replace(hidden_act="gelu_tanh", layer_norm_eps=1e-12, attention_probs_dropout_prob=0.2)


@pytest.mark.parametrize("as_ours", [True, False])
def test_the_live_model_computes_the_same(as_ours, make_model, config, hub_config, keras_hub, assert_same_weights):
    """Also with the erf form and another epsilon, which keras-hub's constructor does not take."""
    config = config if as_ours else hub_config
    model = make_model("backbone", config)
    theirs = to_keras_hub(model)
    assert isinstance(theirs, keras_hub.models.BertBackbone)
    inputs = fixed_inputs(config)
    outputs, ours = theirs(inputs), layer_outputs(model, inputs)
    is_real = inputs["padding_mask"].astype(bool)
    hidden = np.asarray(outputs["sequence_output"])
    np.testing.assert_allclose(hidden[is_real], ours["encoder_block_1"][is_real], rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.asarray(outputs["pooled_output"]), ours["pooled_output"], rtol=0, atol=1e-5)
    back = from_keras_hub(theirs)
    assert_same_weights(back, model)
    assert back.bert_config == config.replace(initializer_range=0.02)


def test_a_preset_is_loaded_bit_for_bit(
    make_model, hub_config, keras_hub, text_to_inputs, assert_same_weights, tmp_path
):
    hub_config = hub_config.replace(initializer_range=0.1)  # keras-hub has no such setting
    model = make_model("backbone", hub_config)
    folder = save(model, tmp_path / "preset", text_to_inputs, format="keras_hub")
    theirs = keras_hub.models.BertBackbone.from_preset(str(folder))
    assert_same_weights(from_keras_hub(theirs), model)
    assert keras_hub.models.BertTokenizer.from_preset(str(folder)).vocabulary_size() == hub_config.vocab_size
    loaded = load(folder)
    assert (loaded.source_format, loaded.config) == ("keras_hub", hub_config)
    assert_same_weights(loaded.model, model)
    assert loaded.text_to_inputs.get_config() == text_to_inputs.get_config()
    report = convert(folder, tmp_path / "hugging_face")
    assert (report.source_format, report.largest_difference) == ("keras_hub", 0)


def test_a_preset_of_keras_hub_s_own_loads(hub_config, keras_hub, edit_json, tmp_path):
    theirs = keras_hub.models.BertBackbone(
        vocabulary_size=14, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=12, max_sequence_length=10
    )
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghi"]
    theirs.save_to_preset(str(tmp_path))
    keras_hub.models.BertTokenizer(vocabulary=pieces, lowercase=True).save_to_preset(str(tmp_path))
    loaded = load(tmp_path)
    assert loaded.config.hidden_act == "gelu_tanh"
    assert loaded.config.hidden_dropout_prob == loaded.config.attention_probs_dropout_prob == 0.1
    assert loaded.text_to_inputs(["A b"])["token_ids"].numpy().tolist() == [[2, 5, 6, 3]]
    assert largest_differences(loaded.model, from_keras_hub(theirs))["pooled_output"] == 0
    edit_json(tmp_path / "tokenizer.json", config={"lowercase": "false"})
    with pytest.raises(BadInputError, match=r"tokenizer\.json: `config\.lowercase` must be true or false"):
        load(tmp_path)
    assert load(tmp_path, preprocessing=False).text_to_inputs is None


def test_a_preset_without_room_for_text_is_refused(keras_hub, text_to_inputs, tmp_path):
    theirs = keras_hub.models.BertBackbone(
        vocabulary_size=14, num_layers=1, num_heads=1, hidden_dim=2, intermediate_dim=2, max_sequence_length=2
    )
    theirs.save_to_preset(str(tmp_path))
    keras_hub.models.BertTokenizer(text_to_inputs.vocabulary.pieces).save_to_preset(str(tmp_path))
    with pytest.raises(BadInputError, match=r"config\.json: `max_position_embeddings` must be at least 3"):
        load(tmp_path)


def test_settings_that_a_preset_cannot_represent_are_refused_by_name(
    make_model, hub_config, keras_hub, text_to_inputs, tmp_path
):
    for kind, config, lost in (
        ("backbone", hub_config.replace(hidden_act="gelu_erf"), "'hidden_act': 'gelu_erf'"),
        ("backbone", hub_config.replace(layer_norm_eps=1e-5), "'layer_norm_eps': 1e-05"),
        ("backbone", hub_config.replace(attention_probs_dropout_prob=0.0), "'attention_probs_dropout_prob': 0.0"),
        ("pretrainer", hub_config, "'model': 'BertPretrainer'"),
    ):
        with pytest.raises(BadInputError, match=lost):
            save(make_model(kind, config), tmp_path / "preset", format="keras_hub")
    together = TextToInputs(WordPieceTokenizer(Vocabulary(text_to_inputs.vocabulary.pieces), split_cjk=False), 9)
    with pytest.raises(BadInputError, match="'split_cjk': False"):
        save(make_model("backbone", hub_config), tmp_path / "preset", together, format="keras_hub")
    assert not (tmp_path / "preset").exists()


def test_a_damaged_preset_is_refused(make_model, hub_config, keras_hub, edit_json, tmp_path):
    folder = save(make_model("backbone", hub_config), tmp_path / "preset", format="keras_hub")
    edit_json(folder / "config.json", class_name="GemmaBackbone")
    with pytest.raises(BadInputError, match=r"config\.json: `class_name` must be 'BertBackbone'"):
        load(folder)
    sizes = {"vocabulary_size": 15, "num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 12}
    edit_json(folder / "config.json", class_name="BertBackbone", config=sizes)
    with pytest.raises(BadInputError, match=r"model\.weights\.h5 with config\.json: the weights must be those"):
        load(folder)
    (folder / "model.weights.h5").write_bytes(b"cut short")
    with pytest.raises(BadInputError, match=r"model\.weights\.h5 with config\.json"):
        load(folder)


def test_another_model_is_refused(make_model):
    with pytest.raises(BadInputError, match=r"must be a `keras_hub\.models\.BertBackbone`"):
        from_keras_hub(make_model("backbone"))


def test_keras_hub_is_needed_for_its_own_models_only(make_model, hub_config, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(BadInputError, match=r"pip install 'kerasbert\[keras-nlp\]'"):
        to_keras_hub(make_model("backbone", hub_config))
