"""Our own layout: a saved model is loaded bit for bit, and everything that does not fit is refused by name."""

import os

import keras
import numpy as np
import pytest

from kerasbert.checkpoints import largest_differences, load, load_backbone, save
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone, BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

TEXTS = ["The dogs playing!", "", "é cat"]
KINDS = [
    *("backbone", "pretrainer", "single label", "multi-label", "regression", "tokens", "spans", "choices"),
    *("sentences", "sentences by maximum", "projected sentences"),
]
ARGUMENTS = ("problem_type", "dropout", "num_labels", "pooling", "normalize", "projections")


@pytest.mark.backend
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_is_loaded_bit_for_bit(kind, make_model, config, assert_same_weights, tmp_path):
    model = make_model(kind)
    folder = save(model, tmp_path / "model")
    loaded = load(folder)
    assert type(loaded.model) is type(model)
    assert_same_weights(model, loaded.model)
    assert loaded.config == config
    assert loaded.source_format == ("sentence_transformers" if "sentences" in kind else "hugging_face")
    assert (loaded.absent, loaded.dropped, loaded.labels, loaded.text_to_inputs) == ((), (), None, None)
    for name in ARGUMENTS:
        assert getattr(loaded.model, name, None) == getattr(model, name, None)
    assert set(largest_differences(model, loaded.model).values()) == {0.0}
    again = save(loaded.model, tmp_path / "again")
    for file in (path.relative_to(folder) for path in folder.rglob("*") if path.is_file()):
        assert (again / file).read_bytes() == (folder / file).read_bytes()


def test_labels_and_preprocessing_travel_with_the_model(make_model, text_to_inputs, tmp_path):
    labels = ("zéro", "one", "two words")
    folder = save(make_model("single label"), tmp_path / "model", text_to_inputs, iter(labels))
    loaded = load(folder)
    assert loaded.labels == labels
    assert loaded.text_to_inputs.get_config() == text_to_inputs.get_config()
    for name, values in text_to_inputs(TEXTS).items():
        np.testing.assert_array_equal(loaded.text_to_inputs(TEXTS)[name], values)
    assert load(tmp_path / "model", preprocessing=False).text_to_inputs is None


def test_a_model_in_bfloat16_is_kept_exactly(config, tmp_path):
    model = BertBackbone(**config.to_dict(), dtype="bfloat16")
    loaded = load(save(model, tmp_path / "model"), dtype="bfloat16")
    for mine, yours in zip(model.weights, loaded.model.weights, strict=True):
        if "seed_generator" not in mine.path:
            assert yours.dtype == "bfloat16"
            np.testing.assert_array_equal(mine.numpy().astype("float32"), yours.numpy().astype("float32"))


@pytest.mark.parametrize(("kind", "heads"), [("pretrainer", 7), ("single label", 2), ("spans", 2), ("sentences", 0)])
def test_the_encoder_of_any_model_can_be_loaded(kind, heads, make_model, saved, assert_same_weights):
    loaded = load_backbone(saved(kind, preprocessing=True))
    assert isinstance(loaded.model, BertBackbone)
    assert_same_weights(loaded.model, make_model(kind).backbone)
    assert loaded.text_to_inputs is not None
    assert len(loaded.dropped) == heads
    assert all(name.startswith(("cls.", "classifier.", "qa_outputs.")) for name in loaded.dropped)


def test_an_encoder_without_pooler_gets_a_new_one_and_says_so(saved, edit_weights):
    folder = saved()
    edit_weights(folder, lambda arrays: [arrays.pop(f"pooler.dense.{name}") for name in ("weight", "bias")])
    assert load(folder).absent == ("pooler",)
    assert not np.any(np.asarray(load(folder).model.pooler.kernel))
    loaded = load_backbone(folder)
    assert loaded.absent == ("pooler",)
    assert np.any(np.asarray(loaded.model.pooler.kernel))


def test_every_weight_that_does_not_fit_is_named(saved, edit_weights):
    folder = saved()

    def spoil(arrays):
        del arrays["embeddings.LayerNorm.weight"], arrays["encoder.layer.1.attention.self.key.bias"]
        arrays["encoder.layer.2.output.dense.bias"] = np.zeros(8, "float32")
        arrays["adapter.weight"] = np.zeros(3, "float32")
        arrays["pooler.dense.bias"] = np.zeros(9, "float32")
        arrays["pooler.dense.weight"] = np.ones((8, 8), "int8")

    edit_weights(folder, spoil)
    for load_it in (load, load_backbone):
        with pytest.raises(BadInputError) as caught:
            load_it(folder)
        message = str(caught.value)
        assert str(folder / "model.safetensors") in message
        assert "Missing: embeddings.LayerNorm.weight, encoder.layer.1.attention.self.key.bias." in message
        assert ("adapter.weight" in message) == (load_it is load)
        assert "encoder.layer.2.output.dense.bias" in message
        assert "pooler.dense.bias has [9] and not [8]" in message
        assert "pooler.dense.weight has int8 and not floating-point numbers" in message


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden_size": 16}, "embeddings.word_embeddings.weight has [14, 8] and not [14, 16]"),
        ({"max_position_embeddings": 512}, "embeddings.position_embeddings.weight has [10, 8] and not [512, 8]"),
        ({"type_vocab_size": 2}, "embeddings.token_type_embeddings.weight has [3, 8] and not [2, 8]"),
        ({"intermediate_size": 13}, "encoder.layer.0.intermediate.dense.weight has [12, 8] and not [13, 8]"),
        ({"num_hidden_layers": 1}, "Left over: encoder.layer.1.attention.output.LayerNorm.bias"),
        ({"num_hidden_layers": 3}, "Missing: encoder.layer.2.attention.self.query.weight"),
        ({"num_hidden_layers": 10**12}, "num_hidden_layers=1000000000000"),
        ({"vocab_size": 0}, "`vocab_size` must be a whole number of at least 1"),
        ({"model_type": "roberta"}, "roberta"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"hidden_act": "swiglu"}, "swiglu"),
        ({"is_decoder": True}, "is_decoder"),
    ],
)
def test_a_config_that_contradicts_the_weights_is_refused(changes, named, saved, edit_json):
    folder = saved()
    edit_json(folder / "config.json", **changes)
    with pytest.raises(BadInputError) as caught:
        load(folder)
    assert named in str(caught.value)
    assert str(folder) in str(caught.value)


