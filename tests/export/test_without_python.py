"""In TensorFlow's C library, as in TF Serving, the model gives the same answers, and no input can crash the process.

TF Serving does not compare what is fed with the signature, so the graph itself must: an INVALID_ARGUMENT becomes a 400.
"""

import numpy as np
import pytest
import tensorflow as tf

from kerasbert import export
from kerasbert.models import BertSpanPredictor, BertTokenClassifier
from kerasbert.preprocessing import AddedToken, TextToInputs, WordPieceTokenizer

TOLERANCE = 1e-5
INVALID_ARGUMENT = 3
TEXTS = ["the good day", "", "playing, plays!", "ÖÖ 日本 xyz", "bad " * 60]
# Texts that could break a tokenizer.
HOSTILE = [
    b"\xff\xfe bad \xc3",
    b"\x00\x01\n\t\r ",
    "\u2028\ufeff\u200b\u0301".encode(),
    b"\xf4\x90\x80\x80 \xed\xa0\x80",
    "a b " * 262144,
    "x" * 1048576,
    "日" * 349525,
    "é" * 524288,
    b"\xff" * 1048576,
]
# Shapes other than [batch].
SCALAR, TABLE, EMPTY_TABLE = np.array("x", object), np.array([["x", "y"], ["z", "w"]], object), np.empty([0, 3], object)


def text_calls(name, *inputs):
    """Make calls of a signature whose inputs are all strings [batch]: valid ones, and wrong shapes of each input."""
    good = [{key: np.array(texts, object) for key in inputs} for texts in (TEXTS, HOSTILE[:4], [])]
    good += [{key: np.array([text], object) for key in inputs} for text in HOSTILE]
    wrong = [
        {key: shape if key == wrong_one else np.array(["x", "y"], object) for key in inputs}
        for wrong_one in inputs
        for shape in (SCALAR, TABLE, EMPTY_TABLE)
    ]
    return [(name, call) for call in good], [(name, call) for call in wrong]


def check(native, folder, good, wrong):
    """Check that valid calls return one row for each row of the request, and invalid ones are the caller's fault."""
    replies = native(folder, good + wrong)
    for (name, inputs), reply in zip(good, replies, strict=False):
        batch = len(next(iter(inputs.values())))
        assert isinstance(reply, dict), (name, reply)
        assert {len(values) for values in reply.values()} == {batch}
        for values in reply.values():
            assert values.dtype == object or np.isfinite(values).all()
    for (name, inputs), reply in zip(wrong, replies[len(good) :], strict=True):
        shapes = {key: np.shape(value) for key, value in inputs.items()}
        assert isinstance(reply, tuple), (name, shapes, reply)
        assert reply[0] == INVALID_ARGUMENT, (name, shapes, reply)
    return replies


def test_the_answers_equal_those_of_the_live_model(native, classifier, classifier_folder, text_to_inputs):
    texts = np.array(TEXTS, object)
    calls = [("serving_default", {"text": texts}), ("text_pair", {"text": texts, "text_pair": texts[::-1]})]
    calls += [("embed", {"text": texts}), ("tokenize", {"text": texts})]
    default, pairs, embedded, tokens = native(classifier_folder, calls)
    to_inputs = TextToInputs(text_to_inputs.tokenizer, sequence_length=24)
    np.testing.assert_allclose(default["logits"], classifier(to_inputs(TEXTS), training=False), atol=TOLERANCE)
    live_pairs = classifier(to_inputs((TEXTS, TEXTS[::-1])), training=False)
    np.testing.assert_allclose(pairs["logits"], live_pairs, atol=TOLERANCE)
    encoded = classifier.backbone(to_inputs(TEXTS), training=False)
    np.testing.assert_allclose(embedded["pooled_output"], encoded["pooled_output"], atol=TOLERANCE)
    np.testing.assert_array_equal(tokens["token_ids"], to_inputs(TEXTS)["token_ids"])


def test_added_tokens_are_found_in_any_text(native, classifier, vocabulary, tmp_path):
    tokens = [AddedToken("day", single_word=True), AddedToken("play", normalized=False), AddedToken("日")]
    to_inputs = TextToInputs(WordPieceTokenizer(vocabulary, added_tokens=tokens), sequence_length=24)
    folder = export.save(classifier, tmp_path / "model", to_inputs)
    texts = np.array(["DAY days", "xplayx日本", "no such", "", "day" * 9], object)
    good = [("tokenize", {"text": texts})]
    for text in HOSTILE[:4]:
        good.append(("text", {"text": np.array([text + b"day", "日".encode() + text, b"play"], object)}))
    tokens, *_ = check(native, folder, good, [("text", {"text": SCALAR}), ("tokenize", {"text": TABLE})])
    live = to_inputs(texts)["token_ids"].numpy()
    np.testing.assert_array_equal(tokens["token_ids"], live)
    assert {vocabulary.id_of("day"), vocabulary.id_of("play"), vocabulary.id_of("日")} <= set(live[:2].ravel().tolist())


