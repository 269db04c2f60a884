"""What was exported can be loaded from where it is, or is refused before anything is written."""

import json
import shutil

import pytest
import tensorflow as tf

from kerasbert import export
from kerasbert.errors import BadInputError
from kerasbert.export.load_check import check_loads, check_servable_path
from kerasbert.export.served.task import served_model


def test_a_path_with_unusual_characters_works(classifier, text_to_inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = "-lead 100% #1 *?{a,b} $HOME 'q' \"ö日\"/"
    path = export.save(classifier, folder, text_to_inputs, warm_up=None)
    assert path.absolute().parent.parent == tmp_path
    answer = tf.saved_model.load(str(path.absolute())).signatures["text"](text=tf.constant(["the day"]))
    assert answer["logits"].shape == (1, 3)


@pytest.mark.parametrize("character", ["[", "]", "\\", "\udc80", "\0"])
def test_a_path_that_no_server_can_load_is_refused(classifier, text_to_inputs, tmp_path, character):
    for folder in (f"lr={character}0.001", f"a{character}b/model"):
        with pytest.raises(BadInputError) as caught:
            export.save(classifier, tmp_path / folder, text_to_inputs)
        assert f"must not contain {character!r}" in str(caught.value)
        with pytest.raises(BadInputError, match="must not contain"):
            export.write(classifier, tmp_path / folder, text_to_inputs)
    assert list(tmp_path.iterdir()) == []


def test_the_working_folder_counts_as_part_of_the_path(tmp_path, monkeypatch):
    (tmp_path / "lr=[1]").mkdir()
    monkeypatch.chdir(tmp_path / "lr=[1]")
    with pytest.raises(BadInputError, match=r"must not contain '\['"):
        check_servable_path("exported")
    # The fix that the message names.
    check_servable_path("../exported")


@pytest.mark.parametrize("folder", ["gs://bucket/model", "", None, 5])
def test_anything_but_a_local_path_is_refused(classifier, text_to_inputs, folder):
    with pytest.raises(ValueError, match="`folder` must be"):
        export.save(classifier, folder, text_to_inputs)


def test_the_arguments_in_another_order_are_refused(classifier, text_to_inputs, tmp_path):
    with pytest.raises(ValueError, match=r"order of the arguments is \(model, folder, text_to_inputs, labels\)"):
        export.save(classifier, text_to_inputs, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_does_not_load_is_found(classifier, classifier_folder, text_to_inputs, tmp_path):
    served = served_model(
        classifier, text_to_inputs, json.loads((classifier_folder / "assets/labels.json").read_text())
    )
    signatures = {"serving_default": served.signatures()["serving_default"]}
    check_loads(served, signatures, classifier_folder)
    broken = shutil.copytree(classifier_folder, tmp_path / "broken")
    (broken / "variables/variables.index").unlink()
    with pytest.raises(RuntimeError, match="must load and answer before it is published"):
        check_loads(served, signatures, broken)
