"""Google's TensorFlow 1 layout, both ways, on a published tiny checkpoint and on models of our own."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.checkpoints import convert, largest_differences, load, load_backbone, save
from kerasbert.checkpoints.formats.tensorflow_checkpoint import find_prefix, read_tensorflow, write_tensorflow
from kerasbert.errors import BadInputError
from kerasbert.models import BertPretrainer

KINDS = [
    "backbone",
    "pretrainer",
    "single label",
    "multi-label",
    "regression",
    "spans",
    "sentences",
    "projected sentences",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_loaded_bit_for_bit(kind, make_model, config, saved, text_to_inputs, assert_same_weights, tmp_path):
    model = make_model(kind)
    folder = saved(kind, preprocessing=True, format="google_tf1")
    loaded = load(folder)
    assert loaded.source_format == "google_tf1"
    assert type(loaded.model) is type(model)
    assert loaded.config == config
    assert loaded.text_to_inputs.get_config() == text_to_inputs.get_config()
    assert_same_weights(loaded.model, model)
    for name in ("problem_type", "dropout", "num_labels", "pooling", "normalize", "projections"):
        assert getattr(loaded.model, name, None) == getattr(model, name, None)
    assert set(largest_differences(model, loaded.model).values()) == {0.0}
    again = save(loaded.model, tmp_path / "again", loaded.text_to_inputs, format="google_tf1")
    for file in folder.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()


def test_files_are_those_that_google_reads(make_model, text_to_inputs, tmp_path):
    """`init_from_checkpoint` finds its variables by these names; `BertConfig.from_json_file` takes any key."""
    folder = save(make_model("pretrainer"), tmp_path / "model", text_to_inputs, format="google_tf1")
    assert {file.name for file in folder.iterdir()} == {
        *("bert_config.json", "bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"),
        *("vocab.txt", "preprocessing.json"),
    }
    variables = dict(tf.train.list_variables(str(folder / "bert_model.ckpt")))
    assert variables["bert/encoder/layer_1/intermediate/dense/kernel"] == [8, 12]
    assert variables["cls/seq_relationship/output_weights"] == [2, 8]
    assert len(variables) == 5 + 2 * 16 + 2 + 5 + 2
    config = json.loads((folder / "bert_config.json").read_text())
    assert config["hidden_act"] == "gelu_erf"  # refused by Google's code, which has the tanh form only
    expected = make_model("pretrainer").backbone.pooler.kernel.numpy()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        with tf.compat.v1.variable_scope("bert/pooler/dense"):
            kernel = tf.compat.v1.get_variable("kernel", [8, 8])
        tf.compat.v1.train.Saver().restore(session, str(folder / "bert_model.ckpt"))
        np.testing.assert_array_equal(session.run(kernel), expected)


def test_the_published_tiny_checkpoint_loads_with_its_heads(shared_data, tmp_path):
    source = shared_data / "google-tf1-checkpoint"
    loaded = load(source)
    assert isinstance(loaded.model, BertPretrainer)
    assert loaded.source_format == "google_tf1"
    assert (loaded.absent, loaded.dropped) == ((), ())
    assert (loaded.config.hidden_act, loaded.config.type_vocab_size, loaded.config.layer_norm_eps) == (
        *("gelu_tanh", 2),
        1e-12,
    )
    assert loaded.text_to_inputs.tokenizer.lower_case
    assert loaded.text_to_inputs(["All work and no play"])["token_ids"].numpy().tolist() == [[2, 5, 6, 7, 8, 9, 3]]
    reader = tf.train.load_checkpoint(str(source / "bert_model.ckpt"))
    head = loaded.model.next_sentence_head
    np.testing.assert_array_equal(head.kernel.numpy().T, reader.get_tensor("cls/seq_relationship/output_weights"))
    key = loaded.model.backbone.encoder_blocks[1].attention.key
    np.testing.assert_array_equal(key.bias.numpy(), reader.get_tensor("bert/encoder/layer_1/attention/self/key/bias"))
    for format in ("google_tf1", "hugging_face"):
        report = convert(source, tmp_path / format, format)
        assert report.largest_difference == 0
        assert report.num_weights == 46
    written = read_tensorflow(tmp_path / "google_tf1/bert_model.ckpt")
    assert written.keys() == read_tensorflow(source / "bert_model.ckpt").keys()
    for name, array in written.items():
        np.testing.assert_array_equal(array, reader.get_tensor(name))
    assert len(load_backbone(source).dropped) == 7


def test_segments_default_to_google_s_sixteen(saved, edit_json):
    folder = saved(format="google_tf1")
    edit_json(folder / "bert_config.json", type_vocab_size=None)
    with pytest.raises(BadInputError, match=r"token_type_embeddings has \[3, 8\] and not \[16, 8\]"):
        load(folder)


def test_missing_and_unexpected_weights_are_named(saved):
    folder = saved("pretrainer", format="google_tf1")
    arrays = read_tensorflow(folder / "bert_model.ckpt")
    del arrays["bert/encoder/layer_0/attention/self/key/bias"], arrays["cls/predictions/output_bias"]
    arrays |= {"bert/encoder/layer_2/output/dense/bias": np.zeros(8, "float32"), "global_step": np.int64(3)}
    arrays |= {"bert/pooler/dense/bias/adam_m": np.zeros(8, "float32"), "beta1_power": np.float32(0.9)}
    write_tensorflow(folder / "bert_model.ckpt", arrays)
    with pytest.raises(BadInputError) as caught:
        load(folder)
    message = str(caught.value)
    assert "bert_model.ckpt with bert_config.json" in message
    assert "Missing: bert/encoder/layer_0/attention/self/key/bias, cls/predictions/output_bias." in message
    assert "Left over: bert/encoder/layer_2/output/dense/bias." in message


def test_a_missing_or_damaged_file_is_named(saved, tmp_path):
    folder = saved(format="google_tf1")
    data = folder / "bert_model.ckpt.data-00000-of-00001"
    content = data.read_bytes()
    for damaged in (content[:-40], None):
        data.write_bytes(damaged) if damaged else data.unlink()
        with pytest.raises(BadInputError, match=r"bert_model\.ckpt.*: a TensorFlow checkpoint must have"):
            load(folder)
    data.write_bytes(content)
    (folder / "bert_model.ckpt.index").write_bytes(b"no index")
    with pytest.raises(BadInputError, match=r"bert_model\.ckpt.*: a TensorFlow checkpoint must have"):
        load(folder)


def test_the_config_must_be_in_the_same_folder(saved):
    folder = saved(format="google_tf1")
    (folder / "bert_config.json").unlink()
    with pytest.raises(BadInputError, match=r"the folder must contain the config of the checkpoint, bert_config\.json"):
        load(folder)


def test_several_checkpoints_need_a_choice(saved):
    folder = saved(format="google_tf1")
    for name in ("model.ckpt-10", "model.ckpt-20"):
        for suffix in (".index", ".data-00000-of-00001"):
            shutil.copy(folder / f"bert_model.ckpt{suffix}", folder / f"{name}{suffix}")
    assert find_prefix(folder) == folder / "bert_model.ckpt"
    (folder / "bert_model.ckpt.index").unlink()
    with pytest.raises(
        BadInputError, match=r"the folder must contain one checkpoint\. Received: model\.ckpt-10, model\.ckpt-20"
    ):
        load(folder)
    (folder / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-10"\n')
    assert find_prefix(folder) == folder / "model.ckpt-10"
    assert find_prefix(folder / "model.ckpt-20") == folder / "model.ckpt-20"
    assert find_prefix(folder / "model.ckpt-20.index") == folder / "model.ckpt-20"
    assert load(folder / "model.ckpt-20").config.hidden_size == 8


def test_a_cased_vocabulary_is_recognized_by_its_pieces(saved):
    folder = saved("backbone", preprocessing=True, format="google_tf1")
    (folder / "preprocessing.json").unlink()
    assert load(folder).text_to_inputs.tokenizer.lower_case
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").replace("cat", "Cat")
    (folder / "vocab.txt").write_text(pieces, encoding="utf-8")
    tokenizer = load(folder).text_to_inputs.tokenizer
    assert (tokenizer.lower_case, tokenizer.strip_accents) == (False, False)


@pytest.mark.parametrize("kind", ["tokens", "choices"])
def test_a_head_that_google_lacks_is_refused(kind, make_model, tmp_path):
    with pytest.raises(BadInputError, match=r"The layout of google-research/bert must be used for"):
        save(make_model(kind), tmp_path / "model", format="google_tf1")
    assert list(tmp_path.iterdir()) == []
