"""The exported model gives the same answers as the live model for any batch, and its folder needs no other file."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kerasbert import export
from kerasbert.errors import BadInputError
from kerasbert.export.served.task import served_model
from kerasbert.models import BertSequenceClassifier
from kerasbert.preprocessing import TextToInputs

TOLERANCE = 1e-5
TEXTS = ["the good day", "", "playing, plays!", "bad " * 60, "ÖÖ 日本 xyz", "a"]
PAIRS = ["bad", "the play", "", "good " * 50, "日", "b"]
LABELS = ["positive", "négative", 'very "odd"\nlabel']


def example(**texts):
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()])) for name, text in texts.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def live_logits(model, text_to_inputs, text):
    return model(text_to_inputs(text), training=False).numpy()


def decoded(strings):
    return np.vectorize(lambda string: string.decode(), otypes=[object])(strings.numpy())


def test_the_text_signature_equals_the_live_model_at_any_batch_size(classifier, text_to_inputs, classifier_signatures):
    expected = live_logits(classifier, text_to_inputs, TEXTS)
    for name in ("serving_default", "text"):
        for size in (1, 2, len(TEXTS)):
            logits = classifier_signatures[name](text=tf.constant(TEXTS[:size]))["logits"].numpy()
            np.testing.assert_allclose(logits, expected[:size], atol=TOLERANCE)


def test_each_row_is_independent_of_its_neighbours(classifier_signatures):
    together = classifier_signatures["text"](text=tf.constant(TEXTS))["logits"].numpy()
    for row, text in enumerate(TEXTS):
        alone = classifier_signatures["text"](text=tf.constant([text]))["logits"].numpy()
        np.testing.assert_allclose(together[row], alone[0], atol=TOLERANCE)
    assert np.ptp(together, axis=0).min() > 100 * TOLERANCE, "the rows are too alike for this test to show anything"


def test_a_classifier_answers_with_labels_best_first(classifier, text_to_inputs, classifier_signatures):
    answer = classifier_signatures["text"](text=tf.constant(TEXTS))
    expected = tf.nn.softmax(live_logits(classifier, text_to_inputs, TEXTS)).numpy()
    order = np.argsort(-expected, axis=1)
    np.testing.assert_array_equal(decoded(answer["labels"]), np.array(LABELS, dtype=object)[order])
    np.testing.assert_allclose(answer["probabilities"], np.take_along_axis(expected, order, axis=1), atol=TOLERANCE)
    np.testing.assert_array_equal(answer["label"], answer["labels"][:, 0])
    np.testing.assert_array_equal(answer["probability"], answer["probabilities"][:, 0])
    assert {name: values.dtype.name for name, values in answer.items()} == {
        "label": "string",
        "labels": "string",
        "probability": "float32",
        "probabilities": "float32",
        "logits": "float32",
        "token_count": "int32",
        "truncated": "bool",
    }


def test_pairs_equal_the_live_model(classifier, text_to_inputs, classifier_signatures):
    logits = classifier_signatures["text_pair"](text=tf.constant(TEXTS), text_pair=tf.constant(PAIRS))["logits"]
    expected = live_logits(classifier, text_to_inputs, (TEXTS, PAIRS))
    np.testing.assert_allclose(logits, expected, atol=TOLERANCE)


def test_examples_with_and_without_a_second_text_share_a_batch(classifier, text_to_inputs, classifier_signatures):
    singles = live_logits(classifier, text_to_inputs, TEXTS)
    pairs = live_logits(classifier, text_to_inputs, (TEXTS, PAIRS))
    for has_pair in ([False] * 6, [True] * 6, [True, False, True, False, False, True]):
        examples = [
            example(text=text, text_pair=pair, label="ignored") if paired else example(text=text)
            for text, pair, paired in zip(TEXTS, PAIRS, has_pair, strict=True)
        ]
        logits = classifier_signatures["examples"](examples=tf.constant(examples))["logits"]
        expected = np.where(np.array(has_pair)[:, None], pairs, singles)
        np.testing.assert_allclose(logits, expected, atol=TOLERANCE)


def test_the_clients_own_token_ids_equal_the_live_model(classifier, text_to_inputs, classifier_signatures):
    inputs = text_to_inputs((TEXTS, PAIRS))
    logits = classifier_signatures["token_ids"](**inputs)["logits"]
    np.testing.assert_allclose(logits, classifier(inputs, training=False), atol=TOLERANCE)


def test_the_padding_that_the_server_adds_to_ids_changes_nothing(classifier, text_to_inputs, classifier_signatures):
    inputs = {name: values[:, :5] for name, values in text_to_inputs(["the good day"]).items()}
    # TF Serving's `pad_variable_length_inputs` repeats each tensor's first element.
    padded = {
        name: np.pad(values, [[0, 0], [0, 4]], constant_values=values[0, 0].numpy()) for name, values in inputs.items()
    }
    logits = classifier_signatures["token_ids"](**{name: tf.constant(values) for name, values in padded.items()})
    np.testing.assert_allclose(logits["logits"], classifier(inputs, training=False), atol=TOLERANCE)


def test_embeddings_are_means_over_the_real_tokens(backbone, text_to_inputs, backbone_signatures):
    answer = backbone_signatures["embed"](text=tf.constant(TEXTS))
    for row, text in enumerate(TEXTS):
        inputs = TextToInputs(text_to_inputs.tokenizer, sequence_length=24)([text])
        encoded = backbone(inputs, training=False)
        np.testing.assert_allclose(
            answer["embedding"][row], encoded["sequence_output"].numpy()[0].mean(axis=0), atol=TOLERANCE
        )
        np.testing.assert_allclose(answer["pooled_output"][row], encoded["pooled_output"][0], atol=TOLERANCE)


def test_a_backbone_returns_its_hidden_states(backbone, text_to_inputs, backbone_signatures):
    inputs = TextToInputs(text_to_inputs.tokenizer, sequence_length=24)(TEXTS)
    encoded = backbone(inputs, training=False)
    for answer in (backbone_signatures["text"](text=tf.constant(TEXTS)), backbone_signatures["token_ids"](**inputs)):
        np.testing.assert_allclose(answer["sequence_output"], encoded["sequence_output"], atol=TOLERANCE)
        np.testing.assert_allclose(answer["pooled_output"], encoded["pooled_output"], atol=TOLERANCE)
        np.testing.assert_array_equal(answer["padding_mask"], inputs["padding_mask"])


def test_tokenize_returns_the_tokens_and_their_byte_offsets(text_to_inputs, classifier_signatures):
    answer = {
        name: values.numpy() for name, values in classifier_signatures["tokenize"](text=tf.constant(TEXTS)).items()
    }
    expected = TextToInputs(text_to_inputs.tokenizer, sequence_length=24)(TEXTS)
    np.testing.assert_array_equal(answer["token_ids"], expected["token_ids"])
    np.testing.assert_array_equal(answer["padding_mask"], expected["padding_mask"])
    row = TEXTS.index("ÖÖ 日本 xyz")
    text = TEXTS[row].encode()
    spans = [
        (piece.decode(), text[start:end].decode())
        for piece, start, end, is_real in zip(
            answer["pieces"][row], answer["starts"][row], answer["ends"][row], answer["padding_mask"][row], strict=True
        )
        if is_real
    ]
    assert spans == [
        ("[CLS]", ""),
        ("o", "Ö"),
        ("##o", "Ö"),
        ("日", "日"),
        ("本", "本"),
        ("x", "x"),
        ("##y", "y"),
        ("##z", "z"),
        ("[SEP]", ""),
    ]


def test_the_batch_is_padded_to_its_longest_text_only(classifier_signatures):
    for texts, tokens in ((["a"], 3), (["a", "a b c d"], 6), (["a", "b " * 100], 24)):
        assert classifier_signatures["tokenize"](text=tf.constant(texts))["token_ids"].shape == (len(texts), tokens)


def test_a_masked_language_model_fills_its_masks(pretrainer, text_to_inputs, vocabulary, pretrainer_signatures):
    texts = ["the [MASK] day [MASK]", "no mask", "[MASK]"]
    answer = pretrainer_signatures["text"](text=tf.constant(texts))
    np.testing.assert_array_equal(answer["mask_count"], [2, 0, 1])
    assert answer["pieces"].shape == (3, 2, 5)
    ids = [vocabulary.id_of(piece) for piece in ("[CLS]", "the", "[MASK]", "day", "[MASK]", "[SEP]")]
    inputs = {
        "token_ids": tf.constant([ids]),
        "segment_ids": tf.zeros([1, 6], tf.int32),
        "padding_mask": tf.ones([1, 6], tf.int32),
        "mask_positions": tf.constant([[2, 4]]),
    }
    logits = pretrainer(inputs, training=False)["masked_lm"][0, :, : len(vocabulary)]
    probabilities = tf.nn.softmax(logits).numpy()
    best = np.argsort(-probabilities, axis=1)[:, :5]
    assert decoded(answer["pieces"][0]).tolist() == [[vocabulary.pieces[index] for index in row] for row in best]
    np.testing.assert_allclose(
        answer["probabilities"][0], np.take_along_axis(probabilities, best, axis=1), atol=TOLERANCE
    )
    assert set(answer["pieces"][1].numpy().ravel()) == {b""}
    assert not answer["probabilities"][1].numpy().any()


def test_a_pretrainer_returns_the_probability_that_the_second_text_follows(
    pretrainer, text_to_inputs, pretrainer_signatures
):
    answer = pretrainer_signatures["text_pair"](text=tf.constant(TEXTS), text_pair=tf.constant(PAIRS))
    inputs = dict(text_to_inputs((TEXTS, PAIRS)))
    inputs["mask_positions"] = tf.zeros([len(TEXTS), 1], tf.int32)
    live = pretrainer(inputs, training=False)
    np.testing.assert_allclose(
        answer["is_next_probability"], tf.nn.softmax(live["next_sentence"])[:, 0], atol=TOLERANCE
    )
    by_ids = pretrainer_signatures["token_ids"](**inputs)
    np.testing.assert_allclose(by_ids["next_sentence"], live["next_sentence"], atol=TOLERANCE)
    # The model has more rows than the vocabulary has pieces. Their scores are never returned.
    pieces = len(text_to_inputs.vocabulary)
    assert live["masked_lm"].shape[-1] == pieces + 3
    np.testing.assert_allclose(by_ids["masked_lm"], live["masked_lm"][:, :, :pieces], atol=TOLERANCE)


def test_tokenize_keeps_the_masks_of_a_masked_language_model(pretrainer_signatures):
    texts = ["the [MASK] dä[MASK][MASK]", "", "[MASK]", "a"]
    answer = {
        name: values.numpy() for name, values in pretrainer_signatures["tokenize"](text=tf.constant(texts)).items()
    }
    spans = [
        [(piece.decode(), text.encode()[start:end].decode()) for piece, start, end in zip(*row, strict=True) if end]
        for text, *row in zip(texts, answer["pieces"], answer["starts"], answer["ends"], strict=True)
    ]
    masked = ("[MASK]", "[MASK]")
    assert spans == [[("the", "the"), masked, ("d", "d"), ("##a", "ä"), masked, masked], [], [masked], [("a", "a")]]


@pytest.mark.parametrize(("num_labels", "activation"), [(1, "sigmoid"), (2, None)])
def test_a_regression_model_returns_its_numbers(make_backbone, text_to_inputs, tmp_path, num_labels, activation):
    model = BertSequenceClassifier(make_backbone(), num_labels, problem_type="regression", activation=activation)
    signatures = tf.saved_model.load(str(export.save(model, tmp_path, text_to_inputs)))
    answer = signatures.signatures["text"](text=tf.constant(TEXTS))
    expected = live_logits(model, text_to_inputs, TEXTS)
    logits = answer["logits"].numpy()
    # The logits are raw: a cross-encoder's sigmoid is applied to them once.
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)) if activation else logits, expected, atol=TOLERANCE)
    np.testing.assert_allclose(answer["prediction"], expected[:, 0] if num_labels == 1 else expected, atol=TOLERANCE)


def test_classes_have_the_scores_of_the_models_own_activation(make_backbone, text_to_inputs):
    model = BertSequenceClassifier(make_backbone(), num_labels=3, activation="sigmoid")
    answer = served_model(model, text_to_inputs, LABELS).signatures()["text"](text=tf.constant(TEXTS))
    logits = live_logits(model, text_to_inputs, TEXTS)
    np.testing.assert_allclose(answer["logits"], logits, atol=TOLERANCE)
    np.testing.assert_allclose(answer["probabilities"], -np.sort(-1 / (1 + np.exp(-logits)), axis=1), atol=TOLERANCE)


def test_several_labels_at_once_have_separate_probabilities(make_backbone, text_to_inputs, tmp_path):
    model = BertSequenceClassifier(make_backbone(), num_labels=3, problem_type="multi_label_classification")
    loaded = tf.saved_model.load(str(export.save(model, tmp_path, text_to_inputs)))
    answer = loaded.signatures["text"](text=tf.constant(TEXTS))
    expected = tf.nn.sigmoid(live_logits(model, text_to_inputs, TEXTS)).numpy()
    np.testing.assert_allclose(answer["probabilities"], -np.sort(-expected, axis=1), atol=TOLERANCE)
    names = np.array(["LABEL_0", "LABEL_1", "LABEL_2"], dtype=object)
    np.testing.assert_array_equal(decoded(answer["labels"]), names[np.argsort(-expected, axis=1)])


def test_mixed_precision_answers_in_float32(make_backbone, text_to_inputs, tmp_path):
    import keras

    weights = make_backbone()
    config = weights.get_config() | {"dtype": keras.dtype_policies.serialize(keras.DTypePolicy("mixed_bfloat16"))}
    model = type(weights).from_config(config)
    model.set_weights(weights.get_weights())
    loaded = tf.saved_model.load(str(export.save(model, tmp_path, text_to_inputs)))
    for name in ("text", "embed"):
        answer = loaded.signatures[name](text=tf.constant(TEXTS))
        assert {values.dtype for values in answer.values()} <= {tf.float32, tf.int32, tf.bool}
    expected = model(TextToInputs(text_to_inputs.tokenizer, 24)(TEXTS), training=False)["pooled_output"]
    np.testing.assert_allclose(answer["pooled_output"], tf.cast(expected, tf.float32), atol=2e-2)


def test_the_folder_contains_everything_it_needs(classifier, classifier_folder, vocabulary, tmp_path):
    moved = shutil.copytree(classifier_folder, tmp_path / "elsewhere" / "7")
    assets = moved / "assets"
    assert (assets / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1] == list(vocabulary.pieces)
    assert json.loads((assets / "labels.json").read_text(encoding="utf-8")) == LABELS
    assert json.loads((assets / "config.json").read_text())["hidden_size"] == 16
    assert TextToInputs.load(assets).sequence_length == 24
    names = {name for name, _ in tf.train.list_variables(str(moved / "variables" / "variables"))}
    saved = {name for name in names if name.startswith("weights/")}
    assert len(saved) == len(classifier.weights)
    assert names - saved <= {"_CHECKPOINTABLE_OBJECT_GRAPH"}, "weights only, no optimizer"


@pytest.mark.slow
def test_another_process_loads_it_with_the_library_absent(classifier, text_to_inputs, classifier_folder, tmp_path):
    moved = shutil.copytree(classifier_folder, tmp_path / "3")
    program = (
        "import sys, tensorflow as tf, tensorflow_text, numpy as np\n"
        "answer = tf.saved_model.load(sys.argv[1]).signatures['text'](text=tf.constant(sys.argv[3:]))\n"
        "np.save(sys.argv[2], answer['logits'])\n"
        "assert 'kerasbert' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, moved, tmp_path / "logits.npy", *TEXTS], check=True, cwd=tmp_path)
    np.testing.assert_allclose(
        np.load(tmp_path / "logits.npy"), live_logits(classifier, text_to_inputs, TEXTS), atol=TOLERANCE
    )


def test_a_failure_leaves_no_half_written_version(classifier, text_to_inputs, tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        export.save(classifier, tmp_path / "model", text_to_inputs)
    assert list((tmp_path / "model").iterdir()) == []


def test_parts_that_do_not_fit_are_refused(classifier, make_backbone, text_to_inputs, tmp_path):
    with pytest.raises(BadInputError, match="Received: 2 names"):
        export.save(classifier, tmp_path, text_to_inputs, labels=["a", "b"])
    with pytest.raises(BadInputError, match="2 of them different"):
        export.save(classifier, tmp_path, text_to_inputs, labels=["a", "b", "a"])
    with pytest.raises(BadInputError, match="vocab_size=20"):
        export.save(make_backbone(vocab_size=20), tmp_path, text_to_inputs)
    with pytest.raises(BadInputError, match="max_position_embeddings=16"):
        export.save(make_backbone(max_position_embeddings=16), tmp_path, text_to_inputs)
    with pytest.raises(BadInputError, match="Received: Dense"):
        export.save(tf.keras.layers.Dense(1), tmp_path, text_to_inputs)
    for features in ({"text_feature": "x", "pair_feature": "x"}, {"text_feature": "text_pair"}):
        with pytest.raises(BadInputError, match="`text_feature` and `pair_feature` must differ"):
            export.save(classifier, tmp_path, text_to_inputs, **features)
    with pytest.raises(ValueError, match="must be the `TextToInputs`"):
        export.save(classifier, tmp_path, lambda texts: texts)
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_one_segment_takes_no_pairs(make_backbone, text_to_inputs, tmp_path):
    model = make_backbone(type_vocab_size=1)
    loaded = tf.saved_model.load(str(export.save(model, tmp_path, text_to_inputs)))
    assert "text_pair" not in loaded.signatures
    answer = loaded.signatures["examples"](examples=tf.constant([example(text="the day")]))
    expected = loaded.signatures["text"](text=tf.constant(["the day"]))
    np.testing.assert_allclose(answer["pooled_output"], expected["pooled_output"], atol=TOLERANCE)


def test_features_can_have_other_names(classifier, text_to_inputs, tmp_path):
    path = export.save(classifier, tmp_path, text_to_inputs, text_feature="question", pair_feature="answer")
    loaded = tf.saved_model.load(str(path))
    examples = [example(question=text, answer=pair) for text, pair in zip(TEXTS, PAIRS, strict=True)]
    logits = loaded.signatures["examples"](examples=tf.constant(examples))["logits"]
    np.testing.assert_allclose(logits, live_logits(classifier, text_to_inputs, (TEXTS, PAIRS)), atol=TOLERANCE)
