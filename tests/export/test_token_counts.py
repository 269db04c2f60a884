"""Every signature that takes text says how long the text is and whether the model read all of it."""

import pytest
import tensorflow as tf

from kerasbert.export.served.task import served_model
from kerasbert.export.signatures import METHODS, SIGNATURES
from kerasbert.models import (
    BertMultipleChoice,
    BertPretrainer,
    BertSentenceEncoder,
    BertSpanPredictor,
    BertTokenClassifier,
)

LENGTH = 24  # of the fixture `text_to_inputs`
TEXTS = ["", "good day", "a " * (LENGTH - 2), "a " * (LENGTH - 1), "playing " * 30]
COUNTS = [2, 4, LENGTH, LENGTH + 1, 62]


def counts(outputs):
    return outputs["token_count"].numpy().tolist(), outputs["truncated"].numpy().tolist()


@pytest.fixture(scope="module")
def signatures_of(make_backbone, text_to_inputs):
    def made(kind, labels=None, **arguments):
        return served_model(kind(make_backbone(num_hidden_layers=1), **arguments), text_to_inputs, labels).signatures()

    return made


def test_every_signature_of_text_has_the_counts():
    for form in SIGNATURES.values():
        for name, info in form.items():
            if "token_ids" in info.inputs or name in METHODS:
                continue
            assert {"token_count", "truncated"} <= set(info.outputs), name


def test_counts_are_those_of_the_whole_text_whatever_its_neighbours(signatures_of):
    signatures = signatures_of(BertTokenClassifier, ["O", "B-x", "I-x"], num_labels=3)
    expected = COUNTS, [count > LENGTH for count in COUNTS]
    for name in ("text", "embed", "tokenize", "attention"):
        assert counts(signatures[name](tf.constant(TEXTS))) == expected, name
    for text, count in zip(TEXTS, COUNTS, strict=True):
        assert counts(signatures["text"](tf.constant([text]))) == ([count], [count > LENGTH])
    unread = signatures["text"](tf.constant(TEXTS))["truncated_token_count"].numpy().tolist()
    assert unread == [max(count - LENGTH, 0) for count in COUNTS]


def test_a_pair_counts_both_texts(classifier, text_to_inputs):
    signatures = served_model(classifier, text_to_inputs, ["a", "b", "c"]).signatures()
    pair = signatures["text_pair"](tf.constant(["good day", "a " * 10]), tf.constant(["bad", "a " * 12]))
    assert counts(pair) == ([6, 25], [False, True])

    def example(**texts):
        features = {name: tf.train.Feature(bytes_list={"value": [text.encode()]}) for name, text in texts.items()}
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()

    examples = [example(text="good day"), example(text="good day", text_pair="bad"), example(text="a " * 23)]
    assert counts(signatures["examples"](tf.constant(examples))) == ([4, 6, 25], [False, False, True])


def test_two_vectors_count_both_texts(signatures_of):
    signatures = signatures_of(BertSentenceEncoder)
    outputs = signatures["text_pair"](tf.constant(["good day", "good"]), tf.constant(["bad", "a " * 23]))
    assert counts(outputs) == ([7, 28], [False, True])


def test_windows_read_what_one_row_cannot(signatures_of):
    signatures = signatures_of(BertSpanPredictor)
    context = tf.constant(["good day", "good " * 40, "good " * 5000])
    assert counts(signatures["serving_default"](tf.constant(["bad"] * 3), context)) == (
        [1 + count + 3 for count in (2, 40, 5000)],
        [False, False, True],
    )


def test_every_choice_has_its_own_counts(signatures_of):
    signatures = signatures_of(BertMultipleChoice)
    outputs = signatures["serving_default"](tf.constant(["good day"]), tf.constant([["bad", "a " * 20]]))
    assert counts(outputs) == ([[6, 25]], [[False, True]])


@pytest.mark.parametrize("kind", [BertSentenceEncoder, BertPretrainer])
def test_the_strict_signature_refuses_what_the_other_one_cuts(signatures_of, kind):
    signatures = signatures_of(kind)
    whole = tf.constant(TEXTS[:3])
    answers = signatures["text"](whole)
    strict = signatures["text_strict"](whole)
    assert set(strict) == set(answers)
    for name, values in answers.items():
        assert (strict[name].numpy() == values.numpy()).all(), name
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"at most 24 tokens.*\[3 4\].*\[25 62\].*signature `text`"
    ):
        signatures["text_strict"](tf.constant(TEXTS))
