"""google-research/bert's tokenization in plain Python, and texts that are hard on it: the reference for parity.

Written from the published rules (tokenization.py), and on purpose from nothing of kerasbert's own: it asks the running
Python's Unicode tables.
"""

import json
import random
import sysconfig
import unicodedata
from pathlib import Path

import tensorflow as tf

from kerasbert.preprocessing import Vocabulary, WordPieceTokenizer, character_rules

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
DATA = Path(__file__).parents[2] / "../shared/data"
SINCE_UNICODE_13 = character_rules.ASSIGNED_LATER | {0x1734, 0x1171E}
SAME_UNICODE = unicodedata.unidata_version == character_rules.UNICODE_VERSION


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


def characters_of(texts):
    """A vocabulary of single characters, which shows what [UNK] would hide: those of the texts, however normalized."""
    chars = set()
    for text in texts:
        text = text.decode("utf-8", "ignore") if isinstance(text, bytes) else text
        for form in (text, text.lower()):
            chars.update(form, unicodedata.normalize("NFD", form))
    chars = sorted(char for char in chars | set("σςabAB") if not char.isspace())
    return Vocabulary([*SPECIAL, *chars, *(f"##{char}" for char in chars)])


def around(char):
    """A character alone, twice inside a word, and on each side of a capital sigma."""
    return [char, f"a{char}B{char}b", f"A{char}Σ", f"Σ{char}", f"AΣ{char} AΣ{char}b"]


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


def real_lines():
    """More than 100,000 lines of English, Chinese, code, and made-up mixtures; needs ../shared/data."""
    return [*english_lines(), *chinese_lines(), *code_lines()[:100_000], *made_lines()]


def code_points():
    """Every code point that a text can contain."""
    return [chr(point) for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
