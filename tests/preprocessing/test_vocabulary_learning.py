"""Learned vocabularies reach their size, are the same every time, and can spell their corpus."""

import time
from pathlib import Path

import pytest

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import WordPieceTokenizer, learn_vocabulary

WIKITEXT = Path(__file__).parents[2] / "../shared/data/wikitext2/valid.txt"


def wikitext(lines):
    if not WIKITEXT.exists():
        pytest.skip("needs ../shared/data")
    return WIKITEXT.read_text(encoding="utf-8").split("\n")[:lines]


def test_the_size_is_reached_exactly_if_the_text_has_enough_words():
    lines = wikitext(400)
    for size in (500, 1500):
        vocabulary = learn_vocabulary(lines, size)
        assert len(vocabulary) == size
    assert len(learn_vocabulary(lines[:20], 5000)) < 5000
    tokenizer = WordPieceTokenizer(vocabulary)
    assert vocabulary.unk_id not in tokenizer.tokenize(lines).flat_values.numpy()
    assert vocabulary.pieces[:5] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    assert "the" in vocabulary


def test_the_order_of_lines_does_not_matter():
    lines = wikitext(150)
    assert learn_vocabulary(lines, 600) == learn_vocabulary(iter(reversed(lines)), 600)


def test_every_character_has_a_piece_and_lone_ones_have_one_only():
    text = ["中文和文字 abc, ABC!", "naïve É ñandú \u2e52 \U0001f600x"] * 2
    uncased = learn_vocabulary(text, 100)
    assert {"中", "文", ",", "!", "\u2e52", "a", "##a", "n", "##n", "\U0001f600"} <= set(uncased.pieces)
    assert not {"##中", "##,", "é", "ï", "A", "##\u2e52"} & set(uncased.pieces)
    cased = learn_vocabulary(text, 100, lower_case=False)
    assert {"A", "É", "ï", "##ï"} <= set(cased.pieces)
    accented = learn_vocabulary(text, 100, strip_accents=False)
    assert "é" in accented
    assert "É" not in accented
    for options in ({}, {"lower_case": False}, {"split_cjk": False}, {"normalization": "tf_text"}):
        vocabulary = learn_vocabulary(text, 100, **options)
        assert vocabulary.unk_id not in WordPieceTokenizer(vocabulary, **options).tokenize(text).flat_values.numpy()


def test_the_most_frequent_characters_come_first_when_room_is_short():
    vocabulary = learn_vocabulary(["aaaa aaab b"] * 9 + ["qz"], 10)
    assert set(vocabulary.pieces[5:]) == {"a", "##a", "b", "##b", "aaaa"}
    assert len(learn_vocabulary(["".join(map(chr, range(0x4E00, 0x4E80)))], 50)) == 50


def test_characters_alone_can_fill_it():
    vocabulary = learn_vocabulary(["."], 7)
    assert vocabulary.pieces == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".")


@pytest.mark.parametrize("lines", [[], [""], ["  \t", "\0\x01"]])
def test_text_without_a_word_is_refused(lines):
    with pytest.raises(BadInputError, match="without any"):
        learn_vocabulary(lines, 100)


@pytest.mark.parametrize("bad", [{"size": 6}, {"size": 100, "min_count": 0}])
def test_wrong_arguments_are_named(bad):
    with pytest.raises(ValueError, match=list(bad)[-1]):
        learn_vocabulary(["a b"], **bad)


def test_a_very_long_word_costs_nothing():
    assert "word" in learn_vocabulary(["x" * 1_000_000, "a word", "a word"], 60)


@pytest.mark.slow
def test_8000_pieces_from_two_megabytes_within_a_minute():
    lines = wikitext(None)
    lines += [line[::-1] for line in lines]
    started = time.process_time()
    vocabulary = learn_vocabulary(lines, 8000)
    assert len(vocabulary) == 8000
    assert time.process_time() - started < 60
