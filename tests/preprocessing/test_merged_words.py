"""Words of a text that normalization makes the same although they are spelled differently."""

import pytest

from kerasbert.preprocessing import Vocabulary, WordPieceTokenizer, merged_words

VOCABULARY = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])


@pytest.mark.parametrize(
    ("text", "count", "group"),
    [
        ("The cat saw the CAT. US and us.", 0, None),
        ("año ano hacía hacia Año", 4, ("ano", "año")),
        ("schon schön Schon", 2, ("schon", "schön")),
        ("pêche péché pèche", 3, ("pèche", "péché", "pêche")),
        ("ma má mà mả mã mạ", 6, None),
        ("कुल कल", 2, ("कल", "कुल")),
        ("กิน กัน กน", 3, None),
        ("їх іх", 2, ("іх", "їх")),
        ("かぎ かき", 2, ("かき", "かぎ")),
        ("한국 사람", 0, None),
        ("كَتَبَ كُتُب", 2, None),
        ("caf\u00e9 cafe\u0301", 0, None),
        ("ΟΔΟΣ οδος οδός", 2, None),
    ],
)
def test_words_that_accent_stripping_merges(text, count, group):
    merged = merged_words([text], WordPieceTokenizer(VOCABULARY))
    assert merged.count == count
    if group:
        assert group in merged.examples
    if count:
        assert "`strip_accents=False`" in merged.warning()
        assert not merged.by_case
    else:
        assert merged.warning() is None
    # The setting that the warning names keeps them apart.
    assert merged_words([text], WordPieceTokenizer(VOCABULARY, strip_accents=False)).count == 0


def test_the_turkish_i():
    text = ["SIK sık sik", "Işık ışık şık"]
    merged = merged_words(text, WordPieceTokenizer(VOCABULARY))
    assert merged.by_case
    assert merged.by_accents
    kept = merged_words(text, WordPieceTokenizer(VOCABULARY, strip_accents=False))
    assert ("sik", "sık") in kept.examples
    assert "`lower_case=False`" in kept.warning()
    assert "strip_accents" not in kept.warning()
    assert merged_words(text, WordPieceTokenizer(VOCABULARY, lower_case=False)).count == 0


def test_three_examples_the_most_frequent_first():
    lines = ["a á"] * 2 + ["e é"] * 5 + ["i í"] * 3 + ["o ó"] * 4
    merged = merged_words(lines, WordPieceTokenizer(VOCABULARY))
    assert merged.examples == (("e", "é"), ("o", "ó"), ("i", "í"))
    assert merged.count == 8
    assert "(e = é; o = ó; i = í)" in merged.warning()
