"""All files of a folder that say how text becomes ids are read, and refused where the rules are not BERT's."""

import json

import pytest

from kerasbert.checkpoints import load, save
from kerasbert.errors import BadInputError
from kerasbert.preprocessing import AddedToken, Vocabulary

BERT_NORMALIZER = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None}


@pytest.fixture
def bare(saved):
    """A folder with a vocabulary and no other tokenizer files."""
    folder = saved(preprocessing=True)
    (folder / "preprocessing.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    return folder


def rules_of(folder):
    tokenizer = load(folder).text_to_inputs.tokenizer
    return tokenizer.lower_case, tokenizer.strip_accents, tokenizer.split_cjk


def write_tokenizer(folder, **changes):
    """A `tokenizer.json` instead of `vocab.txt`."""
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
def test_the_tokenizer_config_is_applied(settings, rules, bare):
    (bare / "tokenizer_config.json").write_text(json.dumps(settings))
    assert rules_of(bare) == rules


def test_the_longest_input_is_applied(bare, edit_json):
    for said, length in ((4, 4), (4.0, 4), (512, 10), (10**30, 10), (1e30, 10), (10**400, 10)):
        edit_json(bare / "tokenizer_config.json", model_max_length=said)
        assert load(bare).text_to_inputs.sequence_length == length


def pair_of(segment):
    """A pair's template in a `tokenizer.json`."""
    parts = [("SpecialToken", "[CLS]", 0), ("Sequence", "A", 0), ("SpecialToken", "[SEP]", 0)]
    second = [("Sequence", "B", segment), ("SpecialToken", "[SEP]", segment)]
    single, pair = ([{kind: {"id": name, "type_id": at}} for kind, name, at in row] for row in (parts, parts + second))
    return {"post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair}}


SEGMENTS = {
    "by default": ({}, {}, 1),
    "named": ({"model_input_names": ["attention_mask", "token_type_ids", "input_ids"]}, {}, 1),
    "not named": ({"model_input_names": ["input_ids", "attention_mask"]}, {}, 0),
    "not named in another order": ({"model_input_names": ["attention_mask", "input_ids"]}, pair_of(1), 0),
    "DistilBERT's class": ({"tokenizer_class": "DistilBertTokenizer"}, {}, 0),
    "DistilBERT's class with names": (
        {
            "tokenizer_class": "DistilBertTokenizerFast",
            "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        },
        *({}, 1),
    ),
    "template": ({}, pair_of(1), 1),
    "template of one segment": ({}, pair_of(0), 0),
}


@pytest.mark.parametrize("case", SEGMENTS)
def test_the_segments_of_pairs_are_those_of_the_tokenizer(case, bare, edit_json, tmp_path):
    """Without `token_type_ids`, transformers' BertModel takes zeros."""
    settings, tokenizer_file, segment = SEGMENTS[case]
    if settings:
        edit_json(bare / "tokenizer_config.json", **settings)
    if tokenizer_file:
        write_tokenizer(bare, **tokenizer_file)
    loaded = load(bare)
    # [CLS] the dog [SEP] cat ! [SEP]
    assert loaded.text_to_inputs(["the dog"], ["cat!"])["segment_ids"].numpy().tolist() == [[0] * 4 + [segment] * 3]
    again = save(loaded.model, tmp_path / "again", loaded.text_to_inputs)
    assert load(again).text_to_inputs.pair_segments == bool(segment)
    (again / "preprocessing.json").unlink()  # what other libraries read
    assert load(again).text_to_inputs.pair_segments == bool(segment)


def test_a_tokenizer_file_replaces_the_vocabulary(bare):
    write_tokenizer(bare, normalizer={**BERT_NORMALIZER, "lowercase": False, "strip_accents": True})
    assert rules_of(bare) == (False, True, True)
    assert load(bare).text_to_inputs.vocabulary.size == 14


@pytest.fixture
def short(bare):
    """A folder whose vocabulary lacks the model's last piece, which has the id 13."""
    pieces = (bare / "vocab.txt").read_text(encoding="utf-8").split("\n")
    (bare / "vocab.txt").write_text("\n".join(pieces[:13]) + "\n", encoding="utf-8")
    return bare


@pytest.mark.parametrize("where", ["added_tokens.json", "tokenizer_config.json", "tokenizer.json"])
def test_added_tokens_are_part_of_the_vocabulary_and_stay_whole(where, short, edit_json):
    if where == "added_tokens.json":
        edit_json(short / where, **{"<name>": 13})
    elif where == "tokenizer_config.json":
        edit_json(short / where, added_tokens_decoder={"0": {"content": "[PAD]"}, "13": {"content": "<name>"}})
    else:
        write_tokenizer(short, added_tokens=[{"id": 0, "content": "[PAD]"}, {"id": 13, "content": "<name>"}])
    text_to_inputs = load(short).text_to_inputs
    assert text_to_inputs.tokenizer.added_tokens == (AddedToken("<name>"),)
    assert text_to_inputs(["play<NAME>play"])["token_ids"].numpy().tolist() == [[2, 5, 13, 5, 3]]


@pytest.mark.parametrize("where", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize(
    "listed",
    [
        {"additional_special_tokens": ["<name>", "<nobody>"]},
        {"additional_special_tokens": [{"content": "<name>", "single_word": False}]},
        {"extra_special_tokens": {"name_token": "<name>"}},
    ],
    ids=str,
)
def test_tokens_that_are_listed_as_special_match_as_written(where, listed, short, edit_json):
    edit_json(short / "added_tokens.json", **{"<name>": 13})
    edit_json(short / where, **listed)
    text_to_inputs = load(short).text_to_inputs
    assert text_to_inputs.tokenizer.added_tokens == (AddedToken("<name>", normalized=False, special=True),)
    assert 13 in text_to_inputs(["<name>"])["token_ids"].numpy()
    assert 13 not in text_to_inputs(["<NAME>"])["token_ids"].numpy()


def test_special_tokens_come_in_the_order_of_the_files(bare, edit_json):
    pieces = Vocabulary.from_file(bare / "vocab.txt").pieces
    listed = [piece for piece in reversed(pieces) if not piece.startswith("[")]
    edit_json(bare / "tokenizer_config.json", additional_special_tokens=listed[:4])
    edit_json(bare / "special_tokens_map.json", additional_special_tokens=listed[2:])
    assert [token.content for token in load(bare).text_to_inputs.tokenizer.added_tokens] == listed


def test_the_rules_of_added_tokens_are_read_and_written(short, edit_json, tmp_path):
    rules = {"content": "name", "single_word": True, "normalized": False, "special": False, "lstrip": True}
    edit_json(short / "tokenizer_config.json", added_tokens_decoder={"13": rules})
    checkpoint = load(short)
    token = AddedToken("name", normalized=False, single_word=True)
    assert checkpoint.text_to_inputs.tokenizer.added_tokens == (token,)
    saved = save(checkpoint.model, tmp_path / "saved", checkpoint.text_to_inputs)
    assert load(saved).text_to_inputs.tokenizer.added_tokens == (token,)
    (saved / "preprocessing.json").unlink()
    assert load(saved).text_to_inputs.tokenizer.added_tokens == (token,)


REFUSED = {
    "another tokenizer": (
        "tokenizer_config.json",
        {"tokenizer_class": "BertJapaneseTokenizer"},
        "tokenizer must be BERT's",
    ),
    "no words first": ("tokenizer_config.json", {"do_basic_tokenize": False}, "tokenizer must be BERT's"),
    "a gap": ("added_tokens.json", {"<name>": 20}, "must have its own id, less than the 14 rows"),
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
        ({"model": {"type": "BPE", "vocab": {}}}, r"`model\.type` must be 'WordPiece', because it changes how words"),
        ({"model": {"type": "WordPiece", "unk_token": "<unk>", "vocab": {}}}, r"`model\.unk_token` must be .*<unk>"),
        ({"model": {"type": "WordPiece"}}, r"`model\.vocab` must map pieces to ids"),
        ({"model": {"vocab": [["a", 1]]}}, r"`model\.vocab` must be a JSON object"),
        ({"model": {"vocab": {"a": "1"}}}, r"`model\.vocab` must map pieces .* to ids.*'a': '1'"),
        ({"model": {"vocab": {"\ud800": 0}}}, r"`model\.vocab` must map pieces of Unicode characters.*'\\ud800': 0"),
        ({"model": {"vocab": {"[PAD]": 0, " ": 1}}}, r"`model\.vocab` .*lacks \[UNK\], \[CLS\], \[SEP\], \[MASK\]"),
        ({"model": {"vocab": {"[PAD]": 0, "a": 0}}}, r"must have its own id.*'\[PAD\]': 0, 'a': 0"),
        ({"model": {"vocab": {"[PAD]": 0}}}, r"`model\.vocab` .*lacks \[UNK\], \[CLS\], \[SEP\], \[MASK\]"),
        ({"model": []}, "`model` must be a JSON object"),
        ({"normalizer": {"type": "NFC"}}, "`normalizer` must be BERT's"),
        ({"normalizer": None}, "`normalizer` must be BERT's"),
        ({"normalizer": {**BERT_NORMALIZER, "lowercase": "no"}}, r"`normalizer\.lowercase` must be true or false"),
        ({"added_tokens": ["x"]}, "`added_tokens` must be a list of JSON objects"),
        ({"added_tokens": [{"id": 0}]}, r"`added_tokens\[0\]\.content` must be the token's text"),
        ({"added_tokens": [{"content": "x"}]}, r"`added_tokens\[0\]\.id` must be the token's id"),
    ],
)
def test_a_tokenizer_file_of_another_kind_is_refused(changes, rule, bare):
    write_tokenizer(bare, **changes)
    with pytest.raises(BadInputError, match=rf"tokenizer\.json.*{rule}"):
        load(bare)


ODD_SETTINGS = {
    "endless": ('{"model_max_length": Infinity}', "`model_max_length` must be a whole number of at least 3"),
    "not a number": ('{"model_max_length": NaN}', "`model_max_length` must be a whole number"),
    "length in words": ('{"model_max_length": "8"}', "`model_max_length` must be a whole number.*'8'"),
    "no room for text": ('{"model_max_length": 2}', "`model_max_length` must be a whole number of at least 3"),
    "half a token": ('{"model_max_length": 8.5}', "`model_max_length` must be a whole number"),
    "several classes": ('{"tokenizer_class": ["BertTokenizer"]}', "`tokenizer_class` must be a string"),
    "false in words": ('{"do_lower_case": "false"}', "`do_lower_case` must be true or false. Received: 'false'"),
    "added in a list": ('{"added_tokens_decoder": [{"content": "x"}]}', "`added_tokens_decoder` must be a JSON object"),
    "added as text": ('{"added_tokens_decoder": {"12": "<e1>"}}', r"`added_tokens_decoder\.12` must be a JSON object"),
    "added twice round": ('{"added_tokens_decoder": {"<e1>": 12}}', r"`added_tokens_decoder\.<e1>` must be the id"),
    "rule in words": (
        '{"added_tokens_decoder": {"12": {"content": "x", "normalized": "no"}}}',
        r"`added_tokens_decoder\.12\.normalized` must be true or false. Received: 'no'",
    ),
    "special in one word": (
        '{"additional_special_tokens": "<e1>"}',
        "`additional_special_tokens` must be a list of special tokens. Received: '<e1>'",
    ),
    "special numbers": ('{"extra_special_tokens": [1]}', "`extra_special_tokens` must be a list of special tokens"),
    "half a character": (
        r'{"added_tokens_decoder": {"14": {"content": "\ud800"}}}',
        r"`added_tokens_decoder\.14\.content` must be a string of Unicode characters.*'\\ud800'",
    ),
}


@pytest.mark.parametrize("case", ODD_SETTINGS)
def test_a_setting_of_a_wrong_type_is_refused_by_its_key(case, bare):
    content, message = ODD_SETTINGS[case]
    (bare / "tokenizer_config.json").write_text(content)
    with pytest.raises(BadInputError, match=rf"tokenizer_config\.json: {message}.*preprocessing=False"):
        load(bare)
    assert load(bare, preprocessing=False).text_to_inputs is None


def test_added_tokens_need_ids_that_are_numbers(bare):
    (bare / "added_tokens.json").write_text('{"<e1>": "14"}')
    with pytest.raises(BadInputError, match=r"added_tokens\.json: the file must map .* to ids.*'<e1>': '14'"):
        load(bare)


def test_an_added_token_that_is_too_long_is_refused_with_the_file(short):
    (short / "added_tokens.json").write_text(json.dumps({"x" * 300: 13}))
    with pytest.raises(BadInputError, match=r"vocab\.txt with the added tokens: .*at most 256 bytes"):
        load(short)


def test_a_model_without_room_for_text_is_refused_by_its_config(bare, edit_json, edit_weights):
    name = "embeddings.position_embeddings.weight"
    edit_weights(bare, lambda arrays: arrays.update({name: arrays[name][:2].copy()}))
    edit_json(bare / "config.json", max_position_embeddings=2)
    with pytest.raises(BadInputError, match=r"config\.json: `max_position_embeddings` must be at least 3"):
        load(bare)
    assert load(bare, preprocessing=False).config.max_position_embeddings == 2


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_file_is_named(content, bare):
    (bare / "tokenizer_config.json").write_text(content)
    with pytest.raises(BadInputError, match=r"tokenizer_config\.json: the file must be"):
        load(bare)
