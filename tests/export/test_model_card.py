"""The model card describes the model, and repeats what only its maker knows."""

import json
import shutil

import pytest
import tensorflow as tf

from kerasbert import export
from kerasbert.export.model_card import write_model_card
from kerasbert.export.served.task import served_model
from kerasbert.models import BertSentenceEncoder

FACTS = {
    "data": {"training": "1,000 made-up texts", "licence": "none"},
    "metrics": {"accuracy": 0.5, "by_label": {"x": 0.25}},
    "limits": ["Never seen a long text."],
    "intended_use": "Tests.",
}


@pytest.fixture(scope="module")
def version_folder(classifier, text_to_inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    return export.save(classifier, folder, text_to_inputs, labels=["x", "y", "ü"], model_card=FACTS, warm_up=None)


def test_the_card_contains_the_facts_and_describes_the_model(version_folder, classifier):
    card = json.loads((version_folder / "assets" / "model_card.json").read_text(encoding="utf-8"))
    for name in ("data", "metrics", "intended_use"):
        assert card[name] == FACTS[name]
    assert card["limits"][0] == FACTS["limits"][0]
    assert "at most 24 tokens" in card["limits"][1]
    assert card["model"]["kind"] == "BertSequenceClassifier"
    assert card["model"]["parameters"] == classifier.count_params()
    assert card["model"]["labels"] == ["x", "y", "ü"]
    assert card["model"]["hidden_size"] == 16
    assert "embedding_size" not in card["model"]
    assert card["preprocessing"]["sequence_length"] == 24
    assert card["first_serving_version"] == "2.12"
    assert card["versions"]["tensorflow"] == tf.__version__
    text = card["signatures"]["text"]
    assert text["meanings"]["label"] == "The most probable label."
    assert text["inputs"] == {"text": "string [batch]"}
    assert text["outputs"]["probabilities"] == "float32 [batch, 3]"
    assert card["signatures"]["classify"]["method"] == "tensorflow/serving/classify"
    assert card["signatures"]["tokenize"]["outputs"]["pieces"] == "string [batch, ?]"


def test_the_card_of_a_sentence_encoder_gives_the_size_of_its_vectors(make_backbone, text_to_inputs, tmp_path):
    model = BertSentenceEncoder(make_backbone(), projections=[{"units": 5}])
    folder = export.save(model, tmp_path, text_to_inputs, warm_up=None)
    card = json.loads((folder / "assets" / "model_card.json").read_text(encoding="utf-8"))
    assert (card["model"]["embedding_size"], card["model"]["hidden_size"]) == (5, 16)
    assert card["signatures"]["embed"]["outputs"]["embedding"] == "float32 [batch, 5]"
    text = (folder / "assets.extra" / "README.md").read_text(encoding="utf-8")
    assert "2 layers, hidden size 16\n* Vectors of 5 numbers\n" in text


def test_the_readme_is_for_people(version_folder):
    text = (version_folder / "assets.extra" / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# Text classifier\n\nClassifies each text. The model takes raw text")
    for line in (
        "* Needs TF Serving 2.12 or later",
        "## Data",
        "* training: 1,000 made-up texts",
        "  * x: 0.25",
        "* Never seen a long text.",
        "## Intended use",
        "* ü",
        "### `text_pair`",
        "| output | `label` | string [batch] | The most probable label. |",
    ):
        assert line in text.split("\n")


def test_missing_facts_are_not_stated(classifier_folder):
    card = json.loads((classifier_folder / "assets" / "model_card.json").read_text(encoding="utf-8"))
    assert (card["data"], card["metrics"]) == ("Not stated.", "Not stated.")


@pytest.mark.parametrize(
    ("limits", "items"),
    [
        (5, [5]),
        (True, [True]),
        (None, []),
        ("No pairs.", ["No pairs."]),
        ({"length": "short"}, [{"length": "short"}]),
        (("a", ["b"]), ["a", ["b"]]),
        ([], []),
    ],
)
def test_limits_may_have_any_form(version_folder, classifier, text_to_inputs, tmp_path, limits, items):
    folder = shutil.copytree(version_folder, tmp_path / "1")
    write_model_card(served_model(classifier, text_to_inputs), {"limits": limits}, folder)
    card = json.loads((folder / "assets" / "model_card.json").read_text(encoding="utf-8"))
    assert card["limits"][: len(items)] == items
    assert "at most 24 tokens" in card["limits"][len(items)]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"signatures": []}, "Received: signatures"),
        ({"metrics": {1, 2}}, "not JSON serializable"),
        ({"metrics": float("nan")}, "Out of range float values|not JSON compliant"),
        ({"data": {"of": "half \ud800"}}, r"must contain only characters that UTF-8 can encode\. Received: U\+D800"),
        ({"half \udfff": 1}, r"Received: U\+DFFF"),
    ],
)
def test_facts_that_cannot_be_written_are_refused(classifier, text_to_inputs, tmp_path, facts, message):
    with pytest.raises(ValueError, match=message):
        export.save(classifier, tmp_path, text_to_inputs, model_card=facts)
    assert list(tmp_path.iterdir()) == []
