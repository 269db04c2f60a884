"""Reads and writes how a checkpoint's text becomes ids: our own settings, Hugging Face's files, a bare vocabulary.

What the settings do is in `kerasbert.preprocessing`.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from kerasbert.checkpoints.json_settings import JsonSettings, is_text
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.files import write_aside
from kerasbert.preprocessing import AddedToken, TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.preprocessing.vocabulary import SPECIAL_TOKENS

VOCABULARY_FILE = "vocab.txt"
SETTINGS_FILE = "preprocessing.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
ADDED_TOKENS_FILE = "added_tokens.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
TOKENIZER_FILES = (
    *(VOCABULARY_FILE, SETTINGS_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, ADDED_TOKENS_FILE, SPECIAL_TOKENS_FILE),
)
_EXTRA_SPECIAL_TOKENS = ("additional_special_tokens", "extra_special_tokens")  # before and since transformers 5

# Classes whose rules are BERT's word pieces. The last two say nothing: their tokenizer.json does.
_WORD_PIECE_CLASSES = {
    *("BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast"),
    *("PreTrainedTokenizerFast", "TokenizersBackend"),
}
SHORTEST_LIMIT = 3  # [CLS] and two [SEP]: no `TextToInputs` has less
TEXT_REMEDY = "Mend the file, or load with `preprocessing=False` to take the model alone."


def read_text_to_inputs(
    config_file: Path, config: BertConfig, max_length: int | None = None, lower_case: bool = False
) -> TextToInputs | None:
    """The preprocessing that a checkpoint's folder describes, or None if it has no vocabulary.

    Args:
        config_file: the checkpoint's config; the files about text lie beside it.
        config: what it says: the size that the vocabulary must have, and the longest input.
        max_length: the most tokens of an input, where something else than the tokenizer's files says so.
        lower_case: whether text is lower-cased whatever the tokenizer's files say.

    Raises:
        BadInputError: the vocabulary is of another size than the word embedding, a rule is not BERT's, or a setting is
            none that it can be.
    """
    folder = config_file.parent
    if (folder / SETTINGS_FILE).is_file():
        text_to_inputs = TextToInputs.load(folder)
        check_fits(text_to_inputs, config, str(folder / SETTINGS_FILE))
        return text_to_inputs
    tokenizer_file = JsonSettings.read(folder / TOKENIZER_FILE, TEXT_REMEDY)
    settings = JsonSettings.read(folder / TOKENIZER_CONFIG_FILE, TEXT_REMEDY)
    added_ids, whole = _added_tokens(folder, tokenizer_file, settings)
    pieces = _pieces(folder, tokenizer_file, added_ids)
    if pieces is None:
        return None
    check_room(config, config_file)
    origin = str(folder / VOCABULARY_FILE if _has_vocabulary(folder) else f"{tokenizer_file.path}: `model.vocab`")
    rules = _rules(tokenizer_file, settings, pieces)
    if lower_case:  # before the tokenizer, whose own rule for accents stays
        rules = {**rules, "lower_case": True, "strip_accents": bool(rules["strip_accents"] or rules["lower_case"])}
    try:
        vocabulary = Vocabulary(pieces)
        # A special token that has no id is none that the model knows.
        known = [AddedToken(**token) for token in whole if token["content"] in vocabulary]
        tokenizer = WordPieceTokenizer(vocabulary, **rules, added_tokens=known)
    except BadInputError as error:
        raise BadInputError(f"{origin} with the added tokens: {error}") from None
    room = config.max_position_embeddings
    stated = settings.whole_number("model_max_length", SHORTEST_LIMIT)  # a huge number stands for no limit
    longest = min(room, max_length or stated or room)
    text_to_inputs = TextToInputs(tokenizer, sequence_length=longest)
    check_fits(text_to_inputs, config, origin)
    return text_to_inputs


def check_room(config: BertConfig, config_file: Path) -> None:
    """Refuses a model whose inputs are too short for any text."""
    if config.max_position_embeddings < SHORTEST_LIMIT:
        raise BadInputError(
            f"{config_file}: `max_position_embeddings` must be at least {SHORTEST_LIMIT}, for [CLS] and two [SEP]. "
            f"Received: max_position_embeddings={config.max_position_embeddings}. "
            "Load with `preprocessing=False` to take the model alone."
        )


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
        **{f"{token[1:-1].lower()}_token": token for token in SPECIAL_TOKENS},
    }
    if tokenizer.added_tokens:
        own = map(AddedToken.as_special, SPECIAL_TOKENS)
        settings["added_tokens_decoder"] = {
            str(tokenizer.vocabulary.id_of(token.content)): {
                **dataclasses.asdict(token),
                "lstrip": False,
                "rstrip": False,
            }
            for token in (*own, *tokenizer.added_tokens)
        }
    with write_aside(folder / TOKENIZER_CONFIG_FILE) as aside:
        aside.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _has_vocabulary(folder: Path) -> bool:
    return (folder / VOCABULARY_FILE).is_file()


def _pieces(folder: Path, tokenizer_file: JsonSettings, added_ids: dict[str, int]) -> list[str] | None:
    """The pieces in the order of their ids, with the tokens that were added after training."""
    if _has_vocabulary(folder):
        ids = {piece: index for index, piece in enumerate(Vocabulary.from_file(folder / VOCABULARY_FILE).pieces)}
    elif tokenizer_file.values:
        ids = _checked_word_pieces(tokenizer_file)
    else:
        return None
    ids = {**added_ids, **ids}
    by_id = {index: piece for piece, index in ids.items()}
    if by_id.keys() != set(range(len(ids))):
        unexpected = [f"{piece!r}: {index}" for piece, index in ids.items() if index not in range(len(ids))]
        raise BadInputError(
            f"{folder}: the ids of vocabulary and added tokens must be 0 to {len(ids) - 1}, each once. "
            f"Received: {', '.join(unexpected[:5]) or 'an id twice'}. {TEXT_REMEDY}"
        )
    return [by_id[index] for index in range(len(ids))]


def _added_tokens(
    folder: Path, tokenizer_file: JsonSettings, settings: JsonSettings
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """What was added after training, wherever it is listed: token -> id, and the attributes of each `AddedToken`.

    BERT's own special tokens are not among the latter: whether these are read in a text is the user's choice.
    """
    ids = _checked_ids(JsonSettings.read(folder / ADDED_TOKENS_FILE, TEXT_REMEDY), "the file")
    special_tokens_file = JsonSettings.read(folder / SPECIAL_TOKENS_FILE, TEXT_REMEDY)
    # In the order of the files, as the tokenizer's settings hold it.
    special = dict.fromkeys([*_extra_special_tokens(settings), *_extra_special_tokens(special_tokens_file)])
    attributes = {
        token: {"normalized": token not in special, "special": token in special} for token in (*ids, *special)
    }
    decoder = settings.section("added_tokens_decoder")
    for key in decoder.values:
        if not key.isdecimal():
            raise decoder.refusal(key, "must be the id of an added token")
        token = decoder.section(key)
        content = _content(token)
        ids[content], attributes[content] = int(key), _attributes(token)
    for token in tokenizer_file.sections("added_tokens"):
        index = token.whole_number("id", 0)
        if index is None:
            raise token.refusal("id", "must be the token's id")
        content = _content(token)
        ids[content], attributes[content] = index, _attributes(token)
    whole = [{"content": token, **values} for token, values in attributes.items() if token not in SPECIAL_TOKENS]
    return ids, whole


def _content(token: JsonSettings) -> str:
    """An added token's text."""
    content = token.text("content")
    if not content:
        raise token.refusal("content", "must be the token's text")
    return content


