"""How text becomes ids is read from whatever a folder says of it, and refused where that is not BERT's way."""

import json

import pytest

from kerasbert.checkpoints import load
from kerasbert.errors import BadInputError

BERT_NORMALIZER = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None}


@pytest.fixture
def bare(saved):
    """A folder with a vocabulary and nothing else that speaks of text."""
    folder = saved(preprocessing=True)
    (folder / "preprocessing.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    return folder


def rules_of(folder):
    tokenizer = load(folder).text_to_inputs.tokenizer
    return tokenizer.lower_case, tokenizer.strip_accents, tokenizer.split_cjk


def write_tokenizer(folder, **changes):
    """A `tokenizer.json` in place of `vocab.txt`."""
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").split()
    values = {
        "added_tokens": [{"id": 0, "content": "[PAD]"}],
        "normalizer": {**BERT_NORMALIZER, "lowercase": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "vocab": {piece: index for index, piece in enumerate(pieces)},
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps({**values, **changes}), encoding="utf-8")
    (folder / "vocab.txt").unlink()


def test_our_own_settings_come_first(saved, edit_json, text_to_inputs):
    folder = saved(preprocessing=True)
    edit_json(folder / "tokenizer_config.json", do_lower_case=False, model_max_length=4)
    assert load(folder).text_to_inputs.get_config() == text_to_inputs.get_config()


def test_a_bare_vocabulary_is_enough(bare):
    text_to_inputs = load(bare).text_to_inputs
    assert rules_of(bare) == (True, True, True)
    assert text_to_inputs.sequence_length == 10  # max_position_embeddings
    assert text_to_inputs(["Playing!"])["token_ids"].numpy().tolist() == [[2, 5, 6, 10, 3]]


@pytest.mark.parametrize(
    ("settings", "rules"),
    [
        ({"do_lower_case": False}, (False, False, True)),
        ({"do_lower_case": True, "strip_accents": False}, (True, False, True)),
        ({"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False}, (False, True, False)),
        ({"strip_accents": None, "model_max_length": 10**30}, (True, True, True)),
    ],
)
def test_the_tokenizer_s_config_is_honoured(settings, rules, bare):
    (bare / "tokenizer_config.json").write_text(json.dumps(settings))
    assert rules_of(bare) == rules


def test_the_longest_input_is_honoured(bare, edit_json):
    for said, length in ((4, 4), (512, 10), (10**30, 10)):
        edit_json(bare / "tokenizer_config.json", model_max_length=said)
        assert load(bare).text_to_inputs.sequence_length == length


def test_a_tokenizer_file_stands_for_the_vocabulary(bare):
    write_tokenizer(bare, normalizer={**BERT_NORMALIZER, "lowercase": False, "strip_accents": True})
    assert rules_of(bare) == (False, True, True)
    assert load(bare).text_to_inputs.vocabulary.size == 14


@pytest.mark.parametrize("where", ["added_tokens.json", "tokenizer_config.json", "tokenizer.json"])
def test_added_tokens_are_part_of_the_vocabulary(where, bare, edit_json):
    pieces = (bare / "vocab.txt").read_text(encoding="utf-8").split("\n")
    (bare / "vocab.txt").write_text("\n".join(pieces[:13]) + "\n", encoding="utf-8")
    if where == "added_tokens.json":
        edit_json(bare / where, **{"<name>": 13})
    elif where == "tokenizer_config.json":
        edit_json(bare / where, added_tokens_decoder={"0": {"content": "[PAD]"}, "13": {"content": "<name>"}})
    else:
        write_tokenizer(bare, added_tokens=[{"id": 13, "content": "<name>"}])
    assert load(bare).text_to_inputs.vocabulary.id_of("<name>") == 13


REFUSED = {
    "another tokenizer": (
        "tokenizer_config.json",
        {"tokenizer_class": "BertJapaneseTokenizer"},
        "tokenizer must be BERT's",
    ),
    "no words first": ("tokenizer_config.json", {"do_basic_tokenize": False}, "tokenizer must be BERT's"),
    "a gap": ("added_tokens.json", {"<name>": 20}, "ids of vocabulary and added tokens must be 0 to 14"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_rules_are_refused_with_a_way_out(case, bare, edit_json):
    file, settings, rule = REFUSED[case]
    edit_json(bare / file, **settings)
    with pytest.raises(BadInputError, match=f"{rule}.*preprocessing=False"):
        load(bare)
    assert load(bare, preprocessing=False).text_to_inputs is None


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"model": {"type": "BPE", "vocab": {}}}, "word pieces with the prefix ##"),
        ({"model": {"type": "WordPiece", "unk_token": "<unk>", "vocab": {}}}, "word pieces with the prefix ##"),
        ({"model": {"type": "WordPiece"}}, "no vocabulary of pieces"),
        ({"normalizer": {"type": "NFC"}}, "the normalizer must be BERT's"),
        ({"normalizer": None}, "the normalizer must be BERT's"),
    ],
)
def test_a_tokenizer_file_of_another_kind_is_refused(changes, rule, bare):
    write_tokenizer(bare, **changes)
    with pytest.raises(BadInputError, match=rf"tokenizer\.json.*{rule}"):
        load(bare)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_file_is_named(content, bare):
    (bare / "tokenizer_config.json").write_text(content)
    with pytest.raises(BadInputError, match=r"tokenizer_config\.json: the file must be"):
        load(bare)
