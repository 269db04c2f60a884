"""Finds texts that occur more than once, exactly or nearly.

Whether two texts are nearly the same is decided by the Jaccard similarity of their sets of five characters. Candidates
come from MinHash (Broder 1997), so that not every pair is compared.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from kerasbert.errors import BadInputError

_SHINGLE = 5
_PERMUTATIONS = 128


def text_key(text: str, pair: str | None = None) -> str:
    """Return what two texts that are the same to a reader have in common.

    Args:
        text: the text.
        pair: the second text of the row, if it has one.

    Returns:
        The texts in Unicode's form NFKC, without case and with single spaces.

    Example:
        >>> text_key(" Where is  MY card?") == text_key("where is my card?")
        True
    """
    parts = [text] if pair is None else [text, pair]
    return "\n".join(" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts)


def repeated_groups(keys: Sequence[str]) -> list[list[int]]:
    """Return the rows that have the same key.

    Args:
        keys: the key of each row, see `text_key`.

    Returns:
        Groups of at least two rows, in the order of their first rows.

    Example:
        >>> repeated_groups(["a", "b", "a", "c", "a"])
        [[0, 2, 4]]
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        rows[key].append(row)
    return [group for group in rows.values() if len(group) > 1]


def conflicting_groups(groups: Sequence[Sequence[int]], labels: Sequence[Any]) -> list[list[int]]:
    """Return the groups of equal texts that do not have the same label.

    Args:
        groups: the result of `repeated_groups`.
        labels: the label of each row.

    Example:
        >>> conflicting_groups([[0, 2], [1, 3]], ["x", "y", "x", "z"])
        [[1, 3]]
    """
    return [list(group) for group in groups if len({labels[row] for row in group}) > 1]


def near_duplicates(
    keys: Sequence[str], similarity: float = 0.8, first: int | None = None
) -> list[tuple[int, int, float]]:
    """Return pairs of texts that are nearly, but not exactly, the same.

    Args:
        keys: the key of each row, see `text_key`.
        similarity: the lowest Jaccard similarity of a pair, between 0 and 1.
        first: if given, only pairs of a row before this one and a row from it on, e.g. of training and test rows.

    Returns:
        Two rows and their similarity, in the order of the rows. Of several equal texts, only the first is compared.

    Raises:
        BadInputError: datasketch is not installed.

    Example:
        >>> near_duplicates(["where is my new card?", "where is my new card", "what is the time?"])
        [(0, 1, 0.94)]
    """
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError as error:
        raise BadInputError(
            'Near duplicates need datasketch, which is not installed. Run: pip install "kerasbert[data-check]"'
        ) from error
    boundary = len(keys) if first is None else first
    # Equal texts have the same neighbours, so one of them is enough; across the boundary, one on each side.
    rows = {(row >= boundary, key): row for row, key in reversed(list(enumerate(keys)))}
    shingles = {row: _shingles(key) for (_, key), row in sorted(rows.items(), key=lambda item: item[1]) if key}
    # Missing a pair is worse than comparing one more, hence the weights.
    index = MinHashLSH(threshold=similarity, num_perm=_PERMUTATIONS, weights=(0.1, 0.9))
    hashes = MinHash.generator(
        ([shingle.encode("utf-8", "surrogatepass") for shingle in shingles[row]] for row in shingles),
        num_perm=_PERMUTATIONS,
    )
    found = []
    for row, hashed in zip(shingles, hashes, strict=True):
        is_asked = first is None or row >= boundary
        for other in sorted(index.query(hashed)) if is_asked else ():
            share = _jaccard(shingles[other], shingles[row])
            if similarity <= share and keys[other] != keys[row]:
                found.append((other, row, round(share, 2)))
        if first is None or row < boundary:
            index.insert(row, hashed)
    return sorted(found)


def _shingles(key: str) -> frozenset[str]:
    """All sequences of five characters, or the text itself if it is shorter."""
    return frozenset(key[start : start + _SHINGLE] for start in range(max(len(key) - _SHINGLE, 0) + 1))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
