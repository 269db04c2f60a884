"""Every layout loads under each of the names that Hugging Face's versions and classes gave to the same weights."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from kerasbert.checkpoints import load, load_backbone
from kerasbert.errors import BadInputError

# Kind of model -> Hugging Face's class.
LAYOUTS = {
    "backbone": "BertModel",
    "pretrainer": "BertForPreTraining",
    "single label": "BertForSequenceClassification",
    "tokens": "BertForTokenClassification",
    "spans": "BertForQuestionAnswering",
    "choices": "BertForMultipleChoice",
}


def is_of_the_encoder(name):
    return name.startswith(("embeddings.", "encoder.", "pooler."))


def with_prefix(name):
    return f"bert.{name}" if is_of_the_encoder(name) else name


def in_old_words(name):
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("prefix", [True, False], ids=["bert.", "no prefix"])
@pytest.mark.parametrize("old", [True, False], ids=["gamma and beta", "weight and bias"])
@pytest.mark.parametrize("named", [True, False], ids=["architectures", "heads alone"])
def test_a_layout_loads_under_every_name(
    kind, prefix, old, named, saved, make_model, edit_weights, edit_json, assert_same_weights
):
    folder = saved(kind)

    def rename(arrays):
        bare = {name.removeprefix("bert."): array for name, array in arrays.items()}
        arrays.clear()
        for name, array in bare.items():
            name = with_prefix(name) if prefix else name
            arrays[in_old_words(name) if old else name] = array
        arrays["bert.embeddings.position_ids"] = np.arange(10)[None]

    edit_weights(folder, rename)
    if not named and kind != "choices":  # whose weights are those of one label
        edit_json(folder / "config.json", architectures=None)
    assert any(name.endswith("gamma") for name in load_file(folder / "model.safetensors")) == old
    loaded = load(folder)
    if not named and kind == "tokens":  # with a pooler, only the config tells it from a classifier of whole texts
        assert type(loaded.model).__name__ == "BertSequenceClassifier"
        return
    assert type(loaded.model) is type(make_model(kind))
    assert_same_weights(loaded.model, make_model(kind))


@pytest.mark.parametrize(
    ("architecture", "heads", "absent"),
    [("BertForMaskedLM", "cls.predictions", ("pooler", "next_sentence")), ("BertModel", None, ())],
)
def test_a_layout_with_fewer_parts_loads(architecture, heads, absent, saved, edit_weights, edit_json, make_model):
    folder = saved("pretrainer")

    def take_away(arrays):
        for name in [name for name in arrays if not name.startswith((heads or "bert.", "bert."))]:
            del arrays[name]
        if heads:
            del arrays["bert.pooler.dense.weight"], arrays["bert.pooler.dense.bias"]

    edit_weights(folder, take_away)
    edit_json(folder / "config.json", architectures=[architecture])
    loaded = load(folder)
    assert loaded.absent == absent
    backbone = getattr(loaded.model, "backbone", loaded.model)
    expected = make_model("pretrainer").backbone.encoder_blocks[1].output_norm.beta
    np.testing.assert_array_equal(np.asarray(backbone.encoder_blocks[1].output_norm.beta), np.asarray(expected))


@pytest.mark.parametrize("twin", ["embeddings.LayerNorm.weight", "bert.embeddings.LayerNorm.gamma"])
def test_a_weight_under_two_names_is_refused(twin, saved, edit_weights):
    folder = saved("pretrainer")
    edit_weights(folder, lambda arrays: arrays.update({twin: np.zeros(8, "float32")}))
    with pytest.raises(BadInputError, match="each weight must be in the file once"):
        load(folder)


def test_with_an_untied_output_only_the_encoder_loads(saved, edit_weights, edit_json, make_model, assert_same_weights):
    folder = saved("pretrainer")
    edit_json(folder / "config.json", tie_word_embeddings=False)
    with pytest.raises(BadInputError, match="`tie_word_embeddings` must be true, or the weights must contain"):
        load(folder)
    assert_same_weights(load_backbone(folder).model, make_model("pretrainer").backbone)
    copied = {"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight"}
    copied["cls.predictions.decoder.bias"] = "cls.predictions.bias"
    edit_weights(folder, lambda arrays: arrays.update({copy: arrays[name] for copy, name in copied.items()}))
    assert_same_weights(load(folder).model, make_model("pretrainer"))
    edit_weights(folder, lambda arrays: arrays.update({next(iter(copied)): np.zeros((14, 8), "float32")}))
    with pytest.raises(BadInputError, match=r"decoder\.weight must be the same as embeddings\.word_embeddings\.weight"):
        load(folder)
    loaded = load_backbone(folder)
    assert_same_weights(loaded.model, make_model("pretrainer").backbone)
    assert "cls.predictions.decoder.weight" in loaded.dropped
