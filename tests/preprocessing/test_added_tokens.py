"""Tokens that stay whole are found where Hugging Face's rules find them; tests/parity compares with its library."""

import pytest
import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import AddedToken, TextToInputs, Vocabulary, WordPieceTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz0123456789<>/[]", "é", "中", "文"]
ADDED = ["<e>", "<e>1", "[E1]", "ab", "bcd", "dog", "文中"]
VOCABULARY = Vocabulary([*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *ADDED])


def tokenizer_with(*tokens, **options):
    return WordPieceTokenizer(VOCABULARY, added_tokens=tokens, **options)


def pieces_and_spans(tokenizer, texts):
    """Of each text its pieces, and the bytes that they come from."""
    ids, starts, ends = tokenizer.tokenize_with_offsets(texts)
    assert ids.to_list() == tokenizer.tokenize(texts).to_list()
    rows = zip(texts, tokenizer.pieces(ids).to_list(), starts.to_list(), ends.to_list(), strict=True)
    return [
        [
            (piece.decode(), text.encode()[start:end].decode())
            for piece, start, end in zip(pieces, begin, end_, strict=True)
        ]
        for text, pieces, begin, end_ in rows
    ]


def pieces(tokenizer, *texts):
    return [[piece for piece, _ in row] for row in pieces_and_spans(tokenizer, list(texts))]


@pytest.mark.parametrize(
    "options", [{}, {"split_cjk": False}, {"normalization": "tf_text"}, {"lower_case": False}], ids=str
)
def test_a_token_stays_whole_anywhere_in_a_text(options):
    tokenizer = tokenizer_with(AddedToken("<e>"), AddedToken("dog", normalized=False), **options)
    assert pieces(tokenizer, "x<e>yz<e><e> dogs", "", "<e>", "no", "d<e") == [
        ["x", "<e>", "y", "##z", "<e>", "<e>", "dog", "s"],
        [],
        ["<e>"],
        ["n", "##o"],
        ["d", "<", "e"],
    ]
    assert pieces(WordPieceTokenizer(VOCABULARY, **options), "x<e>") == [["x", "<", "e", ">"]]


@pytest.mark.parametrize("normalized", [True, False])
def test_the_first_counts_and_of_those_the_longest(normalized):
    tokens = [AddedToken(text, normalized=normalized) for text in ("ab", "bcd", "<e>", "<e>1")]
    assert pieces(tokenizer_with(*tokens), "abcd", "xbcdab", "<e>1<e>2") == [
        ["ab", "c", "##d"],
        ["x", "bcd", "ab"],
        ["<e>1", "<e>", "2"],
    ]


def test_tokens_are_searched_in_the_original_or_the_normalized_text():
    written, normalized = (tokenizer_with(AddedToken("[E1]", normalized=value)) for value in (False, True))
    texts = ["[E1] [e1] [É1]", "[E\u200b1]"]
    apart = ["[", "e", "##1", "]"]
    assert pieces(written, *texts) == [["[E1]", *apart, *apart], apart]
    assert pieces(normalized, *texts) == [["[E1]"] * 3, ["[E1]"]]
    assert pieces(tokenizer_with(AddedToken("[E1]"), lower_case=False), "[e1][E1]") == [[*apart, "[E1]"]]


def test_tokens_as_written_are_cut_out_before_normalized_ones():
    tokenizer = tokenizer_with(AddedToken("ab"), AddedToken("bcd", normalized=False))
    assert pieces(tokenizer, "abcd ABCD") == [["a", "bcd", "ab", "c", "##d"]]


@pytest.mark.parametrize("normalized", [True, False])
def test_a_single_word_is_not_found_within_a_word(normalized):
    tokenizer = tokenizer_with(AddedToken("dog", normalized=normalized, single_word=True), AddedToken("<e>"))
    apart = ["d", "##o", "##g"]
    assert pieces(tokenizer, "dog, dog<dog>dog", "dogs dog", "<e>dog<e>", "dog9 dogé", "dogdog", "a\u0301dog") == [
        ["dog", "[UNK]", "dog", "<", "dog", ">", "dog"],
        [*apart, "##s", "dog"],
        ["<e>", "dog", "<e>"],
        [*apart, "##9", *apart, "##e"],
        [*apart, "##d", "##o", "##g"],
        ["a", "##d", "##o", "##g"],
    ]
    # Ideographs are separate words in normalized text, but not in the original text.
    assert pieces(tokenizer, "中dog文") == [["中", "dog", "文"] if normalized else ["中", *apart, "文"]]


