"""Options, offsets and detokenization of the tokenizer. Parity of its pieces with the original: see tests/parity."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from kerasbert.preprocessing import Vocabulary, WordPieceTokenizer, character_rules
from kerasbert.preprocessing.character_tables import google_table, tf_text_table
from kerasbert.preprocessing.normalizer_model import build_normalizer_model

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = Vocabulary([*SPECIAL, *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")])


def pieces(tokenizer, texts):
    return [[piece.decode() for piece in row] for row in tokenizer.pieces(tokenizer.tokenize(texts)).to_list()]


def vocabulary_of(*words):
    return Vocabulary([*SPECIAL, *words])


# ----- Options -----


def test_case_accents_and_ideographs_are_separate_choices():
    vocabulary = vocabulary_of("Été", "été", "ete", "Ete", "中文", "中", "文")
    text = ["Été 中文"]
    for lower_case, strip_accents, first in (
        (True, None, "ete"),
        (True, True, "ete"),
        (True, False, "été"),
        (False, None, "Été"),
        (False, False, "Été"),
        (False, True, "Ete"),
    ):
        for normalization in ("google", "tf_text"):
            for split_cjk, rest in ((True, ["中", "文"]), (False, ["中文"])):
                tokenizer = WordPieceTokenizer(
                    vocabulary, lower_case, strip_accents, split_cjk, normalization=normalization
                )
                assert pieces(tokenizer, text) == [[first, *rest]]


def test_special_tokens_in_text_stay_whole_on_request_only():
    vocabulary = vocabulary_of("a", "##b", "[", "]", "mask", "cls", "\u206a", "!")
    text = ["a[MASK]ab [CLS][SEP]!", "[mask] [MASK", "\u206aa\u206eb[PAD][UNK]", "[[MASK]]", "none"]
    apart = [
        ["a", "[", "mask", "]", "a", "##b", "[", "cls", "]", "[", "[UNK]", "]", "!"],
        ["[", "mask", "]", "[", "mask"],
        ["a", "##b", "[", "[UNK]", "]", "[", "[UNK]", "]"],
        ["[", "[", "mask", "]", "]"],
        ["[UNK]"],
    ]
    whole = [
        ["a", "[MASK]", "a", "##b", "[CLS]", "[SEP]", "!"],
        ["[", "mask", "]", "[", "mask"],
        ["a", "##b", "[PAD]", "[UNK]"],
        ["[", "[MASK]", "]"],
        ["[UNK]"],
    ]
    for split_cjk in (True, False):
        assert pieces(WordPieceTokenizer(vocabulary, split_cjk=split_cjk), text) == apart
        kept = WordPieceTokenizer(vocabulary, split_cjk=split_cjk, keep_special_tokens=True)
        assert pieces(kept, text) == whole
        for row, spans in zip(whole, spans_of(kept, text), strict=True):
            assert all(
                span == piece for piece, span in zip(row, spans, strict=True) if piece in ("[MASK]", "[CLS]", "!")
            )
    by_tf_text = WordPieceTokenizer(vocabulary, keep_special_tokens=True, normalization="tf_text")
    assert pieces(by_tf_text, text[:2] + text[3:]) == whole[:2] + whole[3:]


def test_the_word_limit_is_an_option():
    texts = ["abc abcd", "éèê éèêà", "x" * 2000]
    limited = WordPieceTokenizer(VOCABULARY, max_word_length=3)
    assert pieces(limited, texts)[:2] == [["a", "##b", "##c", "[UNK]"], ["e", "##e", "##e", "[UNK]"]]
    assert pieces(WordPieceTokenizer(VOCABULARY, max_word_length=2000), texts)[2] == ["x"] + ["##x"] * 1999
    assert pieces(WordPieceTokenizer(VOCABULARY, max_word_length=1999), texts)[2] == ["[UNK]"]
    by_bytes = WordPieceTokenizer(VOCABULARY, normalization="tf_text")
    assert pieces(by_bytes, ["x" * 100 + " " + "x" * 101])[0] == ["x"] + ["##x"] * 99 + ["[UNK]"]


def test_config_contains_every_argument():
    config = {
        "lower_case": False,
        "strip_accents": True,
        "split_cjk": False,
        "keep_special_tokens": True,
        "normalization": "tf_text",
        "max_word_length": 7,
        "added_tokens": [{"content": "a", "normalized": False, "single_word": True, "special": True}],
    }
    tokenizer = WordPieceTokenizer(VOCABULARY, **config)
    assert tokenizer.get_config() == config
    assert WordPieceTokenizer(VOCABULARY, **tokenizer.get_config()).get_config() == config


@pytest.mark.parametrize(
    "bad", [{"normalization": "bert"}, {"max_word_length": 0}, {"max_word_length": True}, {"max_word_length": 1.5}]
)
def test_wrong_arguments_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        WordPieceTokenizer(VOCABULARY, **bad)


def test_unusual_pieces_are_harmless():
    vocabulary = vocabulary_of(
        "\x01", "\0a", "\u200b", "\U000e0001", "\U000e0020", "##", "##\x02", "A", "a b", "a", "ab"
    )
    tokenizer = WordPieceTokenizer(vocabulary)
    texts = ["\x01 \0a a\u200bb \U000e0020 A ##", "a b"]
    assert pieces(tokenizer, texts) == [["a", "ab", "a", "[UNK]", "[UNK]"], ["a", "[UNK]"]]
    assert pieces(WordPieceTokenizer(Vocabulary(SPECIAL)), ["a [PAD]"]) == [["[UNK]"] * 4]


# ----- Offsets -----


def spans_of(tokenizer, texts):
    """The bytes of the original that each piece came from, decoded."""
    encoded = [text if isinstance(text, bytes) else text.encode() for text in texts]
    ids, starts, ends = tokenizer.tokenize_with_offsets(encoded)
    assert ids.to_list() == tokenizer.tokenize(encoded).to_list()
    return [
        [text[start:end].decode("utf-8", "surrogateescape") for start, end in zip(row_starts, row_ends, strict=True)]
        for text, row_starts, row_ends in zip(encoded, starts.to_list(), ends.to_list(), strict=True)
    ]


OFFSET_CASES = [
    ("Café, crème", ["C", "a", "f", "é", ",", "c", "r", "è", "m", "e"]),
    ("cafe\u0301s", ["c", "a", "f", "e\u0301", "s"]),
    ("a\0b \u200bc\u200b", ["a\0", "b", "c\u200b"]),
    ("中a文", ["中", "a", "文"]),
    ("각a", ["각", "각", "각", "a"]),
    ("İa", ["İ", "a"]),
    ("x" * 201 + " y", ["x" * 201, "y"]),
    ("“a”…", ["“", "a", "”", "…"]),
    ("ΑΣ", ["Α", "Σ"]),
    ("≠a", ["≠", "a"]),
    (b"a\xffb \xe2\x82c", ["a\udcff", "b", "c"]),
    ("", []),
    (" \t\u3000", []),
    ("\0\x01", []),
]


@pytest.mark.parametrize("split_cjk", [True, False])
def test_offsets_point_into_the_original_bytes(split_cjk):
    chars = [*"abcefimrsy中文,“”…ας=", "각", *"\u1100\u1161\u11a8"]
    tokenizer = WordPieceTokenizer(vocabulary_of(*chars, *(f"##{char}" for char in chars)), split_cjk=split_cjk)
    texts, expected = zip(*OFFSET_CASES, strict=True)
    expected = [list(row) for row in expected]
    assert spans_of(tokenizer, texts) == expected
    graph = tf.function(tokenizer.tokenize_with_offsets, input_signature=[tf.TensorSpec([None], tf.string)])
    encoded = tf.constant([text if isinstance(text, bytes) else text.encode() for text in texts])
    for live, traced in zip(tokenizer.tokenize_with_offsets(encoded), graph(encoded), strict=True):
        assert live.to_list() == traced.to_list()


def test_offsets_of_an_empty_batch():
    for tensor in WordPieceTokenizer(VOCABULARY).tokenize_with_offsets(tf.constant([], tf.string)):
        assert tensor.to_list() == []


def test_offsets_cut_whole_characters_in_order():
    draw = np.random.default_rng(0)
    alphabet = list("ab .,中é\u0301Σ각İß“\0\u200b😀\u3000")
    texts = ["".join(draw.choice(alphabet, size)) for size in draw.integers(0, 30, 500)]
    chars = ["a", "b", ".", ",", "中", "e", "σ", "ς", "i", "ß", "“", "😀", *"\u1100\u1161\u11a8"]
    tokenizer = WordPieceTokenizer(vocabulary_of(*chars, *(f"##{char}" for char in chars)))
    ids, starts, ends = tokenizer.tokenize_with_offsets(texts)
    for text, row, row_starts, row_ends in zip(texts, ids.to_list(), starts.to_list(), ends.to_list(), strict=True):
        assert row_starts == sorted(row_starts)
        assert row_ends == sorted(row_ends)
        for piece, start, end in zip(row, row_starts, row_ends, strict=True):
            span = text.encode()[start:end].decode()  # raises inside a character
            name = tokenizer.vocabulary.pieces[piece].removeprefix("##")
            assert name in span or name in character_rules.rewritten(span[0], True, True) or name in "ςσ"


# ----- The way back -----


def test_detokenize():
    tokenizer = WordPieceTokenizer(vocabulary_of("play", "##ing", ",", "dog"))
    ids = tokenizer.tokenize(["Playing, dog", "", "what"])
    assert tokenizer.detokenize(ids).numpy().tolist() == [b"playing , dog", b"", b"[UNK]"]
    dense = tf.constant([[2, 5, 6, 3, 0], [6, 5, 0, 0, 0]])
    assert tokenizer.detokenize(dense).numpy().tolist() == [
        b"[CLS] playing [SEP] [PAD]",
        b"##ing play [PAD] [PAD] [PAD]",
    ]
    assert tokenizer.detokenize(dense, skip_special_tokens=True).numpy().tolist() == [b"playing", b"##ing play"]
    assert tokenizer.detokenize(np.array([[5, 6]], np.int64)).numpy().tolist() == [b"playing"]
    assert tokenizer.detokenize([[5, 6], [8]]).numpy().tolist() == [b"playing", b"dog"]


# ----- Edges -----


@pytest.mark.parametrize("options", [{}, {"lower_case": False}, {"split_cjk": False}, {"normalization": "tf_text"}])
def test_edge_cases_are_harmless(options):
    tokenizer = WordPieceTokenizer(VOCABULARY, **options)
    texts = ["", " \t\r\n", "\0\x01\x02\x7f\x85", "\u200b\ufeff", b"\xff\xfe\x80", "a" * 1_000_000, "a " * 500_000]
    ids = tokenizer.tokenize(texts)
    lengths = ids.row_lengths().numpy().tolist()
    assert lengths[:2] == [0, 0]
    assert lengths[-2:] == [1, 500_000]
    assert ids.dtype == tf.int32
    if options.get("normalization") != "tf_text":
        assert lengths[2:5] == [0, 0, 0]


# ----- tensorflow-text's rules -----


@pytest.mark.parametrize("lower_case", [True, False])
def test_tf_text_mode_equals_its_own_tokenizer(lower_case):
    texts = ["Straße ＡＢＣ ﬁ ΑΣ İ", "a\0b\u200bc", "Été 中文!", "[MASK] x\u00adx", "\ufffd " + "a" * 101 + " ½"]
    chars = sorted(set("".join(texts).lower() + "".join(texts) + "sifabc") - {" ", "\0"})
    vocabulary = vocabulary_of(*chars, *(f"##{char}" for char in chars))
    theirs = tf_text.FastBertTokenizer(
        list(vocabulary.pieces), token_out_type=tf.int32, lower_case_nfd_strip_accents=lower_case
    )
    ours = WordPieceTokenizer(vocabulary, lower_case, normalization="tf_text")
    assert ours.tokenize(texts).to_list() == theirs.tokenize(texts).to_list()


@pytest.mark.parametrize("lower_case", [True, False])
def test_our_table_of_tf_texts_rules_equals_its_own(lower_case):
    table = tf_text_table(lower_case, lower_case)
    own = tf_text.FastBertNormalizer(lower_case_nfd_strip_accents=lower_case)
    chars = [chr(point).encode() for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    normalized = own.normalize(tf.constant(chars)).numpy()
    differing = [char for char, text in zip(chars, normalized, strict=True) if table.get(char, char) != text]
    assert differing == []


# ----- The op's table -----


def test_the_op_runs_a_custom_table():
    table = {
        b"\0": b"zero",
        b"a": b"",
        b"\xc3\xa9": b"e",
        b"\xe4\xb8\xad": b" \xe4\xb8\xad ",
        b"\xf0\x9f\x98\x80": b":)",
        b"\xff": b"?",
    }
    op = tf_text.FastBertNormalizer(model_buffer=tf.constant(np.frombuffer(build_normalizer_model(table), np.uint8)))
    texts = [b"\0ab\xc3\xa9\xc3\xaa", "中丮😀😁".encode(), b"\xffx\xfe", b""]
    assert op.normalize(tf.constant(texts)).numpy().tolist() == [
        b"zerobe\xc3\xaa",
        " 中 丮:)😁".encode(),
        b"?x\xfe",
        b"",
    ]
    with pytest.raises(ValueError, match="63 bytes"):
        build_normalizer_model({b"a": b"x" * 64})


def test_the_rules_are_the_same_on_every_python():
    """Digests of the tables, so that a newer `unicodedata` cannot change an answer unseen."""
    digests = {
        options: hashlib.sha256(repr(sorted(google_table(*options).items())).encode()).hexdigest()[:16]
        for options in ((True, True), (True, False), (False, True), (False, False))
    }
    assert digests == {
        (True, True): "0289b31a7aa0a9a8",
        (True, False): "e9556bb604dc7f24",
        (False, True): "cd597d6f45a0e771",
        (False, False): "f1519c80e1f615b8",
    }
