"""Tags of words become labels of pieces, and answers entities; fine-tuning learns them."""

import itertools
import random
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasbert import checkpoints
from kerasbert.data import LabelledTexts, Labels
from kerasbert.data.tables.tagged import TaggedTexts, read_tagged
from kerasbert.export.graph.text_inputs import TextInputs
from kerasbert.export.served.token_classifier import ServedTokenClassifier
from kerasbert.models import BertTokenClassifier
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.recipes import FineTuningSettings, fine_tune
from kerasbert.recipes.prediction import load_classifier, predict
from kerasbert.recipes.token_classification import TOKEN_METRICS, evaluate_tokens, piece_labels, tagged_dataset
from kerasbert.training.entity_metrics import spans

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "new", "yo", "##rk", "u", ".", "s", "in", "ann", "and", "##a"]
ROWS = TaggedTexts(
    words=(("in", "New", "York"), ("U.S.", "and", "Anna"), ("é" * 3, "in")),
    tags=(("O", "B-place", "I-place"), ("B-place", "O", "B-person"), ("O", "O")),
    places=("row 1", "row 2", "row 3"),
)
LABELS = Labels(["B-person", "B-place", "I-place", "O"])


@pytest.fixture(scope="module")
def to_inputs() -> TextToInputs:
    return TextToInputs(WordPieceTokenizer(Vocabulary(PIECES)), sequence_length=10)


def test_first_pieces_have_the_tag_and_later_pieces_continue_it(to_inputs: TextToInputs) -> None:
    names = [
        [None if index < 0 else LABELS.names[index] for index in row] for row in piece_labels(ROWS, LABELS, to_inputs)
    ]
    # [CLS] in new yo ##rk [SEP]
    assert names[0][:6] == [None, "O", "B-place", "I-place", None, None]
    # [CLS] u . s . and ann ##a [SEP]
    assert names[1][:9] == [None, "B-place", "I-place", "I-place", "I-place", "O", "B-person", None, None]
    # [CLS] [UNK] in [SEP]: the first word's bytes are two for each letter.
    assert names[2][:5] == [None, "O", "O", None, None]


@pytest.mark.parametrize(
    ("tag", "names", "expected"),
    [
        ("S-x", ["B-x", "E-x", "I-x", "S-x"], ["B-x", "I-x", "I-x", "E-x"]),
        ("U-x", ["B-x", "I-x", "L-x", "U-x"], ["B-x", "I-x", "I-x", "L-x"]),
        ("E-x", ["B-x", "E-x", "I-x", "S-x"], ["I-x", "I-x", "I-x", "E-x"]),
        ("I-x", ["B-x", "I-x"], ["I-x"] * 4),
        ("S-x", ["B-x", "I-x", "S-x"], ["B-x", "I-x", "I-x", "I-x"]),
        ("B-x-y", ["B-x-y", "I-x-y"], ["B-x-y", "I-x-y", "I-x-y", "I-x-y"]),
        ("place-GPE", ["I-GPE", "place-GPE"], ["place-GPE"] * 4),
        ("B-x", ["B-x"], ["B-x"] * 4),
    ],
)
def test_pieces_within_a_word_share_its_tag_by_the_scheme(
    to_inputs: TextToInputs, tag: str, names: list[str], expected: list[str]
) -> None:
    labels = Labels([*names, "O"])
    rows = TaggedTexts(words=(("in", "U.S.", "in"),), tags=(("O", tag, "O"),), places=("row 1",))
    (row,) = piece_labels(rows, labels, to_inputs)
    assert [labels.names[index] for index in row if index >= 0] == ["O", *expected, "O"]


def test_a_cut_word_of_one_piece_left_keeps_its_tag(to_inputs: TextToInputs) -> None:
    rows = TaggedTexts(words=(("in", "U.S."),), tags=(("O", "S-x"),), places=("row 1",))
    short = TextToInputs(to_inputs.tokenizer, sequence_length=4)
    assert piece_labels(rows, Labels(["B-x", "E-x", "O", "S-x"]), short).tolist() == [[-1, 2, 3, -1]]


def test_pieces_beyond_the_sequence_length_have_no_label(to_inputs: TextToInputs) -> None:
    short = TextToInputs(to_inputs.tokenizer, sequence_length=4)
    assert piece_labels(ROWS, LABELS, short).tolist() == [[-1, 3, 1, -1], [-1, 1, 2, -1], [-1, 3, 3, -1]]


