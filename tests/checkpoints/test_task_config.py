"""What a config says about the head is checked if the head is loaded, and ignored otherwise."""

import pytest

from kerasbert.checkpoints import convert, load, load_backbone
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone

UNNAMED = {"num_labels": None}
WRONG = {
    "dropout beyond 1": ({"classifier_dropout": 1.5}, "`classifier_dropout` must be a number from 0"),
    "dropout in words": ({"classifier_dropout": "0.1"}, "`classifier_dropout` must be a number from 0"),
    "another problem": ({"problem_type": "foo"}, "`problem_type` must be one of"),
    "several problems": ({"problem_type": ["regression"]}, "`problem_type` must be a string"),
    "number in words": ({"num_labels": "3"}, "`num_labels` must be a whole number of at least 1"),
    "no labels": ({"num_labels": 0}, "`num_labels` must be a whole number of at least 1"),
    "one label of one": (
        {"num_labels": 1},
        "`problem_type` must be multi_label_classification or regression for a model with one label",
    ),
    "ids from 3 on": ({**UNNAMED, "id2label": {"3": "x"}}, "`id2label` must number the labels from 0"),
    "an id twice": ({**UNNAMED, "id2label": {"0": "x", "00": "y"}}, "`id2label` must number the labels from 0"),
    "a list": ({**UNNAMED, "id2label": ["x", "y", "z"]}, "`id2label` must be a JSON object"),
    "a name twice": (
        {**UNNAMED, "id2label": {"0": "x", "1": "y", "2": "x"}},
        "`id2label` must give each label a different name. 'x' occurs more than once",
    ),
    "no name": ({**UNNAMED, "id2label": {"0": "x", "1": None, "2": "z"}}, "`id2label` must give each label a name"),
    "two numbers": ({"num_labels": 4, "id2label": {"0": "x", "1": "y", "2": "z"}}, "`num_labels` must be 3"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_named_and_does_not_stop_the_encoder(case, saved, edit_json):
    folder = saved("single label")
    changes, rule = WRONG[case]
    edit_json(folder / "config.json", **changes)
    with pytest.raises(BadInputError, match=rf"model/config\.json: {rule}.*Received: .*`load_backbone`"):
        load(folder)
    assert isinstance(load_backbone(folder).model, BertBackbone)


def test_google_s_config_does_not_stop_the_encoder_either(saved, edit_json):
    folder = saved("single label", format="google_tf1")
    edit_json(folder / "bert_config.json", problem_type="foo")
    with pytest.raises(BadInputError, match=r"bert_config\.json: `problem_type` must be one of"):
        load(folder)
    assert isinstance(load_backbone(folder).model, BertBackbone)


def test_labels_without_names_or_with_numbers_as_names_are_accepted(saved, edit_json, tmp_path):
    folder = saved("single label")
    edit_json(folder / "config.json", num_labels=None, id2label={})
    assert load(folder).labels is None
    edit_json(folder / "config.json", id2label={"2": 5, "0": 0, "1": 1})
    assert load(folder).labels == ("0", "1", "5")
    convert(folder, tmp_path / "converted")
    assert load(tmp_path / "converted").labels == ("0", "1", "5")


@pytest.mark.parametrize("changes", [{}, {"model_type": None}])
def test_architectures_are_a_list_of_names(changes, saved, edit_json):
    folder = saved()
    edit_json(folder / "config.json", architectures=3, **changes)
    with pytest.raises(BadInputError, match=r"config\.json: `architectures` must be a list of strings. Received: 3"):
        load(folder)
