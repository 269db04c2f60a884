"""Text is split at added tokens as Hugging Face's tokenizers split it, for any tokens, rules and text."""

import json
import random

import pytest

from kerasbert.checkpoints.formats.tokenizer_files import read_text_to_inputs, write_tokenizer_files
from kerasbert.config import BertConfig
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abcdefghijklmnopqrstuvwxyzABCENW0123456789<>/[]«»中国人.,!-_@", "é", "É", "ß"]
PIECES = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
# Tokens that overlap, that normalization changes, that contain spaces, or that are letters only.
TOKENS = ["<e>", "<e>1", "</e>", "[E1]", "newword", "AbC", "é1", "中国", "«x»", "bcd", "a b", "x.", "@u", "word", "NEW"]
# No final sigma and no special token of BERT's: there ours follows google-research/bert (see docs/tokenization.md).
ALPHABET = [*"abcdex1 .<[Éé中国人«»_-", "  ", "\u3000"]


def random_tokens(rng: random.Random) -> list[dict]:
    takes_spaces = rng.random() < 0.3
    return [
        {
            "content": content,
            "normalized": rng.random() < 0.5,
            "single_word": rng.random() < 0.3,
            "lstrip": takes_spaces and rng.random() < 0.3,
            "rstrip": takes_spaces and rng.random() < 0.3,
            "special": rng.random() < 0.2,
        }
        for content in rng.sample(TOKENS, rng.randint(1, 6))
    ]


def random_texts(rng: random.Random, number: int) -> list[str]:
    def part() -> str:
        token = rng.choice(TOKENS)
        return rng.choice([token, token, token.swapcase(), *(rng.choice(ALPHABET) for _ in range(4))])

    return ["".join(part() for _ in range(rng.randint(0, 9))) for _ in range(number)]


def config_of(size: int) -> BertConfig:
    return BertConfig(vocab_size=size, hidden_size=4, num_hidden_layers=1, num_attention_heads=2)


@pytest.mark.parametrize("seed", range(12))
def test_ids_and_places_are_the_same(seed, transformers, tmp_path):
    rng = random.Random(seed)
    lower_case = seed % 3 != 0
    theirs_in, ours_out = tmp_path / "theirs", tmp_path / "ours"
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    theirs = transformers.BertTokenizer(vocab=str(tmp_path / "vocab.txt"), do_lower_case=lower_case)
    tokens = random_tokens(rng)
    for token in tokens:
        added = transformers.AddedToken(**token)
        theirs.add_tokens([added], special_tokens=token["special"])
    theirs.save_pretrained(theirs_in)
    (theirs_in / "config.json").write_text("{}")
    ours = read_text_to_inputs(theirs_in / "config.json", config_of(len(theirs)))
    texts = random_texts(rng, 300)
    compare(ours.tokenizer, theirs, texts)
    # And back. transformers also matches the beginning of a longer word, because our vocab.txt contains the token.
    ours_out.mkdir()
    write_tokenizer_files(ours_out, ours)
    assert TextToInputs.load(ours_out).get_config() == ours.get_config()
    if not any(token["single_word"] for token in tokens):
        compare(ours.tokenizer, transformers.BertTokenizer.from_pretrained(ours_out), texts)


def compare(ours: WordPieceTokenizer, theirs, texts: list[str]) -> None:
    ids, starts, ends = (places.to_list() for places in ours.tokenize_with_offsets(texts))
    for text, row, row_starts, row_ends in zip(texts, ids, starts, ends, strict=True):
        expected = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
        assert row == expected["input_ids"], (text, ours.added_tokens)
        if any(token.lstrip or token.rstrip for token in theirs.added_tokens_decoder.values()):
            continue  # Such a token also takes the spaces around it, and what follows a space that was inserted.
        for start, end, (first, last) in zip(row_starts, row_ends, expected["offset_mapping"], strict=True):
            assert text.encode()[start:end].decode() == text[first:last]


def test_the_files_of_earlier_versions(transformers, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join([*PIECES, "[unused1]"]) + "\n", encoding="utf-8")
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<e>": len(PIECES) + 1, "[X]": len(PIECES) + 2}))
    special = {"additional_special_tokens": ["[X]", "[unused1]"], **{f"{t[1:-1].lower()}_token": t for t in SPECIAL}}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(special))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": True, "tokenizer_class": "BertTokenizer"})
    )
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    theirs = transformers.BertTokenizer.from_pretrained(tmp_path)
    ours = read_text_to_inputs(tmp_path / "config.json", config_of(len(PIECES) + 3))
    assert len(theirs) == len(PIECES) + 3
    # No [x]: transformers 5 finds [X] there, as it does not take that file's word for what is special; 4 did.
    texts = ["a<e>b", "<E>", "[X]a", "[unused1][UNUSED1]", "x[X]<e>[unused1]y"]
    compare(ours.tokenizer, theirs, texts)
    assert Vocabulary([*PIECES, "[unused1]", "<e>", "[X]"]) == ours.vocabulary
