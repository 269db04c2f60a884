"""Entities of texts: equal to those of the exported model, and allowed by the tagging scheme if asked for."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasbert.config import BertConfig
from kerasbert.data import Labels, TaggedTexts
from kerasbert.export.served.task import served_model
from kerasbert.models import BertBackbone, BertTokenClassifier
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.recipes.tasks.tag_decoding import TagScheme
from kerasbert.recipes.tasks.word_tagging import find_entities
from kerasbert.recipes.token_classification import piece_labels
from kerasbert.training.entity_metrics import spans, strict_spans

SCHEMES = {
    "BIO": ["O", "B-x", "I-x", "B-y", "I-y"],
    "BIOES": ["O", "B-x", "I-x", "E-x", "S-x", "S-y"],
    "IO": ["O", "I-x", "I-y"],
    "without prefixes": ["O", "x", "y"],
}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "new", "yo", "##rk", "u", ".", "s", "é", "##a", "日"]
TEXTS = ["New York!", "", "U.S. é日日 newa", "new " * 30, "\U0001f600 york"]


@pytest.fixture(scope="module")
def to_inputs() -> TextToInputs:
    return TextToInputs(WordPieceTokenizer(Vocabulary(PIECES), strip_accents=False), sequence_length=12)


def is_allowed(scheme: str, path: list[str]) -> bool:
    """Whether no entity of the path is incomplete."""
    return spans(path) == strict_spans(path, SCHEMES[scheme])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_best_allowed_sequence_is_that_of_an_exhaustive_search(scheme: str) -> None:
    labels = SCHEMES[scheme]
    paths = list(itertools.product(range(len(labels)), repeat=4))
    allowed = [path for path in paths if is_allowed(scheme, [labels[label] for label in path])]
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = np.log(rng.dirichlet(np.ones(len(labels)), size=4))
        totals = [sum(scores[word, label] for word, label in enumerate(path)) for path in allowed]
        assert TagScheme(labels).best_path(scores).tolist() == list(allowed[int(np.argmax(totals))])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exported models are TensorFlow graphs")
def test_entities_are_those_of_the_exported_model(to_inputs: TextToInputs) -> None:
    keras.utils.set_random_seed(1)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=len(PIECES), max_position_embeddings=16, initializer_range=1.0, **sizes)
    labels = SCHEMES["BIO"]
    model = BertTokenClassifier(BertBackbone.from_config(config), num_labels=len(labels))
    served = served_model(model, to_inputs, labels).find(tf.constant(TEXTS))
    found = find_entities(model, to_inputs, labels, TEXTS)
    counts = served["entity_count"].numpy()
    assert sum(counts) > 5
    for row, text in enumerate(TEXTS):
        assert found[row]["truncated_token_count"] == served["truncated_token_count"][row]
        assert len(found[row]["entities"]) == counts[row]
        for index, entity in enumerate(found[row]["entities"]):
            assert entity["text"] == served["entities"][row, index].numpy().decode()
            assert entity["text"] == text[entity["start"] : entity["end"]]
            assert entity["label"] == served["labels"][row, index].numpy().decode()
            assert entity["probability"] == pytest.approx(float(served["probabilities"][row, index]), abs=1e-5)


def test_every_piece_of_a_word_has_a_label_if_asked_for(to_inputs: TextToInputs) -> None:
    rows = TaggedTexts((("york", "newa"),), (("B-x", "O"),), ("row 1",))
    labels = Labels(["B-x", "I-x", "O"])
    # [CLS] yo ##rk new ##a [SEP]
    assert piece_labels(rows, labels, to_inputs)[0, :6].tolist() == [-1, 0, -1, 2, -1, -1]
    assert piece_labels(rows, labels, to_inputs, every_piece=True)[0, :6].tolist() == [-1, 0, 1, 2, 2, -1]
