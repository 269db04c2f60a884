"""Entities, answers, choices and sentence vectors equal those computed in plain Python from the live model's logits."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbert import export
from kerasbert.errors import BadInputError
from kerasbert.models import (
    BertMultipleChoice,
    BertSentenceEncoder,
    BertSequenceClassifier,
    BertSpanPredictor,
    BertTokenClassifier,
)
from kerasbert.preprocessing import TextToInputs

TOLERANCE = 1e-5
TAGS = ["O", "B-person", "I-person", "S-place", "E-place", "event"]
TEXTS = ["the playing day, good!", "", "ÖÖ 日本 xyz bad", "a b c d e f g h i j k l m n o p", "day " * 50]


def serialized(**texts):
    features = {}
    for name, values in texts.items():
        encoded = [value.encode() for value in ([values] if isinstance(values, str) else values)]
        features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="module")
def exported(text_to_inputs, tmp_path_factory):
    def load(model, **options):
        path = export.save(model, tmp_path_factory.mktemp("task"), text_to_inputs, warm_up=None, **options)
        module = tf.saved_model.load(str(path))
        exported.modules.append(module)
        return module.signatures

    exported.modules = []
    return load


def pieces_with_offsets(text_to_inputs, text):
    ids, starts, ends = (part[0].numpy() for part in text_to_inputs.tokenizer.tokenize_with_offsets([text]))
    continues = [text_to_inputs.vocabulary.pieces[index].startswith("##") for index in ids]
    return ids, starts, ends, continues


# === Token classification ===


def entities_in_python(model, text_to_inputs, text):
    """Find the entities of one text, word by word."""
    ids, starts, ends, continues = (part[:22] for part in pieces_with_offsets(text_to_inputs, text))
    probabilities = tf.nn.softmax(model(text_to_inputs([text]), training=False))[0].numpy()
    words = []
    for index in range(len(ids)):
        if continues[index] and words:
            words[-1]["end"] = ends[index]
            continue
        row = probabilities[index + 1]
        prefix, _, kind = TAGS[row.argmax()].rpartition("-")
        words.append({"start": starts[index], "end": ends[index], "p": row.max(), "prefix": prefix, "kind": kind})
    entities, previous = [], None
    for word in words:
        if word["kind"] != "O":
            goes_on = (
                previous is not None
                and previous["kind"] == word["kind"]
                and word["prefix"] not in ("B", "S")
                and previous["prefix"] not in ("E", "S")
            )
            if goes_on:
                entities[-1].append(word)
            else:
                entities.append([word])
        previous = word
    return [
        {
            "entity": text.encode()[entity[0]["start"] : entity[-1]["end"]].decode(),
            "label": entity[0]["kind"],
            "probability": np.mean([word["p"] for word in entity]),
            "start": entity[0]["start"],
            "end": entity[-1]["end"],
        }
        for entity in entities
    ]


@pytest.fixture(scope="module")
def token_classifier(make_backbone):
    model = BertTokenClassifier(make_backbone(), num_labels=len(TAGS))
    model.classifier.kernel.assign(4 * np.random.default_rng(3).normal(size=(16, len(TAGS))))
    return model


def test_entities_have_labels_and_byte_offsets(token_classifier, text_to_inputs, exported):
    signatures = exported(token_classifier, labels=TAGS)
    expected = [entities_in_python(token_classifier, text_to_inputs, text) for text in TEXTS]
    assert sum(map(len, expected)) > 10
    assert any(len(entity["entity"].split()) > 1 for row in expected for entity in row)
    examples = tf.constant([serialized(text=text) for text in TEXTS])
    for answer in (signatures["text"](text=tf.constant(TEXTS)), signatures["examples"](examples=examples)):
        np.testing.assert_array_equal(answer["entity_count"], [len(row) for row in expected])
        np.testing.assert_array_equal(answer["truncated_token_count"], [0, 0, 0, 0, 50 - 22])
        longest = max(map(len, expected))
        for name, key in (("entities", "entity"), ("labels", "label"), ("starts", "start"), ("ends", "end")):
            values = answer[name].numpy()
            assert values.shape == (len(TEXTS), longest)
            padding = b"" if values.dtype == object else 0
            for row, entities in zip(values, expected, strict=True):
                wanted = [entity[key].encode() if values.dtype == object else entity[key] for entity in entities]
                assert row.tolist() == wanted + [padding] * (longest - len(wanted))
        for row, entities in zip(answer["probabilities"].numpy(), expected, strict=True):
            wanted = [entity["probability"] for entity in entities] + [0] * (longest - len(entities))
            np.testing.assert_allclose(row, wanted, atol=TOLERANCE)
    inputs = text_to_inputs(TEXTS)
    logits = signatures["token_ids"](**inputs)["logits"]
    np.testing.assert_allclose(logits, token_classifier(inputs, training=False), atol=1e-4)


# === Question answering ===


def answers_in_python(model, text_to_inputs, question, text, search):
    """All spans of all windows, by brute force: {(start byte, end byte): best score}.

    Also the score of no answer, and the number of tokens of question and text that no window contains.
    """
    length = text_to_inputs.sequence_length
    whole_question = text_to_inputs.tokenizer.tokenize([question])[0].numpy()
    asked = whole_question[: min(search.max_question_tokens, (length - 3) // 2)]
    ids, starts, ends, continues = pieces_with_offsets(text_to_inputs, text)
    word_of = np.cumsum([not (follows and index) for index, follows in enumerate(continues)]) if len(ids) else []
    room = length - 3 - len(asked)
    stride = max(min(search.stride, room // 2), 1)
    spans, no_answer, begin, windows = {}, np.inf, 0, 0
    while windows < search.max_windows:
        window = ids[begin : begin + room]
        inputs = text_to_inputs.pack(
            tf.ragged.constant([list(asked)], tf.int32), tf.ragged.constant([list(window)], tf.int32)
        )
        logits = model(inputs, training=False)
        start_logits, end_logits = logits["start_logits"][0].numpy(), logits["end_logits"][0].numpy()
        no_answer = min(no_answer, start_logits[0] + end_logits[0])
        for first in range(len(window)):
            for last in range(first, min(first + search.max_answer_tokens, len(window))):
                score = start_logits[first + len(asked) + 2] + end_logits[last + len(asked) + 2]
                in_first = [place for place in range(len(ids)) if word_of[place] == word_of[begin + first]]
                in_last = [place for place in range(len(ids)) if word_of[place] == word_of[begin + last]]
                key = int(starts[in_first[0]]), int(ends[in_last[-1]])
                spans[key] = max(spans.get(key, -np.inf), score)
        windows += 1
        end = begin + len(window)
        if begin + room >= len(ids):
            break
        begin += stride
    return spans, no_answer, len(whole_question) - len(asked) + len(ids) - end


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"max_question_tokens": 3, "max_answer_tokens": 2, "stride": 4, "max_windows": 3},
    ],
)
def test_answers_are_the_best_spans_of_all_windows(make_backbone, text_to_inputs, exported, sizes):
    model = BertSpanPredictor(make_backbone())
    # As many candidates as there are spans, so that brute force and the search look at the same ones.
    search = export.AnswerSearch(candidates=400, answers=7, **sizes)
    signatures = exported(model, answer_search=search)
    questions = ["the day", "a b c d e f g h i j k l m n o p q r s", "", "x", "good bad"]
    contexts = ["a playing b", "", "ÖÖ 日本 xyz " * 6, "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 3, "!"]
    answer = {
        name: values.numpy()
        for name, values in signatures["serving_default"](
            question=tf.constant(questions), context=tf.constant(contexts)
        ).items()
    }
    cut_rows = 0
    for row, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        spans, no_answer, truncated = answers_in_python(model, text_to_inputs, question, context, search)
        best = sorted(spans.items(), key=lambda item: -item[1])[:7]
        assert answer["answer_count"][row] == len(best)
        assert answer["truncated_token_count"][row] == truncated
        cut_rows += truncated > 0
        np.testing.assert_allclose(answer["no_answer_score"][row], no_answer, atol=1e-4)
        np.testing.assert_allclose(answer["scores"][row, : len(best)], [score for _, score in best], atol=1e-4)
        for place in range(7):
            start, end = answer["starts"][row, place], answer["ends"][row, place]
            assert answer["answers"][row, place] == context.encode()[start:end]
            if place < len(best):
                np.testing.assert_allclose(spans[start, end], answer["scores"][row, place], atol=1e-4)
            else:
                assert (start, end, answer["probabilities"][row, place]) == (0, 0, 0)
        for many, one in (
            ("answers", "answer"),
            ("starts", "start"),
            ("ends", "end"),
            ("probabilities", "probability"),
        ):
            assert answer[many][row, 0] == answer[one][row]
    assert cut_rows > 0
    assert (answer["probabilities"].sum(axis=1) <= 1 + TOLERANCE).all()
    examples = [
        serialized(question=question, context=context) for question, context in zip(questions, contexts, strict=True)
    ]
    by_example = signatures["examples"](examples=tf.constant(examples))
    by_pair = signatures["text_pair"](text=tf.constant(questions), text_pair=tf.constant(contexts))
    for name, values in answer.items():
        for other in (by_example, by_pair):
            np.testing.assert_array_equal(other[name], values)
    inputs = text_to_inputs((questions, contexts))
    live = model(inputs, training=False)
    for name, logits in signatures["token_ids"](**inputs).items():
        np.testing.assert_allclose(logits, live[name], atol=1e-4)


@pytest.mark.parametrize("arguments", [{"stride": 0}, {"answers": 21}, {"candidates": 2.0}, {"max_windows": True}])
def test_an_impossible_search_is_refused(arguments):
    with pytest.raises(ValueError, match=f"Received: .*{next(iter(arguments))}="):
        export.AnswerSearch(**arguments)


# === Multiple choice ===


def test_the_best_choice_is_named(make_backbone, text_to_inputs, exported):
    model = BertMultipleChoice(make_backbone())
    model.classifier.kernel.assign(4 * np.random.default_rng(3).normal(size=(16, 1)))
    signatures = exported(model)
    texts = ["the day", "", "good"]
    choices = [["bad", "a b c"], ["the", "play"], ["x" * 30, ""]]
    expected = np.array(
        [
            [
                model({name: value[:, None] for name, value in text_to_inputs(([text], [choice])).items()}).numpy()[
                    0, 0
                ]
                for choice in row
            ]
            for text, row in zip(texts, choices, strict=True)
        ]
    )
    probabilities = tf.nn.softmax(expected).numpy()
    answer = signatures["serving_default"](text=tf.constant(texts), choices=tf.constant(choices))
    np.testing.assert_allclose(answer["logits"], expected, atol=1e-4)
    np.testing.assert_allclose(answer["probabilities"], probabilities, atol=TOLERANCE)
    best = probabilities.argmax(axis=1)
    np.testing.assert_array_equal(answer["choice_index"], best)
    assert [choice.decode() for choice in answer["choice"].numpy()] == [
        row[index] for row, index in zip(choices, best, strict=True)
    ]
    np.testing.assert_allclose(answer["probability"], probabilities.max(axis=1), atol=TOLERANCE)

    # The choices of an example are as many as it says, whatever its neighbours have.
    examples = [serialized(text=texts[0], choices=[*choices[0], "more"]), serialized(text=texts[1], choices=choices[1])]
    by_example = signatures["examples"](examples=tf.constant(examples))
    np.testing.assert_allclose(by_example["probabilities"][1], [*probabilities[1], 0], atol=TOLERANCE)
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs at least one choice"):
        signatures["examples"](examples=tf.constant([serialized(text="a")]))
    rows = [text_to_inputs(([text] * 2, row)) for text, row in zip(texts, choices, strict=True)]
    inputs = {name: tf.stack([row[name] for row in rows]) for name in rows[0]}
    np.testing.assert_allclose(signatures["token_ids"](**inputs)["logits"], expected, atol=1e-4)


# === Sentence vectors ===


@pytest.mark.parametrize(
    ("pooling", "projections"),
    [
        pytest.param("mean", [], marks=pytest.mark.slow),
        pytest.param("cls", [{"units": 5, "activation": "tanh"}], marks=pytest.mark.slow),
        (["last", "weighted_mean"], [{"units": 6, "activation": "gelu_erf"}, {"units": 40, "use_bias": False}]),
    ],
)
def test_sentences_have_vectors_and_similarities(make_backbone, text_to_inputs, exported, pooling, projections):
    model = BertSentenceEncoder(make_backbone(), pooling, projections=projections)
    generator = np.random.default_rng(2)
    for layer in model.projection_layers:
        layer.set_weights([generator.normal(0, 1, weight.shape) for weight in layer.get_weights()])
    signatures = exported(model)
    to_inputs = TextToInputs(text_to_inputs.tokenizer, sequence_length=24)
    expected = model(to_inputs(TEXTS), training=False).numpy()
    examples = tf.constant([serialized(text=text, text_pair="ignored") for text in TEXTS])
    for name, inputs in (
        ("serving_default", {"text": tf.constant(TEXTS)}),
        ("embed", {"text": tf.constant(TEXTS)}),
        ("token_ids", to_inputs(TEXTS)),
        ("examples", {"examples": examples}),
    ):
        np.testing.assert_allclose(signatures[name](**inputs)["embedding"], expected, atol=TOLERANCE)
        assert signatures[name].structured_outputs["embedding"].shape[-1] == model.embedding_size
    pairs = signatures["text_pair"](text=tf.constant(TEXTS), text_pair=tf.constant(TEXTS[::-1]))
    np.testing.assert_allclose(pairs["similarity"], (expected * expected[::-1]).sum(axis=1), atol=TOLERANCE)


# === TF Serving's other methods ===


def test_classify_and_regress_have_their_methods_inputs_and_outputs(make_backbone, text_to_inputs, exported):
    examples = tf.constant([serialized(text=text) for text in TEXTS])
    classifier = BertSequenceClassifier(make_backbone(), num_labels=3)
    signatures = exported(classifier, labels=["x", "y", "z"])
    answer = signatures["classify"](inputs=examples)
    by_text = signatures["text"](text=tf.constant(TEXTS))
    np.testing.assert_array_equal(answer["classes"], by_text["labels"])
    np.testing.assert_allclose(answer["scores"], by_text["probabilities"], atol=TOLERANCE)

    regressor = BertSequenceClassifier(make_backbone(), num_labels=1, problem_type="regression")
    answer = exported(regressor)["regress"](inputs=examples)
    np.testing.assert_allclose(answer["outputs"], regressor(text_to_inputs(TEXTS))[:, 0], atol=TOLERANCE)
    several = BertSequenceClassifier(make_backbone(), num_labels=2, problem_type="regression")
    assert "regress" not in exported(several)


@pytest.mark.parametrize("kind", [BertSpanPredictor, BertMultipleChoice])
def test_a_model_of_one_segment_cannot_take_pairs(make_backbone, text_to_inputs, tmp_path, kind):
    with pytest.raises(BadInputError, match="type_vocab_size=1"):
        export.save(kind(make_backbone(type_vocab_size=1)), tmp_path, text_to_inputs)


# === Attention ===


def test_attention_is_that_of_the_live_model(backbone, text_to_inputs, backbone_signatures):
    answer = backbone_signatures["attention"](text=tf.constant(TEXTS))
    inputs = TextToInputs(text_to_inputs.tokenizer, sequence_length=24)(TEXTS)
    attention = answer["attention"].numpy()
    assert attention.shape == (len(TEXTS), 2, 2, 24, 24)
    np.testing.assert_allclose(attention.sum(axis=-1), 1, atol=TOLERANCE)
    is_padding = inputs["padding_mask"].numpy() == 0
    assert attention.transpose(0, 4, 1, 2, 3)[is_padding].max() < TOLERANCE
    hidden = backbone.embeddings(inputs["token_ids"], inputs["segment_ids"])
    _, scores = backbone.encoder_blocks[0].attention(hidden, inputs["padding_mask"], return_attention_scores=True)
    np.testing.assert_allclose(attention[:, 0], scores, atol=TOLERANCE)
    assert answer["pieces"][0, :3].numpy().tolist() == [b"[CLS]", b"the", b"play"]


@pytest.mark.parametrize("layers", [[[1, 0, 1], [0, 0, 0], [1, 1, 0]], [[1], [0], [1]], [[], [], []]])
def test_attention_of_some_layers_is_part_of_that_of_all(backbone_signatures, layers):
    texts, layers = tf.constant(TEXTS[:3]), np.array(layers, np.int32)
    every = backbone_signatures["attention"](text=texts)
    some = backbone_signatures["attention_layers"](text=texts, layers=tf.constant(layers))
    expected = np.stack([rows[wanted] for rows, wanted in zip(every["attention"].numpy(), layers, strict=True)])
    tokens = every["pieces"].shape[1]
    assert some["attention"].shape == (3, layers.shape[1], 2, tokens, tokens)
    np.testing.assert_array_equal(some["attention"], expected)
    np.testing.assert_array_equal(some["pieces"], every["pieces"])


@pytest.mark.parametrize("layers", [[[2]], [[-1]], [[0], [0]]])
def test_layers_that_the_model_does_not_have_are_refused(backbone_signatures, layers):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"`layers` (must be at least 0|needs a row for each text)"
    ):
        backbone_signatures["attention_layers"](text=tf.constant(["a"]), layers=tf.constant(layers))