def test_labels_must_be_as_many_as_the_weights_have(saved, make_model, edit_json, tmp_path):
    folder = saved("single label")
    edit_json(folder / "config.json", num_labels=None, id2label={"0": "a", "1": "b"})
    with pytest.raises(BadInputError, match=r"classifier\.weight has \[3, 8\] and not \[2, 8\]"):
        load(folder)
    edit_json(folder / "config.json", id2label={"0": "a", "2": "b"})
    with pytest.raises(BadInputError, match="number the labels from 0"):
        load(folder)
    with pytest.raises(BadInputError, match="each of the model's 3 labels once"):
        save(make_model("single label"), tmp_path / "other", labels=["a", "b"])
    with pytest.raises(BadInputError, match="the model's no labels"):
        save(make_model("backbone"), tmp_path / "other", labels=["a", "b"])
    assert not (tmp_path / "other").exists()


def test_preprocessing_must_fit_the_model(make_model, saved, text_to_inputs, tmp_path):
    backbone = make_model("backbone")
    vocabulary = Vocabulary([*text_to_inputs.vocabulary.pieces, "more"])
    with pytest.raises(BadInputError, match="15 pieces, vocab_size=14"):
        save(backbone, tmp_path / "new", TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=9))
    with pytest.raises(BadInputError, match="sequence_length=128, max_position_embeddings=10"):
        save(backbone, tmp_path / "new", TextToInputs(text_to_inputs.tokenizer))
    assert not (tmp_path / "new").exists()
    folder = saved(preprocessing=True)
    (folder / "preprocessing.json").unlink()
    with (folder / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("more\n")
    with pytest.raises(BadInputError, match=r"vocab\.txt.*15 pieces, vocab_size=14"):
        load(folder)


def test_saving_keeps_files_that_do_not_belong_to_the_model(make_model, saved, tmp_path, config):
    folder, backbone = saved("projected sentences", preprocessing=True), make_model("backbone")
    for name in (".git/objects/ab", "README.md", "onnx/model.onnx", "faiss.index", "tf_model.h5"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"an earlier shard")
    save(backbone, folder, check=lambda aside: load(aside))
    kept = [".git", "README.md", "config.json", "faiss.index", "model.safetensors", "onnx", "tf_model.h5"]
    assert sorted(os.listdir(folder)) == kept
    assert (folder / ".git/objects/ab").read_text() == (folder / "onnx/model.onnx").read_text() == "mine"
    assert load(folder).source_format == "hugging_face"
    save(backbone, folder, format="google_tf1")
    assert load(folder).source_format == "google_tf1"
    assert "model.safetensors" not in os.listdir(folder)
    save(backbone, folder)
    assert sorted(os.listdir(folder)) == kept


def test_saving_into_a_folder_without_a_model_overwrites_nothing(make_model, tmp_path):
    backbone = make_model("backbone")
    (tmp_path / "clone/.git").mkdir(parents=True)
    (tmp_path / "clone/README.md").write_text("mine")
    save(backbone, tmp_path / "clone")
    assert sorted(os.listdir(tmp_path / "clone")) == [".git", "README.md", "config.json", "model.safetensors"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_bytes(b"cat")
    (tmp_path / "photos/config.json").write_text("{}")
    with pytest.raises(BadInputError, match=r"config\.json\. Choose another folder, or move these files away"):
        save(backbone, tmp_path / "photos")
    (tmp_path / "photos/config.json").rename(tmp_path / "config.json")
    save(backbone, tmp_path / "photos")
    assert sorted(os.listdir(tmp_path / "photos")) == ["cat.jpg", "config.json", "model.safetensors"]


def test_an_unsupported_model_is_refused_before_anything_is_written(make_model, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    backbone = make_model("backbone")
    with pytest.raises(BadInputError, match="must be a folder"):
        save(backbone, tmp_path / "cat.jpg")
    with pytest.raises(BadInputError, match="`format` must be one of"):
        save(backbone, tmp_path / "new", format="onnx")
    with pytest.raises(BadInputError, match="`model` must be one of"):
        save(keras.Sequential(), tmp_path / "new")
    assert os.listdir(tmp_path) == ["cat.jpg"]


def test_an_interrupted_save_leaves_the_earlier_model(make_model, saved, tmp_path, monkeypatch):
    folder = saved()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kerasbert.checkpoints.formats.hugging_face_folder.write_safetensors", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save(BertSequenceClassifier(make_model("backbone"), 2), folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert os.listdir(tmp_path) == ["model"]
