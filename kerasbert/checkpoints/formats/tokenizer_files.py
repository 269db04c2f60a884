"""Reads and writes the files that say how text becomes ids: our own settings, Hugging Face's, or a vocabulary alone.

The settings are applied by `kerasbert.preprocessing`.
"""

import collections
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasbert.checkpoints.json_settings import JsonSettings, is_text
from kerasbert.checkpoints.setting_tables import SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG, TOKENIZER_JSON, check_settings
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.files import write_aside
from kerasbert.preprocessing import AddedToken, TextToInputs, Vocabulary, WordPieceTokenizer
from kerasbert.preprocessing.vocabulary import CLS, SEP, SPECIAL_TOKENS

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

# Classes whose rules are BERT's word pieces. For the last two, tokenizer.json has the rules.
_WORD_PIECE_CLASSES = {
    *("BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast"),
    *("PreTrainedTokenizerFast", "TokenizersBackend"),
}
_CLASSES_WITHOUT_SEGMENTS = {"DistilBertTokenizer", "DistilBertTokenizerFast"}
# What BERT makes of a text and of a pair: tokens and texts with their segments.
_SINGLE = [(CLS, 0), ("A", 0), (SEP, 0)]
_TEMPLATES = [(_SINGLE, [*_SINGLE, ("B", segment), (SEP, segment)]) for segment in (0, 1)]
# Hugging Face's name of the segments. A tokenizer that does not make them leaves them to the model, which takes zeros.
_SEGMENTS = "token_type_ids"
SHORTEST_LIMIT = 3  # [CLS] and two [SEP]: the least `sequence_length` of `TextToInputs`
TEXT_REMEDY = "Correct the file; `load(folder, preprocessing=False)` loads the model without its vocabulary."


def read_text_to_inputs(
    config_file: Path, config: BertConfig, max_length: int | None = None, lower_case: bool = False
) -> TextToInputs | None:
    """Reads the preprocessing that a checkpoint's folder describes.

    Args:
        config_file: The checkpoint's config. The files of the tokenizer are in the same folder.
        config: Its content, which limits the size of the vocabulary and the longest input.
        max_length: The longest input in tokens, if another file than the tokenizer's says so.
        lower_case: Whether text is lower-cased whatever the tokenizer's files say.

    Returns:
        The preprocessing, or None if there is no vocabulary.

    Raises:
        BadInputError: The vocabulary has more pieces than the word embedding has rows, a rule is not BERT's, or a
            setting is invalid.
    """
    folder = config_file.parent
    if (folder / SETTINGS_FILE).is_file():
        text_to_inputs = TextToInputs.load(folder)
        check_fits(text_to_inputs, config, str(folder / SETTINGS_FILE))
        return text_to_inputs
    tokenizer_file = JsonSettings.read(folder / TOKENIZER_FILE, TEXT_REMEDY)
    settings = JsonSettings.read(folder / TOKENIZER_CONFIG_FILE, TEXT_REMEDY)
    _check_steps(tokenizer_file)
    check_settings(tokenizer_file, TOKENIZER_JSON)
    check_settings(_with_plain_tokens(settings), TOKENIZER_CONFIG)
    special_tokens = JsonSettings.read(folder / SPECIAL_TOKENS_FILE, TEXT_REMEDY)
    check_settings(_with_plain_tokens(special_tokens), SPECIAL_TOKENS_MAP)
    added_ids, whole = _added_tokens(folder, tokenizer_file, settings)
    origin = str(folder / VOCABULARY_FILE if _has_vocabulary(folder) else f"{tokenizer_file.path}: `model.vocab`")
    try:
        vocabulary = _vocabulary(folder, tokenizer_file, added_ids, config.vocab_size)
    except BadInputError as error:
        raise BadInputError(f"{origin} with the added tokens: {error}") from None
    if vocabulary is None:
        return None
    check_room(config, config_file)
    rules = _rules(tokenizer_file, settings, vocabulary.pieces)
    if lower_case:  # the tokenizer's own rule for accents is kept
        rules = {**rules, "lower_case": True, "strip_accents": bool(rules["strip_accents"] or rules["lower_case"])}
    try:
        # A special token without an id is unknown to the model.
        known = [AddedToken(**token) for token in whole if token["content"] in vocabulary]
        tokenizer = WordPieceTokenizer(vocabulary, **rules, added_tokens=known)
    except BadInputError as error:
        raise BadInputError(f"{origin} with the added tokens: {error}") from None
    room = config.max_position_embeddings
    stated = settings.whole_number("model_max_length", SHORTEST_LIMIT)  # a huge number means no limit
    longest = min(room, max_length or stated or room)
    text_to_inputs = TextToInputs(
        tokenizer, sequence_length=longest, pair_segments=_pair_segments(tokenizer_file, settings)
    )
    check_fits(text_to_inputs, config, origin)
    return text_to_inputs