def test_batches_weigh_labelled_pieces_only(to_inputs: TextToInputs) -> None:
    targets = piece_labels(ROWS, LABELS, to_inputs)
    ((inputs, labels, weights),) = list(tagged_dataset(ROWS, targets, to_inputs, 8))
    assert inputs["token_ids"].shape == labels.shape == weights.shape == (3, 9)
    np.testing.assert_array_equal(weights, targets[:, :9] >= 0)
    np.testing.assert_array_equal(labels, np.maximum(targets[:, :9], 0))


def model_of_pieces(labels: dict[str, str], names: tuple[str, ...]) -> keras.Model:
    """A model that answers each piece with the label that it is given here, and other pieces with "O"."""
    inputs = {"token_ids": keras.Input((None,), dtype="int32", name="token_ids")}
    table = keras.layers.Embedding(len(PIECES), len(names))
    model = keras.Model(inputs, table(inputs["token_ids"]))
    answers = [names.index(labels.get(piece, "O")) for piece in PIECES]
    table.embeddings.assign(10.0 * np.eye(len(names), dtype="float32")[answers])
    return model


LONG_ROWS = TaggedTexts(
    words=(("in", "ann", *["in"] * 6, "New", "York", "Anna"), ("Anna", "in")),
    tags=(("O", "B-person", *["O"] * 6, "B-place", "I-place", "B-person"), ("B-person", "O")),
    places=("row 1", "row 2"),
)


@pytest.mark.parametrize(
    ("length", "words_cut_off", "right", "measured", "hits", "found"),
    # [CLS] in ann in in in in in in new yo ##rk ann ##a [SEP]: 13 words in all, 4 entities
    [
        (20, 0, 13, 13, 4, 4),
        (13, 1, 12, 13, 3, 3),  # without Anna
        (12, 1, 12, 13, 3, 3),  # without the end of York, whose first piece is enough
        (11, 2, 11, 13, 2, 3),  # New without York is an entity too many, and New York is missed
        (4, 10, 3, 13, 2, 2),
    ],
)
def test_words_and_entities_beyond_the_longest_input_are_missed(
    to_inputs: TextToInputs, length: int, words_cut_off: int, right: int, measured: int, hits: int, found: int
) -> None:
    labels = {"ann": "B-person", "new": "B-place", "yo": "I-place"}
    inputs = TextToInputs(to_inputs.tokenizer, sequence_length=length)
    metrics = evaluate_tokens(model_of_pieces(labels, LABELS.names), LONG_ROWS, LABELS, inputs, 2)
    assert (metrics["words"], metrics["words_cut_off"], metrics["entities"]) == (13, words_cut_off, 4)
    assert metrics["accuracy"] == pytest.approx(right / measured)
    assert metrics["entity_recall"] == pytest.approx(hits / 4)
    assert metrics["entity_precision"] == pytest.approx(hits / found)
    assert metrics["entity_f1"] == pytest.approx(2 * hits / (4 + found))


def test_words_without_an_entity_that_are_cut_off_are_missed_too(to_inputs: TextToInputs) -> None:
    rows = TaggedTexts(words=(("in",) * 8,), tags=(("O",) * 8,), places=("row 1",))
    inputs = TextToInputs(to_inputs.tokenizer, sequence_length=4)
    metrics = evaluate_tokens(model_of_pieces({}, LABELS.names), rows, LABELS, inputs, 2)
    assert (metrics["accuracy"], metrics["words_cut_off"], metrics["entity_f1"]) == (0.25, 6, 0.0)


def test_an_entity_in_a_word_without_pieces_is_missed(to_inputs: TextToInputs) -> None:
    """The tokenizer deletes control characters, so the model gets nothing for the word."""
    rows = TaggedTexts(words=(("in", "\x01", "ann"),), tags=(("O", "B-place", "B-person"),), places=("row 1",))
    metrics = evaluate_tokens(model_of_pieces({"ann": "B-person"}, LABELS.names), rows, LABELS, to_inputs, 2)
    assert (metrics["entities"], metrics["words_cut_off"]) == (2, 0)
    assert (metrics["entity_precision"], metrics["entity_recall"]) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["B-a", "I-a", "I-b", "O", "I-b"], [(0, 2, "a"), (2, 3, "b"), (4, 5, "b")]),
        (["a", "a", "O", "a", "b"], [(0, 2, "a"), (3, 4, "a"), (4, 5, "b")]),
        (["B-a", "B-a"], [(0, 1, "a"), (1, 2, "a")]),
        (["O"], []),
        (
            ["B-creative-work", "I-creative-work", "O", "location-GPE", "S-x", "S-x"],
            [(0, 2, "creative-work"), (3, 4, "location-GPE"), (4, 5, "x"), (5, 6, "x")],
        ),
        (["U-a", "I-a", "L-a", "I-a"], [(0, 1, "a"), (1, 3, "a"), (3, 4, "a")]),
    ],
)
def test_entities_of_tags(tags: list[str], expected: list[tuple[int, int, str]]) -> None:
    assert spans(tags) == expected


