"""Writes `tokenizer.json`, the file of Hugging Face's `tokenizers`, which loaders without transformers read.

FastEmbed and text-embeddings-inference need it. transformers is content with `vocab.txt` and `tokenizer_config.json`,
which tokenizer_files.py writes.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from kerasbert.checkpoints.formats.tokenizer_files import TOKENIZER_FILE
from kerasbert.files import write_aside
from kerasbert.preprocessing import AddedToken, TextToInputs
from kerasbert.preprocessing.vocabulary import CLS, SEP, SPECIAL_TOKENS

# The characters of the longest word that is not unknown, by the tokenizer's `normalization`.
_LONGEST_WORD = {"google": 200, "tf_text": 100}


def write_tokenizer_json(folder: Path, text_to_inputs: TextToInputs) -> None:
    """Writes the rules and the vocabulary of a `TextToInputs`. Truncation and padding are up to the loader.

    Args:
        folder: The folder to write to.
        text_to_inputs: The preprocessing.
    """
    tokenizer = text_to_inputs.tokenizer
    vocabulary = tokenizer.vocabulary
    added = (*map(AddedToken.as_special, SPECIAL_TOKENS), *tokenizer.added_tokens)
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocabulary.id_of(token.content), **dataclasses.asdict(token), "lstrip": False, "rstrip": False}
            for token in added
            if token.content in vocabulary
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": tokenizer.split_cjk,
            "strip_accents": tokenizer.strip_accents,
            "lowercase": tokenizer.lower_case,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _post_processor(text_to_inputs),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": tokenizer.max_word_length or _LONGEST_WORD[tokenizer.normalization],
            "vocab": {piece: index for index, piece in enumerate(vocabulary.matched_pieces) if piece is not None},
        },
    }
    with write_aside(folder / TOKENIZER_FILE) as aside:
        aside.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _post_processor(text_to_inputs: TextToInputs) -> dict[str, Any]:
    """What is put around a text, and around the two texts of a pair."""
    segment = int(text_to_inputs.pair_segments)

    def special(token: str, type_id: int = 0) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": type_id}}

    single = [special(CLS), {"Sequence": {"id": "A", "type_id": 0}}, special(SEP)]
    ids = {token: text_to_inputs.vocabulary.id_of(token) for token in (CLS, SEP)}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": segment}}, special(SEP, segment)],
        "special_tokens": {token: {"id": token, "ids": [index], "tokens": [token]} for token, index in ids.items()},
    }
