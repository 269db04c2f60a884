"""One object makes the same inputs in Python, in tf.data and in a SavedModel, and comes back from its files."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import AddedToken, TextToInputs, Vocabulary, WordPieceTokenizer

VOCABULARY = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "!", "the", "dog", "中"])
TEXTS = ["Playing the dog!", "", "中中", "the " * 40, b"\xff dog"]


def rows(inputs, name="token_ids"):
    return inputs[name].numpy().tolist()


def test_a_batch_of_texts():
    inputs = TextToInputs(WordPieceTokenizer(VOCABULARY), sequence_length=8)(TEXTS)
    assert rows(inputs) == [
        [2, 5, 6, 8, 9, 7, 3, 0],
        [2, 3, 0, 0, 0, 0, 0, 0],
        [2, 10, 10, 3, 0, 0, 0, 0],
        [2, 8, 8, 8, 8, 8, 8, 3],
        [2, 9, 3, 0, 0, 0, 0, 0],
    ]
    assert (inputs["padding_mask"].numpy() == (inputs["token_ids"].numpy() != 0)).all()
    assert not inputs["segment_ids"].numpy().any()
    assert {tensor.dtype for tensor in inputs.values()} == {tf.int32}


def test_pairs_in_each_way_of_calling():
    to_inputs = TextToInputs(WordPieceTokenizer(VOCABULARY), sequence_length=8)
    expected = to_inputs((["the dog"], ["playing"]))
    assert rows(expected) == [[2, 8, 9, 3, 5, 6, 3]]
    assert rows(expected, "segment_ids") == [[0, 0, 0, 0, 1, 1, 1]]
    dataset = tf.data.Dataset.from_tensors((["the dog"], ["playing"])).map(to_inputs)
    for inputs in (to_inputs(["the dog"], ["playing"]), next(iter(dataset))):
        assert all((inputs[name].numpy() == expected[name].numpy()).all() for name in expected)


@pytest.mark.parametrize(
    ("padding", "width"), [("longest", 7), ("fixed", 20), (4, 8), (7, 7), (16, 16), (19, 19), (64, 20)]
)
def test_padding(padding, width):
    to_inputs = TextToInputs(WordPieceTokenizer(VOCABULARY), sequence_length=20, padding=padding)
    for inputs in (to_inputs(TEXTS[:3]), next(iter(tf.data.Dataset.from_tensors(TEXTS[:3]).map(to_inputs)))):
        assert {tuple(tensor.shape) for tensor in inputs.values()} == {(3, width)}
    spec = tf.data.Dataset.from_tensors(TEXTS).map(to_inputs).element_spec["token_ids"]
    assert spec.shape == (None, 20) if padding == "fixed" else (None, None)


@pytest.mark.parametrize("padding", ["longest", "fixed", 8])
def test_an_empty_batch(padding):
    inputs = TextToInputs(WordPieceTokenizer(VOCABULARY), sequence_length=16, padding=padding)(
        tf.constant([], tf.string)
    )
    assert all(tensor.shape[0] == 0 and tensor.shape[1] >= 1 for tensor in inputs.values())


class Served(tf.Module):
    """What an export does: the preprocessing object inside a function with a signature."""

    def __init__(self, to_inputs):
        super().__init__()
        self.to_inputs = to_inputs

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string)])
    def serve(self, texts):
        return self.to_inputs(texts)


@pytest.mark.parametrize("normalization", ["google", "tf_text"])
def test_a_moved_saved_model_equals_the_live_object(tmp_path, normalization):
    tokenizer = WordPieceTokenizer(VOCABULARY, normalization=normalization, keep_special_tokens=True)
    to_inputs = TextToInputs(tokenizer, sequence_length=32)
    to_inputs.save(tmp_path / "files")
    served = Served(TextToInputs.load(tmp_path / "files"))
    tf.saved_model.save(served, str(tmp_path / "built"), signatures={"serving_default": served.serve})
    shutil.rmtree(tmp_path / "files")
    shutil.move(tmp_path / "built", tmp_path / "moved")
    signature = tf.saved_model.load(str(tmp_path / "moved")).signatures["serving_default"]
    texts = [*TEXTS, "ΑΣ [MASK] " + "a" * 300, "x" * 1_000_000, "a b " * 250_000, "\0\x01\x02", " \t\n"]
    for batch in (texts, texts[:1], texts[-3:], texts[5:6], []):
        live, remote = to_inputs(tf.constant(batch, tf.string)), signature(tf.constant(batch, tf.string))
        assert all((live[name].numpy() == remote[name].numpy()).all() for name in live)
    for wrong in (tf.constant("a scalar"), tf.constant([["a", "b"]])):
        with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible with expected shape"):
            signature(wrong)


def test_a_pair_of_unequal_batches_is_refused_live_and_in_a_saved_model(tmp_path):
    to_inputs = TextToInputs(WordPieceTokenizer(VOCABULARY))
    with pytest.raises(BadInputError, match=r"same length. Received: 2 first and 1 second segments"):
        to_inputs((["the", "dog"], ["play"]))
    served = tf.Module()
    served.to_inputs = to_inputs
    spec = tf.TensorSpec([None], tf.string)
    served.serve = tf.function(lambda first, second: to_inputs(first, second), input_signature=[spec, spec])
    tf.saved_model.save(served, str(tmp_path), signatures={"serving_default": served.serve})
    signature = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    equal = signature(first=tf.constant(["the", "dog"]), second=tf.constant(["play", ""]))
    assert rows(equal) == [[2, 8, 3, 5, 3], [2, 9, 3, 3, 0]]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"same length.* \[2\] \[1\]"):
        signature(first=tf.constant(["the", "dog"]), second=tf.constant(["play"]))


# Of the ops that are not TensorFlow's own, those that tensorflow-text 2.12.1, and so TF Serving 2.12, has.
TEXT_OPS_OF_2_12 = {"FastBertNormalize", "FastWordpieceTokenizeWithOffsets", "RegexSplitWithOffsets"}


@pytest.mark.parametrize(
    "options", [{}, {"split_cjk": False}, {"normalization": "tf_text", "split_cjk": False}], ids=str
)
def test_the_graph_needs_no_op_that_older_tf_serving_lacks(options):
    added = [AddedToken("the", single_word=True), AddedToken("dog", normalized=False)]
    to_inputs = TextToInputs(WordPieceTokenizer(VOCABULARY, keep_special_tokens=True, added_tokens=added, **options))
    spec = tf.TensorSpec([None], tf.string)
    graph = tf.function(to_inputs).get_concrete_function((spec, spec)).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    ops = {node.op for node in nodes}
    text_ops = {op for op in ops if not hasattr(tf.raw_ops, op)}
    assert {"FastBertNormalize", "FastWordpieceTokenizeWithOffsets"} <= text_ops <= TEXT_OPS_OF_2_12
    assert not {op for op in ops if "Table" in op or op.endswith("PyFunc")}


def test_saves_next_to_other_files_and_reads_back(tmp_path):
    (tmp_path / "model.safetensors").write_text("weights")
    tokenizer = WordPieceTokenizer(VOCABULARY, lower_case=False, split_cjk=False, max_word_length=50)
    TextToInputs(tokenizer, sequence_length=64, truncation="only_second", padding=8).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "preprocessing.json", "vocab.txt"]
    read = TextToInputs.load(tmp_path)
    assert read.get_config() == {
        "sequence_length": 64,
        "truncation": "only_second",
        "padding": 8,
        "pair_segments": True,
        "tokenizer": {
            "lower_case": False,
            "strip_accents": False,
            "split_cjk": False,
            "keep_special_tokens": False,
            "normalization": "google",
            "max_word_length": 50,
            "added_tokens": [],
        },
    }
    assert read.vocabulary == VOCABULARY
    assert TextToInputs.load(tmp_path, sequence_length=16, padding="fixed").get_config()["sequence_length"] == 16


def damage(folder, name, change):
    path = folder / name
    if change is None:
        path.unlink()
    elif callable(change):
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
    else:
        path.write_bytes(change)


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("preprocessing.json", None, "no file"),
        ("vocab.txt", None, "not a file"),
        ("preprocessing.json", b"{", "not valid JSON"),
        ("preprocessing.json", b"\xff\xfe", "not valid JSON"),
        ("preprocessing.json", b"[1]", "something else"),
        ("preprocessing.json", b'{"tokenizer": 3}', "something else"),
        ("preprocessing.json", lambda settings: {**settings, "colour": "red"}, "colour"),
        ("preprocessing.json", lambda settings: {**settings, "tokenizer": {"normalization": "x"}}, "normalization"),
        ("preprocessing.json", lambda settings: {**settings, "sequence_length": "many"}, "sequence_length"),
        ("vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", "11 pieces"),
    ],
)
def test_broken_files_are_named(tmp_path, name, change, complaint):
    TextToInputs(WordPieceTokenizer(VOCABULARY)).save(tmp_path)
    damage(tmp_path, name, change)
    with pytest.raises(BadInputError, match=complaint) as caught:
        TextToInputs.load(tmp_path)
    assert name in str(caught.value)


@pytest.mark.parametrize("padding", ["widest", 0, -8, True, 2.5, None])
def test_a_wrong_padding_is_named(padding):
    with pytest.raises(ValueError, match="padding"):
        TextToInputs(WordPieceTokenizer(VOCABULARY), padding=padding)


def test_wrong_texts_are_named():
    to_inputs = TextToInputs(WordPieceTokenizer(VOCABULARY))
    with pytest.raises(ValueError, match="pair of batches"):
        to_inputs((["a"], ["b"], ["c"]))
    with pytest.raises(ValueError, match="second argument"):
        to_inputs((["a"], ["b"]), ["c"])
    for wrong in ("one text", [["nested"]], 3, np.zeros(2), tf.ragged.constant([["a"]])):
        with pytest.raises(ValueError, match="batch of strings"):
            to_inputs(wrong)
