"""Counts how well a vocabulary fits a corpus.

Takes pieces and token ids as plain data, and returns plain data that vocabulary_coverage.py draws. Vocabularies are
learned and texts tokenized in `kerasbert.preprocessing`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_FREQUENT = 30


def vocabulary_statistics(
    pieces: Sequence[str],
    encoded_texts: Iterable[Sequence[int]] = (),
    special_pieces: Sequence[str] = SPECIAL_PIECES,
    unknown_piece: str = "[UNK]",
    continuation_prefix: str = "##",
) -> dict[str, Any]:
    """Compute the statistics that `Report.add_vocabulary` shows.

    Args:
        pieces: the pieces of the vocabulary, in the order of their ids.
        encoded_texts: the token ids of each text, e.g. from a generator. Special tokens are not counted.
        special_pieces: pieces that do not stand for text.
        unknown_piece: the special piece for words that the vocabulary cannot spell.
        continuation_prefix: the prefix of pieces that continue a word.

    Returns:
        A dict of JSON values: `size`; `special_pieces`, their number in the vocabulary; `pieces_by_length`, the number
        of pieces by number of characters, for "word starts" and "continuations"; `tokens`, `words`, `whole_words`
        (words that are a single piece), `unknown_words`; `used_pieces`; `frequent_pieces`, pairs of piece and count;
        `coverage`, pairs of k and the share of tokens that the k most frequent pieces make up.

    Raises:
        ValueError: a token id is not in the vocabulary.

    Example:
        >>> found = vocabulary_statistics(["[UNK]", "play", "##ing", "chess"], [[1, 2, 3], [0, 3]])
        >>> found["tokens"], found["words"], found["whole_words"], found["unknown_words"], found["used_pieces"]
        (5, 4, 2, 1, 3)
    """
    special = np.array([piece in special_pieces for piece in pieces], dtype=bool)
    unknown = np.array([piece == unknown_piece for piece in pieces], dtype=bool)
    continues = np.array([piece.startswith(continuation_prefix) for piece in pieces], dtype=bool) & ~special
    by_length: dict[str, Counter[int]] = {"word starts": Counter(), "continuations": Counter()}
    for piece, is_special, goes_on in zip(pieces, special, continues, strict=True):
        if goes_on:
            by_length["continuations"][len(piece) - len(continuation_prefix)] += 1
        elif not is_special:
            by_length["word starts"][len(piece)] += 1
    counts = np.zeros(len(pieces), dtype=np.int64)
    words = whole_words = 0
    for text in encoded_texts:
        ids = _checked_ids(text, len(pieces))
        ids = ids[~special[ids] | unknown[ids]]
        counts += np.bincount(ids, minlength=len(pieces))
        starts = ~continues[ids]
        words += int(starts.sum())
        whole_words += int((starts & ~unknown[ids] & np.append(starts[1:], True)[: len(ids)]).sum())
    return {
        "size": len(pieces),
        "special_pieces": int(special.sum()),
        "pieces_by_length": {kind: dict(sorted(found.items())) for kind, found in by_length.items()},
        "tokens": int(counts.sum()),
        "words": words,
        "whole_words": whole_words,
        "unknown_words": int(counts[unknown].sum()),
        **_usage(pieces, np.where(unknown, 0, counts), int(counts.sum())),
    }


def _checked_ids(text: Sequence[int], size: int) -> np.ndarray:
    ids = np.asarray(text, dtype=np.int64).reshape(-1)
    if len(ids) and (ids.min() < 0 or ids.max() >= size):
        raise ValueError(
            f"A token id must be from 0 to {size - 1}. Received: ids from {ids.min()} to {ids.max()}. "
            "Encode the texts with this vocabulary."
        )
    return ids


def _usage(pieces: Sequence[str], counts: np.ndarray, tokens: int) -> dict[str, Any]:
    """How many pieces occur, which occur most often, and how much of the text the most frequent ones make up."""
    order = np.argsort(-counts, kind="stable")
    used = int((counts > 0).sum())
    frequent = [[pieces[index], int(counts[index])] for index in order[: min(MOST_FREQUENT, used)]]
    covered = counts[order].cumsum() / max(tokens, 1)
    ranks = sorted({round(rank) for rank in np.geomspace(1, used, 40)}) if used else []
    coverage = [[rank, float(covered[rank - 1])] for rank in ranks]
    return {"used_pieces": used, "frequent_pieces": frequent, "coverage": coverage}
