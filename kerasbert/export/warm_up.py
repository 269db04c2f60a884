"""Writes requests that TF Serving runs while it loads a version, so that the first user does not have to wait.

They also test the version on the server: if one of them fails, e.g. because of an op that the server does not know, the
version is not loaded and the previous one stays in service.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert.export.prediction_log import example_log, predict_log
from kerasbert.export.served.model import ServedModel, Signature
from kerasbert.export.signatures import METHODS

# Where TF Serving looks for the file.
FOLDER, FILE = "assets.extra", "tf_serving_warmup_requests"
# TF Serving refuses a version with more requests.
MOST_RECORDS = 1000


@dataclass(frozen=True)
class WarmUp:
    """The warm-up requests of a version: for each signature, one of each length and batch size.

    Attributes:
        lengths: the lengths of the texts in tokens. Longer ones are cut to the preprocessing's `sequence_length`.
        batch_sizes: the numbers of texts in a request.

    Raises:
        ValueError: a value is not a positive integer.

    Example:
        >>> WarmUp(lengths=[16, 64]).batch_sizes
        (1, 8)
    """

    lengths: Sequence[int] = (8, 32, 128)
    batch_sizes: Sequence[int] = (1, 8)

    def __post_init__(self) -> None:
        for name, values in vars(self).items():
            if not all(isinstance(value, int) and not isinstance(value, bool) and value > 0 for value in values):
                raise ValueError(
                    f"`{name}` must be integers of at least 1. Received: {name}={values!r}. For example, {name}=[8]."
                )


def write_warm_up(served: ServedModel, signatures: Mapping[str, Signature], warm_up: WarmUp, folder: Path) -> None:
    """Write the requests into a version's folder.

    Args:
        served: the model.
        signatures: its signatures.
        warm_up: the requests to write.
        folder: the version's folder.

    Raises:
        BadInputError: there are more requests than TF Serving accepts.
    """
    longest = served.text_inputs.text_to_inputs.sequence_length
    lengths = sorted({min(length, longest) for length in warm_up.lengths})
    sizes = list(itertools.product(lengths, sorted(set(warm_up.batch_sizes))))
    if len(sizes) * len(signatures) > MOST_RECORDS:
        raise BadInputError(
            f"TF Serving accepts at most {MOST_RECORDS} warm-up requests. "
            f"Received: {len(sizes) * len(signatures)}. Use fewer lengths or batch sizes."
        )
    path = folder / FOLDER / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for length, batch in sizes:
            for record in _records(served, signatures, length, batch):
                writer.write(record)


def _records(served: ServedModel, signatures: Mapping[str, Signature], length: int, batch: int) -> Iterator[bytes]:
    """Yield a request for each signature."""
    for name, function in sorted(signatures.items()):
        inputs = request_inputs(served, function, length, batch)
        if name in METHODS:
            yield example_log(name, METHODS[name], inputs["inputs"].tolist())
        else:
            yield predict_log(name, inputs)


def request_inputs(served: ServedModel, function: Signature, length: int, batch: int) -> dict[str, np.ndarray]:
    """Make the inputs of a request to a signature.

    Args:
        served: the model.
        function: the signature.
        length: the length of each text in tokens.
        batch: the number of rows.

    Returns:
        The tensors by the signature's input names.
    """
    tensors = _tensors(served, length, batch)
    return {spec.name: _of_rank(tensors[spec.name], spec.shape.rank) for spec in function.input_signature}


def _tensors(served: ServedModel, length: int, batch: int) -> dict[str, np.ndarray]:
    """A value for each input that any signature may have, by the input's name."""
    text = _text(served, length)
    texts = np.array([text] * batch, dtype=object)
    inputs, _ = served.text_inputs.of_texts(tf.constant(texts))
    examples = np.array([_example(served, text, row) for row in range(batch)], dtype=object)
    return {
        "text": texts,
        "text_pair": texts,
        "question": np.array([_text(served, min(length, 8))] * batch, dtype=object),
        "context": texts,
        "choices": np.stack([texts, texts], axis=1),
        "examples": examples,
        "inputs": examples,
        "layers": np.zeros([batch, 1], np.int32),
        **{name: values.numpy() for name, values in inputs.items()},
        "mask_positions": np.zeros([batch, 1], np.int32),
    }


def _of_rank(values: np.ndarray, rank: int) -> np.ndarray:
    """Repeat the ids of a text, [B, T], as those of two choices, [B, 2, T], if a signature takes choices."""
    return np.stack([values, values], axis=1) if rank == values.ndim + 1 else values


def _example(served: ServedModel, text: str, row: int) -> bytes:
    """A serialized tf.Example. If the second text is optional, every other row has one."""
    features = {served.text_feature: text}
    if row % 2 or not served.PAIR_IS_OPTIONAL:
        features[served.pair_feature] = text
    values = {name: tf.train.BytesList(value=[value.encode()]) for name, value in features.items()}
    feature = {name: tf.train.Feature(bytes_list=value) for name, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def _text(served: ServedModel, length: int) -> str:
    """A text of `length` tokens including [CLS] and [SEP]: a word of one piece, repeated."""
    vocabulary = served.text_inputs.vocabulary
    words = [piece for piece in vocabulary.pieces if piece.isalpha()] or ["a"]
    counts = served.text_inputs.text_to_inputs.tokenizer.tokenize(words).row_lengths().numpy()
    word = words[int(np.argmin(np.where(counts > 0, counts, np.iinfo(counts.dtype).max)))]
    return " ".join([word] * max(length - 2, 0))
