"""Creates next-sentence pairs from a stream of documents, like google-research/bert's create_pretraining_data.py.

Google's script keeps the whole corpus in memory. Here, a buffer of documents replaces it, which is limited in documents
and tokens: documents leave it in random order, and random second segments are drawn from it. Masks and special tokens
are added later: see the preprocessing package.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kerasbert.data.pretraining.tokenized_documents import Tokenize, TokenizedDocument, tokenized_documents
from kerasbert.errors import BadInputError

_TRIES_FOR_ANOTHER_DOCUMENT = 10


class SegmentPair(NamedTuple):
    """Two segments of one training instance.

    Attributes:
        first_ids: token ids of the first segment, int32, without special tokens.
        second_ids: token ids of the second segment.
        is_random_next: whether the second segment is a random one.

    Example:
        >>> SegmentPair(np.array([7, 8], np.int32), np.array([9], np.int32), is_random_next=True).is_random_next
        True
    """

    first_ids: np.ndarray
    second_ids: np.ndarray
    is_random_next: bool


def segment_pairs(
    documents: Iterable[Sequence[str]],
    tokenize: Tokenize,
    *,
    max_tokens: int,
    seed: int,
    short_sequence_probability: float = 0.1,
    next_sentence_probability: float = 0.5,
    dupe_factor: int = 10,
    buffer_documents: int = 20_000,
    buffer_tokens: int = 20_000_000,
) -> Iterator[SegmentPair]:
    """Yields segment pairs from a stream of documents, deterministically by seed.

    A chunk is a run of sentences of one document with about `max_tokens` tokens (a random smaller number in a share of
    `short_sequence_probability` of the passes over a document). It is split at a random sentence border. The second
    segment is either the rest of the chunk, or sentences from a random position of another document. In the latter
    case, the rest of the chunk goes into the next chunk. A chunk of one sentence always gets a random second segment.
    If a pair is too long, tokens are removed from its longer segment, randomly at the front or the end.

    Args:
        documents: sentences of each document, e.g. from `read_documents`. They are read once, in order.
        tokenize: maps a list of sentences to their token ids, as a list of lists or a `tf.RaggedTensor`.
        max_tokens: maximum number of tokens of both segments together, without special tokens: the sequence length
            minus 3.
        seed: the same seed and documents give the same pairs.
        short_sequence_probability: share of passes with a random shorter target length.
        next_sentence_probability: share of chunks with two or more sentences whose second segment is the actual next
            one.
        dupe_factor: number of passes over each document, each with different chunks and partners.
        buffer_documents: maximum number of documents in memory, at least 2.
        buffer_tokens: maximum number of tokens in memory (4 bytes each), plus at most one document.

    Raises:
        BadInputError: there is no token, only one document, or no document with two sentences, so there are no pairs
            for next-sentence prediction.

    Source: google-research/bert, `create_instances_from_document` and `truncate_seq_pair`. This function differs in
    one point: if all ten tries for another document hit the same one, its neighbour is taken instead, so a random
    second segment never comes from the same document.

    Example:
        >>> documents = [["a b", "c d"], ["e f", "g h"]]
        >>> tokenize = lambda sentences: [[ord(word) for word in sentence.split()] for sentence in sentences]
        >>> pairs = list(segment_pairs(documents, tokenize, max_tokens=4, seed=1, dupe_factor=1))
        >>> [len(pair.first_ids) + len(pair.second_ids) <= 4 for pair in pairs][:2]
        [True, True]
    """
    _check_arguments(max_tokens, short_sequence_probability, next_sentence_probability, dupe_factor, buffer_documents)
    rng = random.Random(seed)
    buffer = _DocumentBuffer(rng, dupe_factor)
    num_documents = longest = 0

    def pairs(index: int) -> Iterator[SegmentPair]:
        target = rng.randint(2, max_tokens) if rng.random() < short_sequence_probability else max_tokens
        return _document_pairs(
            buffer.documents[index], lambda: buffer.other(index), target, max_tokens, next_sentence_probability, rng
        )

    for document in tokenized_documents(documents, tokenize):
        num_documents += 1
        longest = max(longest, document.num_sentences)
        buffer.add(document)
        while len(buffer.documents) > 2 and (
            len(buffer.documents) > buffer_documents or buffer.num_tokens > buffer_tokens
        ):
            index = rng.randrange(len(buffer.documents))
            yield from pairs(index)
            buffer.count_pass(index)
    _check_pairable(num_documents, longest)
    # No document follows, so all stay as partners until the last pair is made.
    for index in buffer.shuffled_passes():
        yield from pairs(index)


def _check_arguments(
    max_tokens: int,
    short_sequence_probability: float,
    next_sentence_probability: float,
    dupe_factor: int,
    buffer_documents: int,
) -> None:
    for name, value, least in (
        ("max_tokens", max_tokens, 2),
        ("dupe_factor", dupe_factor, 1),
        ("buffer_documents", buffer_documents, 2),
    ):
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}. Choose a larger number.")
    for name, share in (
        ("short_sequence_probability", short_sequence_probability),
        ("next_sentence_probability", next_sentence_probability),
    ):
        if not 0 <= share <= 1:
            raise ValueError(f"`{name}` must be between 0 and 1. Received: {name}={share}. For example `{name}=0.5`.")


def _check_pairable(num_documents: int, longest: int) -> None:
    if num_documents == 0:
        raise BadInputError(
            "A pretraining text must contain at least one token. Received: documents without any. "
            "Check that the vocabulary fits the text."
        )
    if num_documents == 1:
        raise BadInputError(
            "Next-sentence prediction needs at least two documents, to draw random second segments from another one. "
            "Received: one document. Put a blank line between documents, or add more text."
        )
    if longest < 2:
        raise BadInputError(
            "Next-sentence prediction needs documents of two or more sentences. Received: "
            f"{num_documents} documents of one line each. Write one sentence per line, and a blank line only "
            "between documents."
        )


class _DocumentBuffer:
    """The documents in memory, with the number of remaining passes over each."""

    def __init__(self, rng: random.Random, dupe_factor: int) -> None:
        self.documents: list[TokenizedDocument] = []
        self.num_tokens = 0
        self._passes: list[int] = []
        self._rng = rng
        self._dupe_factor = dupe_factor

    def add(self, document: TokenizedDocument) -> None:
        self.documents.append(document)
        self._passes.append(self._dupe_factor)
        self.num_tokens += len(document.ids)

    def count_pass(self, index: int) -> None:
        """Counts one pass. After its last pass, a document is removed, and the last one takes its position."""
        self._passes[index] -= 1
        if self._passes[index]:
            return
        self.num_tokens -= len(self.documents[index].ids)
        self.documents[index], self._passes[index] = self.documents[-1], self._passes[-1]
        del self.documents[-1], self._passes[-1]

    def shuffled_passes(self) -> list[int]:
        """Returns all remaining passes, as document indices in random order."""
        passes = [index for index, number in enumerate(self._passes) for _ in range(number)]
        self._rng.shuffle(passes)
        return passes

    def other(self, index: int) -> TokenizedDocument:
        """Returns a random document other than the one at `index`."""
        for _ in range(_TRIES_FOR_ANOTHER_DOCUMENT):
            other = self._rng.randrange(len(self.documents))
            if other != index:
                return self.documents[other]
        return self.documents[index - 1]


def _document_pairs(
    document: TokenizedDocument,
    another_document: Callable[[], TokenizedDocument],
    target: int,
    max_tokens: int,
    next_sentence_probability: float,
    rng: random.Random,
) -> Iterator[SegmentPair]:
    """Yields the pairs of one pass over a document, with chunks of about `target` tokens."""
    start = 0
    while start < document.num_sentences:
        end = document.end_of_chunk(start, target)
        is_single = end - start == 1
        first_end = end if is_single else rng.randint(start + 1, end - 1)
        first = document.tokens(start, first_end)
        is_random = is_single or rng.random() >= next_sentence_probability
        if is_random:
            other = another_document()
            other_start = rng.randrange(other.num_sentences)
            second = other.tokens(other_start, other.end_of_chunk(other_start, target - len(first)))
            # The sentences after the first segment were not used: they are put back.
            start = first_end
        else:
            second = document.tokens(first_end, end)
            start = end
        yield _truncated(first, second, is_random, max_tokens, rng)


def _truncated(
    first: np.ndarray, second: np.ndarray, is_random: bool, max_tokens: int, rng: random.Random
) -> SegmentPair:
    """Removes tokens from the longer segment, one by one, randomly from its front or its end, until both fit."""
    excess = max(0, len(first) + len(second) - max_tokens)
    # Until the lengths are equal, only the longer segment loses tokens. Then they take turns, and the second is first.
    from_longer = min(excess, abs(len(first) - len(second)))
    shared = excess - from_longer
    from_first = shared // 2 + (from_longer if len(first) > len(second) else 0)
    return SegmentPair(_shortened(first, from_first, rng), _shortened(second, excess - from_first, rng), is_random)


def _shortened(ids: np.ndarray, dropped: int, rng: random.Random) -> np.ndarray:
    """Returns a copy without `dropped` tokens. A coin toss for each decides whether it is removed from the front."""
    from_front = rng.getrandbits(dropped).bit_count() if dropped else 0
    return ids[from_front : len(ids) - (dropped - from_front)].copy()
