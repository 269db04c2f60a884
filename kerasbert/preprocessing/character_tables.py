"""Tables of the normalized form of each character, for tf-text's normalizing op.

`google_table` follows google-research/bert's tokenization.py, and `tf_text_table` tensorflow-text's BertTokenizer.
Rules that depend on a character's neighbours are not in a table: see normalization.py.

Some characters represent others in normalized text (see `PUNCTUATION_ESCAPES`): tag characters, which normalized text
does not contain otherwise, because both sets of rules drop them or replace them by spaces.
"""

import tensorflow as tf
import tensorflow_text as tf_text

from kerasbert.preprocessing import character_rules as rules

# Whether disputed characters are punctuation would depend on the Unicode tables of the tf-text that runs the model. A
# tag character is not punctuation in any of them, so it depends on this table alone.
PUNCTUATION_ESCAPES = {point: 0xE0020 + i for i, point in enumerate(sorted(rules.DISPUTED_PUNCTUATION))}

# Outside ASCII: punctuation that splitters of any version know, and that a sigma's search for a letter skips.
UNSPACED_PUNCTUATION = "\u00b7\u0387\u055f\u05f4\u2018\u2019\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a"
UNREACHABLE = "\U000e0001"  # prefix of the replacement of pieces that no text contains
CAPITAL_SIGMA = "\u03a3"

Table = dict[bytes, bytes]


def google_table(lower_case: bool, strip_accents: bool) -> Table:
    """Returns the table of google-research/bert's rules. Characters that are not in it do not change.

    Splitting is left to the splitter, but punctuation outside ASCII gets spaces around it. A capital sigma does not
    change, because its lower-case form depends on its neighbours. Bytes that are not UTF-8 are dropped, as by Python's
    `decode("utf-8", "ignore")`.
    """
    table = dict.fromkeys(_invalid_sequences(), b"")
    for char in rules.characters():
        replacement = _google_replacement(char, lower_case, strip_accents)
        if replacement != char and char != CAPITAL_SIGMA:
            table[char.encode()] = replacement.encode()
    return table


def _google_replacement(char: str, lower_case: bool, strip_accents: bool) -> str:
    if rules.is_dropped(char):
        return ""
    if rules.is_space(char):
        return " "
    rewritten = rules.rewritten(char, lower_case, strip_accents)
    return rewritten if rewritten.isascii() else "".join(map(_with_boundaries, rewritten))


def _with_boundaries(char: str) -> str:
    """Puts spaces around punctuation, and replaces punctuation that not every splitter knows by an escape.

    Punctuation that a sigma's search skips gets no spaces, because the search would end at them.
    """
    written = char.translate(PUNCTUATION_ESCAPES)
    spaced = not char.isascii() and char not in UNSPACED_PUNCTUATION and rules.is_punctuation(char)
    return f" {written} " if spaced else written


def _invalid_sequences() -> list[bytes]:
    """Yields each invalid sequence that the op treats as a character: stray bytes and incomplete characters."""
    sequences = [bytes([byte]) for byte in range(0x80, 0x100)]
    for point in (*range(0x800, 0xD800, 0x40), *range(0xE000, 0x10000, 0x40)):
        sequences.append(chr(point).encode()[:2])
    for point in range(0x10000, 0x110000, 0x40):
        encoded = chr(point).encode()
        sequences += [encoded[:2], encoded[:3]]
    return sequences


def tf_text_table(lower_case: bool, strip_accents: bool) -> Table:
    """Returns the table of tensorflow-text's rules, computed with its ops, with lower-casing and accent stripping as
    separate options.

    NFKC case folding, then NFD without accents, then spaces for control characters.
    """
    chars = [char.encode() for char in rules.characters()]
    texts = tf.constant(chars)
    if lower_case:
        texts = tf_text.case_fold_utf8(texts)
    if strip_accents:
        texts = tf.strings.regex_replace(tf_text.normalize_utf8(texts, "NFD"), r"\p{Mn}", "")
    texts = tf.strings.regex_replace(texts, r"\p{Cc}|\p{Cf}", " ")
    return {char: text for char, text in zip(chars, texts.numpy(), strict=True) if text != char}