def check_room(config: BertConfig, config_file: Path) -> None:
    """Refuses a model whose inputs are too short for any text.

    Args:
        config: The model's config.
        config_file: Its file, for the message.
    """
    if config.max_position_embeddings < SHORTEST_LIMIT:
        raise BadInputError(
            f"{config_file}: `max_position_embeddings` must be at least {SHORTEST_LIMIT}, for [CLS] and two [SEP]. "
            f"Received: max_position_embeddings={config.max_position_embeddings}. "
            "`load(folder, preprocessing=False)` loads the model without its vocabulary."
        )


def check_fits(text_to_inputs: TextToInputs, config: BertConfig, origin: str) -> None:
    """Refuses preprocessing that makes ids or lengths that the model does not have.

    Fewer pieces than rows are fine: the rows after the last piece are never looked up.
    """
    if text_to_inputs.vocabulary.size > config.vocab_size:
        raise BadInputError(
            f"{origin}: the vocabulary must not have more pieces than the word embedding has rows. Received: "
            f"{text_to_inputs.vocabulary.size} pieces, vocab_size={config.vocab_size}. Use the vocabulary that was "
            "published with the model; `load(folder, preprocessing=False)` loads the model without one."
        )
    if text_to_inputs.sequence_length > config.max_position_embeddings:
        raise BadInputError(
            f"{origin}: inputs must not be longer than the position table. Received: sequence_length="
            f"{text_to_inputs.sequence_length}, max_position_embeddings={config.max_position_embeddings}. "
            "Create the `TextToInputs` with a shorter `sequence_length`."
        )


def write_tokenizer_files(folder: Path, text_to_inputs: TextToInputs) -> None:
    """Writes the vocabulary and the settings, in our own file and in those that Hugging Face reads."""
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
    if not text_to_inputs.pair_segments:
        settings["model_input_names"] = ["input_ids", "attention_mask"]
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


def _vocabulary(folder: Path, tokenizer_file: JsonSettings, added_ids: dict[str, int], rows: int) -> Vocabulary | None:
    """The vocabulary with the tokens that were added after training, or None if there is none."""
    if _has_vocabulary(folder):
        vocabulary = Vocabulary.from_file(folder / VOCABULARY_FILE)
    elif tokenizer_file.values:
        ids = _word_pieces(tokenizer_file)
        vocabulary = Vocabulary.from_lines(_by_id({**added_ids, **ids}, 0, rows, folder))
    else:
        return None
    new = {token: index for token, index in added_ids.items() if token not in vocabulary}
    if not new:
        return vocabulary
    return vocabulary.with_added(_by_id(new, vocabulary.size, rows, folder))


def _by_id(ids: dict[str, int], first: int, rows: int, folder: Path) -> list[str]:
    """The pieces with the ids from `first` on, in the order of their ids. An id without a piece is blank."""
    taken = collections.Counter(ids.values())
    wrong = [f"{piece!r}: {index}" for piece, index in ids.items() if not first <= index < rows or taken[index] > 1]
    if wrong:
        raise BadInputError(
            f"{folder}: each piece and each added token must have its own id, less than the {rows} rows of the word "
            f"embedding. Received: {', '.join(wrong[:5])}. {TEXT_REMEDY}"
        )
    pieces = {index: piece for piece, index in ids.items()}
    return [pieces.get(index, "") for index in range(first, max(pieces) + 1)]