def test_no_text_and_no_shape_crashes_a_classifier(native, classifier_folder):
    good, wrong = [], []
    for name, *inputs in (
        ("text", "text"),
        ("text_pair", "text", "text_pair"),
        ("embed", "text"),
        ("tokenize", "text"),
        ("attention", "text"),
    ):
        answered, refused = text_calls(name, *inputs)
        good += answered
        wrong += refused
    two, one = np.array(["x", "y"], object), np.array(["x"], object)
    wrong.append(("text_pair", {"text": two, "text_pair": one}))
    good.append(("attention_layers", {"text": two, "layers": np.array([[1, 0], [1, 1]], np.int32)}))
    for layers in ([0, 0], [[0]], [[2], [0]], [[-1], [0]], 0):
        wrong.append(("attention_layers", {"text": two, "layers": np.array(layers, np.int32)}))
    wrong.append(("attention_layers", {"text": SCALAR, "layers": np.array([[0]], np.int32)}))
    for name, key in (("examples", "examples"), ("classify", "inputs")):
        good.append((name, {key: np.empty([0], object)}))
        wrong += [(name, {key: value}) for value in (SCALAR, TABLE, one, np.array([b"\xff\xff"], object))]
        without_text = tf.train.Example().SerializeToString()
        wrong.append((name, {key: np.array([without_text], object)}))
    check(native, classifier_folder, good, wrong)


def ids_call(token_ids, segment_ids=None, padding_mask=None):
    """Make a call of `token_ids`. Missing inputs get values that fit the ids."""
    token_ids = np.array(token_ids, np.int32)
    zeros = np.zeros_like(token_ids)
    return (
        "token_ids",
        {
            "token_ids": token_ids,
            "segment_ids": zeros if segment_ids is None else np.array(segment_ids, np.int32),
            "padding_mask": np.ones_like(token_ids) if padding_mask is None else np.array(padding_mask, np.int32),
        },
    )


def test_no_ids_crash_a_classifier(native, classifier_folder):
    good = [
        ids_call([[2, 5, 3]]),
        ids_call([[2, 5, 3]], padding_mask=[[0, 0, 0]]),
        ids_call([[2, 5, 3]], padding_mask=[[7, -3, 1]]),
        ids_call(np.empty([0, 3])),
        ids_call([[2] + [5] * 31]),
    ]
    wrong = [
        ids_call([[2, 99999, 3]]),
        ids_call([[2, -1, 3]]),
        ids_call([[2, 5, 3]], segment_ids=[[0, 2, 0]]),
        ids_call([[2, 5, 3]], segment_ids=[[0, -1, 0]]),
        ids_call([[2, 5, 3]], segment_ids=[[0]]),
        ids_call([[2, 5, 3]], padding_mask=[[1]]),
        ids_call([[2, 5, 3]], padding_mask=[1, 1, 1]),
        ids_call(5),
        ids_call([2, 5, 3]),
        ids_call([[[2, 5, 3]]]),
        ids_call(np.empty([1, 0])),
        ids_call([[2] + [5] * 32]),
    ]
    replies = check(native, classifier_folder, good, wrong)
    assert "99999" in replies[len(good)][1]
    assert "max_position_embeddings=32" in replies[-1][1]


@pytest.mark.slow
def test_a_token_classifier_answers_any_text(native, make_backbone, text_to_inputs, tmp_path):
    model = BertTokenClassifier(make_backbone(), num_labels=3)
    folder = export.save(model, tmp_path, text_to_inputs, labels=["O", "B-x", "I-x"])
    check(native, folder, *text_calls("text", "text"))


@pytest.mark.slow
def test_a_span_predictor_answers_any_text(native, make_backbone, text_to_inputs, tmp_path):
    folder = export.save(BertSpanPredictor(make_backbone()), tmp_path, text_to_inputs)
    check(native, folder, *text_calls("serving_default", "question", "context"))


@pytest.mark.slow
def test_a_masked_language_model_answers_any_text(native, pretrainer, text_to_inputs, tmp_path):
    folder = export.save(pretrainer, tmp_path, text_to_inputs)
    good, wrong = text_calls("text", "text")
    good += text_calls("text_pair", "text", "text_pair")[0] + text_calls("tokenize", "text")[0]
    good.append(("text", {"text": np.array(["[MASK]" * 100000, "[MASK", "", "a[MASK]"], object)}))
    name, inputs = ids_call([[2, 4, 3]])
    good.append((name, {**inputs, "mask_positions": np.array([[1]], np.int32)}))
    for positions in ([[3]], [[-1]], [1], [[1], [1]]):
        wrong.append((name, {**inputs, "mask_positions": np.array(positions, np.int32)}))
    check(native, folder, good, wrong)
