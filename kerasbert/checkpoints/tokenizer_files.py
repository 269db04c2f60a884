"""Reads and writes how a checkpoint's text becomes ids: our own settings, Hugging Face's files, a bare vocabulary.

What the settings do is in `kerasbert.preprocessing`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.files import write_aside
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

VOCABULARY_FILE = "vocab.txt"
SETTINGS_FILE = "preprocessing.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
ADDED_TOKENS_FILE = "added_tokens.json"

# Classes whose rules are BERT's word pieces. The last two say nothing: their tokenizer.json does.
_WORD_PIECE_CLASSES = {
    *("BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast"),
    *("PreTrainedTokenizerFast", "TokenizersBackend"),
}
_REMEDY = "Mend the file, or load with `preprocessing=False` to take the model alone."


def read_text_to_inputs(
    folder: Path, config: BertConfig, max_length: int | None = None, lower_case: bool = False
) -> TextToInputs | None:
    """The preprocessing that a checkpoint's folder describes, or None if it has no vocabulary.

    Args:
        folder: where the checkpoint lies.
        config: gives the size that the vocabulary must have, and the longest input.
        max_length: the most tokens of an input, where something else than the tokenizer's files says so.
        lower_case: whether text is lower-cased whatever the tokenizer's files say.

    Raises:
        BadInputError: the vocabulary is of another size than the word embedding, or a rule is not BERT's.
    """
    if (folder / SETTINGS_FILE).is_file():
        text_to_inputs = TextToInputs.load(folder)
        check_fits(text_to_inputs, config, str(folder / SETTINGS_FILE))
        return text_to_inputs
    tokenizer_file = _read_json(folder / TOKENIZER_FILE)
    settings = _read_json(folder / TOKENIZER_CONFIG_FILE)
    pieces = _pieces(folder, tokenizer_file, settings)
    if pieces is None:
        return None
    rules = _rules(folder, tokenizer_file, settings, pieces)
    if lower_case:  # before the tokenizer, whose own rule for accents stays
        rules = {**rules, "lower_case": True, "strip_accents": bool(rules["strip_accents"] or rules["lower_case"])}
    tokenizer = WordPieceTokenizer(Vocabulary(pieces), **rules)
    longest = min(config.max_position_embeddings, max_length or _max_length(settings) or config.max_position_embeddings)
    text_to_inputs = TextToInputs(tokenizer, sequence_length=longest)
    check_fits(text_to_inputs, config, str(folder / (VOCABULARY_FILE if _has_vocabulary(folder) else TOKENIZER_FILE)))
    return text_to_inputs


def check_fits(text_to_inputs: TextToInputs, config: BertConfig, origin: str) -> None:
    """Refuses preprocessing whose ids or lengths the model does not have."""
    if text_to_inputs.vocabulary.size != config.vocab_size:
        raise BadInputError(
            f"{origin}: the vocabulary must have as many pieces as the word embedding has rows. Received: "
            f"{text_to_inputs.vocabulary.size} pieces, vocab_size={config.vocab_size}. Take vocabulary and model from "
            "the same place, or load with `preprocessing=False` to take the model alone."
        )
    if text_to_inputs.sequence_length > config.max_position_embeddings:
        raise BadInputError(
            f"{origin}: inputs must not be longer than the position table. Received: sequence_length="
            f"{text_to_inputs.sequence_length}, max_position_embeddings={config.max_position_embeddings}. "
            "Make the `TextToInputs` with a shorter `sequence_length`."
        )


def write_tokenizer_files(folder: Path, text_to_inputs: TextToInputs) -> None:
    """Writes vocabulary and settings, ours beside those that Hugging Face reads."""
    text_to_inputs.save(folder)
    tokenizer = text_to_inputs.tokenizer
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": tokenizer.lower_case,
        "strip_accents": tokenizer.strip_accents,
        "tokenize_chinese_chars": tokenizer.split_cjk,
        "model_max_length": text_to_inputs.sequence_length,
        **{f"{token[1:-1].lower()}_token": token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")},
    }
    with write_aside(folder / TOKENIZER_CONFIG_FILE) as aside:
        aside.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _has_vocabulary(folder: Path) -> bool:
    return (folder / VOCABULARY_FILE).is_file()


def _pieces(folder: Path, tokenizer_file: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str] | None:
    """The pieces in the order of their ids, with the tokens that were added after training."""
    if _has_vocabulary(folder):
        ids = {piece: index for index, piece in enumerate(Vocabulary.from_file(folder / VOCABULARY_FILE).pieces)}
    elif tokenizer_file:
        ids = _checked_word_pieces(folder / TOKENIZER_FILE, tokenizer_file)
    else:
        return None
    added = dict(_read_json(folder / ADDED_TOKENS_FILE))
    decoder = settings.get("added_tokens_decoder") or {}
    added |= {token.get("content"): int(index) for index, token in decoder.items() if index.isdigit()}
    added |= {token.get("content"): token.get("id") for token in tokenizer_file.get("added_tokens") or []}
    ids = {**added, **ids}
    by_id = {index: piece for piece, index in ids.items()}
    if by_id.keys() != set(range(len(ids))):
        unexpected = [f"{piece!r}: {index}" for piece, index in ids.items() if index not in range(len(ids))]
        raise BadInputError(
            f"{folder}: the ids of vocabulary and added tokens must be 0 to {len(ids) - 1}, each once. "
            f"Received: {', '.join(unexpected[:5]) or 'an id twice'}. {_REMEDY}"
        )
    return [by_id[index] for index in range(len(ids))]


def _checked_word_pieces(path: Path, tokenizer_file: Mapping[str, Any]) -> dict[str, int]:
    """Piece -> id of a `tokenizer.json`, if its model is BERT's."""
    model = tokenizer_file.get("model") or {}
    expected = {"type": "WordPiece", "continuing_subword_prefix": "##", "unk_token": "[UNK]"}
    other = {key: model.get(key, value) for key, value in expected.items() if model.get(key, value) != value}
    vocabulary = model.get("vocab")
    if other or not isinstance(vocabulary, dict) or not all(type(index) is int for index in vocabulary.values()):
        raise BadInputError(
            f"{path}: the tokenizer must be BERT's, word pieces with the prefix ## and [UNK]. Received: "
            f"{other or 'no vocabulary of pieces and ids'}. {_REMEDY}"
        )
    return dict(vocabulary)


