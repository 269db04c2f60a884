"""Tokenized documents on disk, sorted into buckets, so that each bucket can be read without reading the rest.

A spill is one file of a few megabytes, written by one worker. The documents of a bucket are spread over all spills, and
the index of a spill contains the offset of each bucket. Documents are shuffled across workers in this way, while no
machine and no runner has more than one spill and one bucket in memory.

The format of one bucket in a spill: the numbers of documents, sentences and tokens (uint32 each); for each document a
random key (uint64) and its number of sentences (uint32); for each sentence its number of tokens (uint32); and all token
ids (uint16 if they fit, else uint32).
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasbert.data.pretraining.tokenized_documents import TokenizedDocument

_HEADER_BYTES = 12


class Document(NamedTuple):
    """A tokenized document: its random key, the number of tokens of each sentence, and all token ids."""

    key: int
    sentence_lengths: np.ndarray
    ids: np.ndarray

    def sentences(self) -> list[np.ndarray]:
        """Returns the token ids of each sentence."""
        return np.split(self.ids, np.cumsum(self.sentence_lengths)[:-1])


class Spill(NamedTuple):
    """One file and the offset of each bucket in it. The last offset is the file's size."""

    path: str
    offsets: np.ndarray


def keyed(document: TokenizedDocument, seed: int) -> Document:
    """Returns the document with its key for the random order, which depends only on the seed and the document."""
    lengths = np.diff(np.asarray(document.starts, np.uint32))
    digest = hashlib.sha256(f"{seed}/".encode() + lengths.tobytes() + document.ids.astype("<u4").tobytes())
    return Document(int.from_bytes(digest.digest()[:8], "little"), lengths, document.ids)


def write_spill(path: str, documents: Iterable[Document], num_buckets: int, vocabulary_size: int) -> Spill:
    """Writes documents to one file, sorted into buckets by their keys."""
    buckets: list[list[Document]] = [[] for _ in range(num_buckets)]
    for document in documents:
        buckets[document.key % num_buckets].append(document)
    dtype = np.uint16 if vocabulary_size <= 1 << 16 else np.uint32
    offsets = [0]
    with tf.io.gfile.GFile(path, "wb") as file:
        for bucket in buckets:
            data = _to_bytes(bucket, dtype) if bucket else b""
            file.write(data)
            offsets.append(offsets[-1] + len(data))
    return Spill(path, np.array(offsets, np.uint64))


def read_bucket(spills: Sequence[Spill], bucket: int, vocabulary_size: int) -> list[Document]:
    """Returns the documents of one bucket from all spills, in an order that does not depend on the workers."""
    dtype = np.uint16 if vocabulary_size <= 1 << 16 else np.uint32
    documents: list[Document] = []
    for path, offsets in spills:
        start, end = int(offsets[bucket]), int(offsets[bucket + 1])
        if start < end:
            with tf.io.gfile.GFile(path, "rb") as file:
                file.seek(start)
                documents += _from_bytes(file.read(end - start), dtype)
    # Copies of a document have the same key and the same ids, so their order does not matter.
    return sorted(documents, key=lambda document: (document.key, document.ids.tobytes()))


def _to_bytes(documents: list[Document], dtype: type) -> bytes:
    keys = np.array([document.key for document in documents], "<u8")
    counts = np.array([len(document.sentence_lengths) for document in documents], "<u4")
    lengths = np.concatenate([document.sentence_lengths for document in documents]).astype("<u4")
    ids = np.concatenate([document.ids for document in documents]).astype(np.dtype(dtype).newbyteorder("<"))
    header = np.array([len(keys), len(lengths), len(ids)], "<u4")
    return b"".join(array.tobytes() for array in (header, keys, counts, lengths, ids))


def _from_bytes(data: bytes, dtype: type) -> Iterator[Document]:
    num_documents, num_sentences, num_tokens = np.frombuffer(data, "<u4", 3).tolist()
    position = _HEADER_BYTES
    arrays = []
    for kind, number in (("<u8", num_documents), ("<u4", num_documents), ("<u4", num_sentences)):
        arrays.append(np.frombuffer(data, kind, number, position))
        position += arrays[-1].nbytes
    keys, counts, lengths = arrays
    ids = np.frombuffer(data, np.dtype(dtype).newbyteorder("<"), num_tokens, position).astype(np.int32)
    by_document = np.split(lengths, np.cumsum(counts)[:-1])
    tokens = [int(part.sum()) for part in by_document]
    for key, part, own in zip(keys.tolist(), by_document, np.split(ids, np.cumsum(tokens)[:-1]), strict=True):
        yield Document(key, part, own)