def _added_tokens(
    folder: Path, tokenizer_file: JsonSettings, settings: JsonSettings
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """The tokens that were added after training, wherever listed: their ids, and each `AddedToken`'s arguments.

    BERT's own special tokens have no `AddedToken`: whether they are recognized in a text is the user's choice.
    """
    ids = _checked_ids(JsonSettings.read(folder / ADDED_TOKENS_FILE, TEXT_REMEDY), "the file")
    special_tokens_file = JsonSettings.read(folder / SPECIAL_TOKENS_FILE, TEXT_REMEDY)
    # In the order of the files, which the tokenizer's settings keep.
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


def _with_plain_tokens(settings: JsonSettings) -> JsonSettings:
    """The settings with each special token as its text, where a file describes it by an object."""
    values = {
        key: value.get("content") if key.endswith("_token") and isinstance(value, dict) else value
        for key, value in settings.values.items()
    }
    return dataclasses.replace(settings, values=values)


def _content(token: JsonSettings) -> str:
    """An added token's text."""
    content = token.text("content")
    if not content:
        raise token.refusal("content", "must be the token's text")
    return content


def _attributes(token: JsonSettings) -> dict[str, bool]:
    """How an added token is recognized, with Hugging Face's defaults."""
    special, normalized = bool(token.flag("special")), token.flag("normalized")
    return {
        "normalized": not special if normalized is None else normalized,
        "single_word": bool(token.flag("single_word")),
        "special": special,
    }


def _extra_special_tokens(settings: JsonSettings) -> list[str]:
    """The special tokens that a file names in addition to BERT's own, as strings or as objects with `content`."""
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


def _word_pieces(tokenizer_file: JsonSettings) -> dict[str, int]:
    """The pieces of a `tokenizer.json` and their ids."""
    model = tokenizer_file.section("model")
    ids = _checked_ids(model.section("vocab"), "`model.vocab`")
    if not ids:
        raise model.refusal("vocab", "must map pieces to ids")
    return ids


def _checked_ids(pieces: JsonSettings, name: str) -> dict[str, int]:
    """An object that maps pieces to ids, checked."""
    for piece, index in pieces.values.items():
        if not is_text(piece) or type(index) is not int:
            raise BadInputError(
                f"{pieces.path}: {name} must map pieces of Unicode characters to ids. "
                f"Received: {piece!r}: {index!r}. {TEXT_REMEDY}"
            )
    return dict(pieces.values)


def _check_steps(tokenizer_file: JsonSettings) -> None:
    """Refuses a `tokenizer.json` whose steps are not BERT's. A step that is null does nothing, which is not BERT's."""
    values = tokenizer_file.values
    for step, kind in (("normalizer", "BertNormalizer"), ("pre_tokenizer", "BertPreTokenizer")):
        is_required = step == "normalizer" and values
        if (step in values or is_required) and tokenizer_file.section(step).text("type") != kind:
            raise tokenizer_file.refusal(step, f"must be BERT's, a {kind}")
    if "post_processor" in values and _template(tokenizer_file.section("post_processor")) not in _TEMPLATES:
        raise tokenizer_file.refusal("post_processor", "must be BERT's: [CLS] A [SEP], and [CLS] A [SEP] B [SEP]")


def _pair_segments(tokenizer_file: JsonSettings, settings: JsonSettings) -> bool:
    """Whether the second text of a pair gets segments of its own."""
    default = [] if settings.text("tokenizer_class") in _CLASSES_WITHOUT_SEGMENTS else [_SEGMENTS]
    if _SEGMENTS not in (settings.texts("model_input_names") or default):
        return False
    processor = tokenizer_file.section("post_processor")
    return not processor.values or _template(processor) == _TEMPLATES[1]


def _template(processor: JsonSettings) -> tuple[list[tuple[str, int]], list[tuple[str, int]]] | None:
    """What a post-processor makes of a text and of a pair: tokens and texts with their segments. None if unknown."""
    if processor.text("type") == "BertProcessing":
        ends = [processor.values.get(key) for key in ("cls", "sep")]
        names = [end[0] if isinstance(end, list) and end else None for end in ends]
        return _TEMPLATES[1] if names == [CLS, SEP] else None
    if processor.text("type") != "TemplateProcessing":
        return None
    single, pair = (
        [
            (str(values.get("id")), values.get("type_id", 0))
            for step in processor.sections(kind)
            for values in (step.section(key).values for key in step.values)
        ]
        for kind in ("single", "pair")
    )
    return single, pair


def _rules(tokenizer_file: JsonSettings, settings: JsonSettings, pieces: Sequence[str]) -> dict[str, Any]:
    """The tokenizer's arguments: as `tokenizer_config.json` says, else `tokenizer.json`, else as the pieces suggest."""
    kind, splits_words = settings.text("tokenizer_class") or "BertTokenizer", settings.flag("do_basic_tokenize")
    if kind not in _WORD_PIECE_CLASSES or splits_words is False:
        raise BadInputError(
            f"{settings.path}: the tokenizer must be BERT's. Received: tokenizer_class={kind!r}, "
            f"do_basic_tokenize={splits_words is not False}. {TEXT_REMEDY}"
        )
    normalizer = tokenizer_file.section("normalizer")
    stated = {
        "lower_case": (settings.flag("do_lower_case"), normalizer.flag("lowercase"), not _is_cased(pieces)),
        "strip_accents": (settings.flag("strip_accents"), normalizer.flag("strip_accents")),
        "split_cjk": (settings.flag("tokenize_chinese_chars"), normalizer.flag("handle_chinese_chars"), True),
        "max_word_length": (tokenizer_file.section("model").whole_number("max_input_chars_per_word", 1),),
    }
    return {name: next((value for value in values if value is not None), None) for name, values in stated.items()}


def _is_cased(pieces: Sequence[str]) -> bool:
    """Whether the pieces come from text with capital letters. A few are not enough: Chinese BERT has `<S>`."""
    words = [piece for piece in pieces if not piece.startswith("[") and piece.upper() != piece.lower()]
    return sum(piece != piece.lower() for piece in words) > 0.01 * len(words)