def _rules(
    folder: Path, tokenizer_file: Mapping[str, Any], settings: Mapping[str, Any], pieces: list[str]
) -> dict[str, Any]:
    """The tokenizer's arguments: as `tokenizer_config.json` says, else `tokenizer.json`, else as the pieces suggest."""
    kind = settings.get("tokenizer_class") or "BertTokenizer"
    if kind not in _WORD_PIECE_CLASSES or settings.get("do_basic_tokenize") is False:
        raise BadInputError(
            f"{folder / TOKENIZER_CONFIG_FILE}: the tokenizer must be BERT's. Received: tokenizer_class={kind!r}, "
            f"do_basic_tokenize={settings.get('do_basic_tokenize', True)}. {_REMEDY}"
        )
    normalizer = tokenizer_file.get("normalizer") or {}
    if tokenizer_file and (normalizer.get("type") != "BertNormalizer" or not normalizer.get("clean_text", True)):
        raise BadInputError(
            f"{folder / TOKENIZER_FILE}: the normalizer must be BERT's. Received: {str(normalizer)[:200]}. {_REMEDY}"
        )
    said = {
        "lower_case": (settings.get("do_lower_case"), normalizer.get("lowercase"), not _is_cased(pieces)),
        "strip_accents": (settings.get("strip_accents"), normalizer.get("strip_accents")),
        "split_cjk": (settings.get("tokenize_chinese_chars"), normalizer.get("handle_chinese_chars"), True),
    }
    return {name: next((value for value in values if value is not None), None) for name, values in said.items()}


def _is_cased(pieces: list[str]) -> bool:
    """Whether the pieces come from text that kept its capitals. A few do not tell: Chinese BERT has `<S>`."""
    words = [piece for piece in pieces if not piece.startswith("[") and piece.upper() != piece.lower()]
    return sum(piece != piece.lower() for piece in words) > 0.01 * len(words)


def _max_length(settings: Mapping[str, Any]) -> int | None:
    """The longest input that the tokenizer's settings allow (a huge number stands for no limit), if they say so."""
    length = settings.get("model_max_length")
    return int(length) if isinstance(length, (int, float)) and length >= 3 else None


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadInputError(f"{path}: the file must be JSON. Received: {error}. {_REMEDY}") from error
    if not isinstance(values, dict):
        raise BadInputError(f"{path}: the file must be a JSON object. Received: a {type(values).__name__}. {_REMEDY}")
    return values
