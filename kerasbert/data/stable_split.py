"""Assigns texts to training, validation or test by a hash of their content.

The same text goes to the same part on every machine and in every order. So adding or removing texts does not move
others, and exact duplicates are always in the same part. With the hash alone, a small part can be empty, or training
can lose a class: see split_plan.py.
"""

import hashlib
from collections.abc import Mapping, Sequence

POSITIONS = 1 << 48


def position_of(key: str) -> int:
    """Returns a whole number from 0 to 2**48 - 1 that depends only on `key` and is evenly distributed over keys."""
    digest = hashlib.sha256(key.encode("utf-8", errors="surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big")


def stable_fraction(key: str) -> float:
    """Returns a number in [0, 1) that depends only on `key` and is evenly distributed over keys.

    Example:
        >>> round(stable_fraction("a text"), 6)
        0.450219
    """
    return position_of(key) / POSITIONS


def part_at(position: int, fractions: Mapping[str, float]) -> str:
    """Returns the part of a position. The parts follow each other in the order of `fractions`."""
    end = 0.0
    for part, share in fractions.items():
        end += share
        if position / POSITIONS < end:
            return part
    # This is reached only if the shares sum to slightly less than 1 because of rounding.
    return [part for part, share in fractions.items() if share > 0][-1]


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Checks the shares of a split.

    Raises:
        ValueError: a share is negative, or they do not sum to 1.
    """
    if not fractions or min(fractions.values()) < 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError(
            f"`fractions` must not be negative and must sum to 1. Received: fractions={dict(fractions)}. "
            "For example `fractions={'train': 0.9, 'validation': 0.1}`."
        )


def stable_split(key: str, fractions: Mapping[str, float]) -> str:
    """Returns the name of the part that `key` belongs to, from its hash alone.

    Args:
        key: the element to split, e.g. a text.
        fractions: part name -> share. Shares must not be negative and must sum to 1. Their order matters: if the first
            part grows at the expense of the last one, no key leaves the first part.

    Returns:
        The name of one part.

    Raises:
        ValueError: a share is negative, or they do not sum to 1.

    Example:
        >>> stable_split("a text", {"train": 0.8, "validation": 0.1, "test": 0.1})
        'train'
    """
    check_fractions(fractions)
    return part_at(position_of(key), fractions)


def document_position(document: Sequence[str]) -> int:
    """The position of a document: that of its sentences on lines of their own."""
    return position_of("\n".join(document))


def is_held_out(document: Sequence[str], share: float) -> bool:
    """Returns whether a document belongs to the `share` of documents that is held out, by its hash alone.

    Pretraining corrects the choice for small corpora, where a side may be empty.

    Args:
        document: its sentences.
        share: between 0 (none) and 1 (all).

    Example:
        >>> documents = [["One."], ["Two."], ["Three."], ["Four."], ["Five."]]
        >>> [is_held_out(document, 0.4) for document in documents]
        [False, True, True, True, False]
    """
    if not 0 <= share <= 1:
        raise ValueError(f"`share` must be between 0 and 1. Received: share={share}. For example `share=0.05`.")
    return document_position(document) / POSITIONS < share