def _attributes(token: JsonSettings) -> dict[str, bool]:
    """How an added token is found, with Hugging Face's defaults."""
    special, normalized = bool(token.flag("special")), token.flag("normalized")
    return {
        "normalized": not special if normalized is None else normalized,
        "single_word": bool(token.flag("single_word")),
        "special": special,
    }


def _extra_special_tokens(settings: JsonSettings) -> list[str]:
    """The special tokens besides BERT's own that a file names: strings, or objects with the string in `content`."""
    tokens: list[str] = []
    for key in _EXTRA_SPECIAL_TOKENS:
        listed = settings.values.get(key) or []
        if isinstance(listed, dict):  # by the name of each
            listed = list(listed.values())
        for token in listed if isinstance(listed, list) else [listed]:
            text = token.get("content") if isinstance(token, dict) else token
            if not isinstance(listed, list) or not isinstance(text, str) or not is_text(text):
                raise settings.refusal(key, "must be a list of special tokens")
            tokens.append(text)
    return tokens


def _checked_word_pieces(tokenizer_file: JsonSettings) -> dict[str, int]:
    """Piece -> id of a `tokenizer.json`, if its model is BERT's."""
    model = tokenizer_file.section("model")
    for key, expected in (("type", "WordPiece"), ("continuing_subword_prefix", "##"), ("unk_token", "[UNK]")):
        if model.values.get(key, expected) != expected:
            raise model.refusal(key, f"must be that of BERT's word pieces, {expected}")
    ids = _checked_ids(model.section("vocab"), "`model.vocab`")
    if not ids:
        raise model.refusal("vocab", "must map pieces to ids")
    return ids


def _checked_ids(pieces: JsonSettings, name: str) -> dict[str, int]:
    """Piece -> id of an object that says nothing else."""
    for piece, index in pieces.values.items():
        if not is_text(piece) or type(index) is not int:
            raise BadInputError(
                f"{pieces.path}: {name} must map pieces of Unicode characters to ids. "
                f"Received: {piece!r}: {index!r}. {TEXT_REMEDY}"
            )
    return dict(pieces.values)


def _rules(tokenizer_file: JsonSettings, settings: JsonSettings, pieces: list[str]) -> dict[str, Any]:
    """The tokenizer's arguments: as `tokenizer_config.json` says, else `tokenizer.json`, else as the pieces suggest."""
    kind, splits_words = settings.text("tokenizer_class") or "BertTokenizer", settings.flag("do_basic_tokenize")
    if kind not in _WORD_PIECE_CLASSES or splits_words is False:
        raise BadInputError(
            f"{settings.path}: the tokenizer must be BERT's. Received: tokenizer_class={kind!r}, "
            f"do_basic_tokenize={splits_words is not False}. {TEXT_REMEDY}"
        )
    normalizer = tokenizer_file.section("normalizer")
    is_bert = normalizer.text("type") == "BertNormalizer" and normalizer.flag("clean_text") is not False
    if tokenizer_file.values and not is_bert:
        raise tokenizer_file.refusal("normalizer", "must be BERT's")
    said = {
        "lower_case": (settings.flag("do_lower_case"), normalizer.flag("lowercase"), not _is_cased(pieces)),
        "strip_accents": (settings.flag("strip_accents"), normalizer.flag("strip_accents")),
        "split_cjk": (settings.flag("tokenize_chinese_chars"), normalizer.flag("handle_chinese_chars"), True),
    }
    return {name: next((value for value in values if value is not None), None) for name, values in said.items()}


def _is_cased(pieces: list[str]) -> bool:
    """Whether the pieces come from text that kept its capitals. A few do not tell: Chinese BERT has `<S>`."""
    words = [piece for piece in pieces if not piece.startswith("[") and piece.upper() != piece.lower()]
    return sum(piece != piece.lower() for piece in words) > 0.01 * len(words)