def test_offsets_are_the_bytes_of_the_tokens():
    tokenizer = tokenizer_with(
        AddedToken("[E1]"), AddedToken("<e>", normalized=False), AddedToken("文中", normalized=False)
    )
    assert pieces_and_spans(tokenizer, ["éa<e>[É1]b 文中c", "文中"]) == [
        [("e", "é"), ("##a", "a"), ("<e>", "<e>"), ("[E1]", "[É1]"), ("b", "b"), ("文中", "文中"), ("c", "c")],
        [("文中", "文中")],
    ]


def test_special_tokens_are_kept_along_with_added_ones():
    tokenizer = tokenizer_with(AddedToken("<e>", special=True), keep_special_tokens=True)
    ids = tokenizer.tokenize(["[MASK]<e>[mask]a"])
    assert pieces(tokenizer, "[MASK]<e>[mask]a")[0][:3] == ["[MASK]", "<e>", "["]
    assert tokenizer.detokenize(ids, skip_special_tokens=True).numpy()[0] == b"[ mask ] a"
    only = tokenizer_with(AddedToken("[MASK]", normalized=False))
    assert pieces(only, "[MASK][CLS]")[0][:2] == ["[MASK]", "["]


def test_it_works_in_tf_data_and_a_saved_model(tmp_path):
    tokens = [AddedToken("<e>"), AddedToken("dog", normalized=False, single_word=True)]
    to_inputs = TextToInputs(tokenizer_with(*tokens), sequence_length=12)
    texts = ["a<E>dog", "dogs", "", "a"]
    expected = to_inputs(texts)["token_ids"].numpy().tolist()
    batches = tf.data.Dataset.from_tensor_slices(texts).batch(4).map(to_inputs)
    assert next(iter(batches))["token_ids"].numpy().tolist() == expected
    module = tf.Module()
    module.to_inputs = to_inputs
    module.call = tf.function(lambda text: to_inputs(text), input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert loaded.call(tf.constant(texts))["token_ids"].numpy().tolist() == expected
    assert loaded.call(tf.constant([], tf.string))["token_ids"].shape[0] == 0
    to_inputs.save(tmp_path / "folder")
    again = TextToInputs.load(tmp_path / "folder")
    assert again.tokenizer.added_tokens == tuple(tokens)
    assert again(texts)["token_ids"].numpy().tolist() == expected


def test_thousands_of_tokens():
    words = [f"<{number}>" for number in range(3000)]
    vocabulary = Vocabulary([*VOCABULARY.pieces, *words])
    tokenizer = WordPieceTokenizer(vocabulary, added_tokens=[AddedToken(word) for word in words])
    texts = [f"a{word}b" for word in words]
    expected = [[vocabulary.id_of("a"), vocabulary.id_of(word), vocabulary.id_of("b")] for word in words]
    assert tokenizer.tokenize(texts).to_list() == expected


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("<e>", "sequence of `AddedToken`"),
        (["<e>"], "sequence of `AddedToken`.*'<e>' among them"),
        ([{"content": "<e>", "lstrip": True}], "`content`, `normalized`, `single_word` and `special`"),
        ([{"content": "<e>", "special": 1}], "`special` must be True or False"),
        ([{"content": " "}], "`content` must be its text"),
        ([{"content": "<e>"}, AddedToken("<e>")], "'<e>' twice"),
    ],
)
def test_invalid_tokens_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer(VOCABULARY, added_tokens=tokens)


def test_tokens_must_be_pieces():
    with pytest.raises(BadInputError, match=r"'<x>', which Vocabulary.* lacks"):
        tokenizer_with(AddedToken("<x>"))