SCHEMES = {
    "IO": ["O", "I-place", "I-creative-work"],
    "BIO": ["O", "B-place", "I-place", "B-creative-work", "I-creative-work"],
    "BIOES": ["O", "B-place", "I-place", "E-place", "S-place", "I-creative-work", "S-creative-work"],
    "BILOU": ["O", "B-place", "I-place", "L-place", "U-place", "L-creative-work", "U-creative-work"],
    "bare kinds": ["O", "location-GPE", "person-actor", "GPE", "location"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_entities_are_those_that_an_exported_model_answers_with(scheme: str) -> None:
    """A model that has each tag for one word, on all sequences of four words."""
    tags = SCHEMES[scheme]
    words = ["abcdefghij"[index] for index in range(len(tags))]
    vocabulary = Vocabulary([*PIECES[:5], *words])
    served = ServedTokenClassifier(
        labels=tags,
        model=lambda inputs, training: tf.one_hot(inputs["token_ids"] - 5, len(tags)),
        backbone=None,
        text_inputs=TextInputs(TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=8)),
    )
    rows = list(itertools.product(range(len(tags)), repeat=4))
    answer = served.find(tf.constant([" ".join(words[index] for index in row) for row in rows]))
    counts, starts, ends, kinds = (answer[name].numpy() for name in ("entity_count", "starts", "ends", "labels"))
    for number, row in enumerate(rows):
        # Words are of one byte, and so are the spaces between them.
        places = zip(starts[number] // 2, (ends[number] + 1) // 2, kinds[number], strict=True)
        found = [(start, end, kind.decode()) for start, end, kind in places][: counts[number]]
        assert spans([tags[index] for index in row]) == found


def test_a_run_learns_entities_and_its_folder_loads(tmp_path: Path) -> None:
    rng = random.Random(1)
    lines = []
    for _ in range(160):
        for _ in range(rng.randint(2, 4)):
            word = rng.choice(["in", "and", "ann", "new"])
            lines += {"ann": ["ann B-person"], "new": ["new B-place", "york I-place"]}.get(word, [f"{word} O"])
        lines.append("")
    (tmp_path / "train.conll").write_text("\n".join(lines))
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    config = '{"vocab_size": 15, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, '
    (tmp_path / "config.json").write_text(config + '"intermediate_size": 32, "max_position_embeddings": 16}')
    settings = FineTuningSettings(
        output=str(tmp_path / "run"),
        train=(str(tmp_path / "train.conll"),),
        problem_type="token_classification",
        model=str(tmp_path / "config.json"),
        vocabulary=str(tmp_path / "vocab.txt"),
        sequence_length=16,
        learning_rate=1e-2,
        dropout=0.0,
        epochs=6,
        precision="float32",
        show_progress=False,
    )
    tuned = fine_tune(settings)
    assert tuned.metrics["entity_f1"] > 0.9
    assert {name for name, value in tuned.metrics.items() if isinstance(value, float)} == set(TOKEN_METRICS)
    loaded = checkpoints.load(tuned.folder.model)
    assert isinstance(loaded.model, BertTokenClassifier)
    assert loaded.labels == ("B-person", "B-place", "I-place", "O")
    assert loaded.text_to_inputs is not None
    rows = read_tagged(tmp_path / "train.conll")
    held_out = rows.split({"train": 0.9, "validation": 0.1})["validation"]
    metrics = evaluate_tokens(loaded.model, held_out, Labels(loaded.labels), loaded.text_to_inputs, 7)
    assert metrics.pop("per_entity").keys() == tuned.metrics.pop("per_entity").keys() == {"person", "place"}
    assert metrics.pop("per_entity_strict").keys() == tuned.metrics.pop("per_entity_strict").keys()
    assert metrics == pytest.approx(tuned.metrics, rel=1e-4)
    answer = next(predict(load_classifier(tuned.folder.model), LabelledTexts(("in New York",), None, None, ("",))))
    assert [(entity["text"], entity["label"]) for entity in answer["entities"]] == [("New York", "place")]
