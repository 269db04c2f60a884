"""Turns sentences into token ids, in calls of bounded size, and stores a document's ids compactly."""

import itertools
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

# Number of characters per call: a call for each short document would be mostly overhead.
_TOKENIZE_CHARACTERS = 1 << 18

Tokenize = Callable[[list[str]], Any]


class TokenizedDocument:
    """The token ids of one document in one array, with the positions where its sentences end.

    Args:
        sentences: token ids of each sentence. Empty sentences are left out.
    """

    def __init__(self, sentences: Iterable[Sequence[int] | np.ndarray]) -> None:
        filled = [np.asarray(sentence, np.int32) for sentence in sentences if len(sentence)]
        self.ids = np.concatenate(filled) if filled else np.zeros(0, np.int32)
        self.starts = [0, *itertools.accumulate(len(sentence) for sentence in filled)]

    @property
    def num_sentences(self) -> int:
        """Number of sentences with at least one token."""
        return len(self.starts) - 1

    def tokens(self, start: int, end: int) -> np.ndarray:
        """Returns the token ids of the sentences from `start` up to but not including `end`."""
        return self.ids[self.starts[start] : self.starts[end]]

    def end_of_chunk(self, start: int, num_tokens: int) -> int:
        """The end of the shortest run of sentences from `start` with `num_tokens` tokens, or the document's end."""
        return min(bisect_left(self.starts, self.starts[start] + num_tokens, start + 1), self.num_sentences)


def tokenized_documents(documents: Iterable[Sequence[str]], tokenize: Tokenize) -> Iterator[TokenizedDocument]:
    """Tokenizes documents, many in one call, and omits documents without tokens.

    Args:
        documents: sentences of each document.
        tokenize: maps a list of sentences to their token ids, as a list of lists or a `tf.RaggedTensor`.

    Raises:
        ValueError: `tokenize` does not return one row per sentence.
    """
    waiting: list[Sequence[str]] = []
    characters = 0
    for document in documents:
        waiting.append(document)
        characters += sum(map(len, document))
        if characters >= _TOKENIZE_CHARACTERS:
            yield from _tokenized_at_once(waiting, tokenize)
            waiting, characters = [], 0
    if waiting:
        yield from _tokenized_at_once(waiting, tokenize)


def _tokenized_at_once(documents: list[Sequence[str]], tokenize: Tokenize) -> Iterator[TokenizedDocument]:
    ids = _token_ids([sentence for document in documents for sentence in document], tokenize)
    for document in documents:
        tokenized = TokenizedDocument(itertools.islice(ids, len(document)))
        if tokenized.num_sentences:
            yield tokenized


def _token_ids(sentences: list[str], tokenize: Tokenize) -> Iterator[Any]:
    """Returns the token ids of each sentence. Calls are bounded, because one document may be much longer."""
    ends = itertools.accumulate(map(len, sentences))
    for _, group in itertools.groupby(zip(sentences, ends, strict=True), lambda pair: pair[1] // _TOKENIZE_CHARACTERS):
        chosen = [sentence for sentence, _ in group]
        ids = tokenize(chosen)
        if hasattr(ids, "row_splits"):
            # Splitting a ragged tensor as arrays is much faster than converting it to lists.
            ids = np.split(np.asarray(ids.values), np.asarray(ids.row_splits)[1:-1])
        if len(ids) != len(chosen):
            raise ValueError(
                f"`tokenize` must return one list of token ids for each sentence. Received: {len(ids)} lists for "
                f"{len(chosen)} sentences."
            )
        yield from ids
