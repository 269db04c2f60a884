"""Sentence-transformers folders: pooling, normalization and longest input are honoured, other steps are refused."""

import json

import numpy as np
import pytest

from kerasbert.checkpoints import load
from kerasbert.errors import BadInputError
from kerasbert.models import BertSentenceEncoder

POOLINGS = {
    "mean": {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False},
    "cls": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    "max": {"pooling_mode_max_tokens": True},
}


@pytest.fixture
def folder(saved):
    return saved("sentences", preprocessing=True)


def write_steps(folder, *steps):
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(steps)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize("mode", POOLINGS)
def test_the_pooling_is_honoured(mode, folder):
    (folder / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 8, **POOLINGS[mode]}))
    loaded = load(folder)
    assert isinstance(loaded.model, BertSentenceEncoder)
    assert (loaded.model.pooling, loaded.model.normalize) == (mode, True)
    write_steps(folder, ("Transformer", ""), ("Pooling", "1_Pooling"))
    assert load(folder).model.normalize is False
    (folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode": mode}))
    assert load(folder).model.pooling == mode


def test_what_is_written_is_what_sentence_transformers_writes(folder):
    assert json.loads((folder / "1_Pooling/config.json").read_text()) == {
        "word_embedding_dimension": 8,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
    }
    assert [step["type"].rsplit(".")[-1] for step in json.loads((folder / "modules.json").read_text())] == [
        *("Transformer", "Pooling"),
        "Normalize",
    ]
    assert json.loads((folder / "sentence_bert_config.json").read_text()) == {
        "max_seq_length": 9,
        "do_lower_case": False,
    }


def test_the_encoder_may_lie_in_a_folder_of_its_own(folder):
    encoder = folder / "0_Transformer"
    encoder.mkdir()
    for file in [file for file in folder.iterdir() if file.is_file() and file.name != "modules.json"]:
        file.rename(encoder / file.name)
    write_steps(folder, ("Transformer", "0_Transformer"), ("Pooling", "1_Pooling"))
    assert load(folder).text_to_inputs.sequence_length == 9


def test_longest_input_and_lower_case_are_honoured(folder, edit_json):
    (folder / "preprocessing.json").unlink()
    edit_json(folder / "tokenizer_config.json", do_lower_case=False, strip_accents=None)
    edit_json(folder / "sentence_bert_config.json", max_seq_length=6)
    text_to_inputs = load(folder).text_to_inputs
    assert text_to_inputs.sequence_length == 6
    assert not text_to_inputs.tokenizer.lower_case
    edit_json(folder / "sentence_bert_config.json", do_lower_case=True)
    tokenizer = load(folder).text_to_inputs.tokenizer
    assert (tokenizer.lower_case, tokenizer.strip_accents) == (True, False)


def test_an_encoder_without_pooler_is_whole(folder, edit_weights):
    """The vector is made of hidden states, and many such encoders were saved without the pooler."""
    edit_weights(folder, lambda arrays: [arrays.pop(f"pooler.dense.{name}") for name in ("weight", "bias")])
    loaded = load(folder)
    assert loaded.absent == ("pooler",)
    assert not np.any(loaded.model.backbone.pooler.kernel.numpy())


@pytest.mark.parametrize(
    "steps",
    [
        [("Transformer", "")],
        [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")],
        [("WordEmbeddings", ""), ("Pooling", "1_Pooling")],
    ],
)
def test_other_steps_are_refused(steps, folder):
    write_steps(folder, *steps)
    with pytest.raises(BadInputError, match=rf"modules\.json: the steps must be.*Received: .*{steps[-1][0]}"):
        load(folder)


@pytest.mark.parametrize(
    "config", [{"pooling_mode_mean_sqrt_len_tokens": True}, {"pooling_mode_cls_token": True, **POOLINGS["max"]}, {}]
)
def test_other_poolings_are_refused(config, folder):
    (folder / "1_Pooling/config.json").write_text(json.dumps(config))
    with pytest.raises(BadInputError, match=r"1_Pooling/config\.json: the pooling must be one of"):
        load(folder)


def test_broken_files_are_named(folder):
    (folder / "1_Pooling/config.json").unlink()
    with pytest.raises(BadInputError, match=r"1_Pooling/config\.json: the file must be JSON"):
        load(folder)
    (folder / "modules.json").write_text('{"0": "Transformer"}')
    with pytest.raises(BadInputError, match=r"modules\.json: the file must be a JSON list"):
        load(folder)
