"""Turns strings into model inputs, in one object that training and serving share.

Because the same object runs in `tf.data` and is written into the SavedModel, the two cannot differ. Shuffling and
batching: see data/.

Shapes: B batch, T tokens after padding.
"""

import json
import os
from pathlib import Path
from typing import Any

import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert.files import write_aside
from kerasbert.preprocessing.packing import SegmentPacker
from kerasbert.preprocessing.tokenizer import WordPieceTokenizer
from kerasbert.preprocessing.vocabulary import Vocabulary

VOCABULARY_FILE = "vocab.txt"
SETTINGS_FILE = "preprocessing.json"


class TextToInputs(tf.Module):
    """Turns texts, or pairs of texts, into `token_ids`, `segment_ids` and `padding_mask`.

    Args:
        tokenizer: splits text into ids.
        sequence_length: maximum number of tokens of a row, including special tokens. At least 3.
        truncation: as for `SegmentPacker`.
        padding: `"longest"` pads to the longest row of the batch, `"fixed"` to `sequence_length`, and a positive
            integer to the next multiple of it (at most `sequence_length`), which limits the number of different shapes.
        pair_segments: as for `SegmentPacker`.

    Raises:
        ValueError: an argument is outside what is described above.

    Example:
        >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing"])
        >>> to_inputs = TextToInputs(WordPieceTokenizer(vocabulary), sequence_length=8)
        >>> inputs = to_inputs(["playing", "play"])
        >>> inputs["token_ids"].numpy().tolist()
        [[2, 5, 6, 3], [2, 5, 3, 0]]
        >>> inputs["padding_mask"].numpy().tolist()
        [[1, 1, 1, 1], [1, 1, 1, 0]]
        >>> to_inputs((["play"], ["play"]))["segment_ids"].numpy().tolist()
        [[0, 0, 0, 1, 1]]
    """

    def __init__(
        self,
        tokenizer: WordPieceTokenizer,
        sequence_length: int = 128,
        truncation: str = "longest_first",
        padding: str | int = "longest",
        pair_segments: bool = True,
    ) -> None:
        super().__init__()
        if padding not in ("longest", "fixed") and not (
            isinstance(padding, int) and not isinstance(padding, bool) and padding > 0
        ):
            raise ValueError(
                '`padding` must be "longest", "fixed" or a positive integer to pad to a multiple of. '
                f"Received: padding={padding!r}. For example `padding=8`."
            )
        self.tokenizer = tokenizer
        self.packer = SegmentPacker(tokenizer.vocabulary, sequence_length, truncation, pair_segments)
        self.padding = padding

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer's vocabulary."""
        return self.tokenizer.vocabulary

    @property
    def sequence_length(self) -> int:
        """Maximum number of tokens of a row."""
        return self.packer.sequence_length

    @property
    def truncation(self) -> str:
        """Which segment loses tokens if a pair is too long."""
        return self.packer.truncation

    @property
    def pair_segments(self) -> bool:
        """Whether the second text of a pair has the segment id 1."""
        return self.packer.pair_segments

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, including the tokenizer's, as values for JSON."""
        return {**self._own_arguments(), "tokenizer": self.tokenizer.get_config()}

    def replace(self, tokenizer: WordPieceTokenizer | None = None, **changes: Any) -> "TextToInputs":
        """Returns the same preprocessing with another tokenizer or other arguments.

        Args:
            tokenizer: another tokenizer, or None for this one.
            **changes: the arguments to change.

        Example:
            >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
            >>> to_inputs = TextToInputs(WordPieceTokenizer(vocabulary), truncation="only_first")
            >>> shorter = to_inputs.replace(sequence_length=8)
            >>> shorter.sequence_length, shorter.truncation
            (8, 'only_first')
        """
        return TextToInputs(tokenizer or self.tokenizer, **{**self._own_arguments(), **changes})

    def _own_arguments(self) -> dict[str, Any]:
        """The arguments other than the tokenizer."""
        return {
            "sequence_length": self.sequence_length,
            "truncation": self.truncation,
            "padding": self.padding,
            "pair_segments": self.pair_segments,
        }

    def __call__(self, texts: Any, second: Any = None) -> dict[str, tf.Tensor]:
        """Returns the inputs for a batch.

        Args:
            texts: strings [B], or a tuple of two such batches (first and second texts of pairs).
            second: the second texts, if `texts` is not a tuple.

        Returns:
            `token_ids`, `segment_ids` and `padding_mask` (1 for a real token), int32 [B, T].

        Raises:
            BadInputError: the batches of a pair differ in length. See `SegmentPacker` for graphs.
        """
        if isinstance(texts, tuple):
            if second is not None or len(texts) != 2:
                raise ValueError(
                    "Texts must be one batch of strings or a pair of batches. "
                    f"Received: a tuple of {len(texts)}{' and a second argument' if second is not None else ''}. "
                    "Call with (first, second), or with first and second as two arguments."
                )
            texts, second = texts
        first_ids = self.tokenizer.tokenize(texts)
        return self.pack(first_ids, None if second is None else self.tokenizer.tokenize(second))

    def pack(self, first: tf.RaggedTensor, second: tf.RaggedTensor | None = None) -> dict[str, tf.Tensor]:
        """Returns the same inputs as a call, from token ids, ragged [B, (tokens)]."""
        token_ids, segment_ids = self.packer(first, second)
        lengths = token_ids.row_lengths()
        width = self._width(lengths)
        shape = tf.stack([tf.size(lengths, tf.int64), width])
        static_shape = [None, self.sequence_length if self.padding == "fixed" else None]
        dense = {
            "token_ids": token_ids.to_tensor(self.vocabulary.pad_id, shape=shape),
            "segment_ids": segment_ids.to_tensor(0, shape=shape),
            "padding_mask": tf.sequence_mask(lengths, width, dtype=tf.int32),
        }
        return {name: tf.ensure_shape(tensor, static_shape) for name, tensor in dense.items()}

    def _width(self, lengths: tf.Tensor) -> tf.Tensor:
        """Returns T, the number of columns of the padded batch."""
        if self.padding == "fixed":
            return tf.constant(self.sequence_length, lengths.dtype)
        longest = tf.reduce_max(tf.concat([lengths, [2]], axis=0))  # [CLS] [SEP], for a batch without rows
        if isinstance(self.padding, int):
            longest = tf.minimum(-(-longest // self.padding) * self.padding, self.sequence_length)
        return longest

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes `vocab.txt` and `preprocessing.json` into `folder`, each atomically. Other files are kept."""
        self.vocabulary.save(Path(folder) / VOCABULARY_FILE)
        settings = {"vocabulary_size": self.vocabulary.size, **self.get_config()}
        with write_aside(Path(folder) / SETTINGS_FILE) as aside:
            aside.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str], **overrides: Any) -> "TextToInputs":
        """Reads what `save` wrote.

        Args:
            folder: a folder with `vocab.txt` and `preprocessing.json`.
            **overrides: `sequence_length`, `truncation` or `padding` to use instead of the saved ones.

        Raises:
            BadInputError: a file is missing, broken or contradicts the other one.
        """
        path = Path(folder) / SETTINGS_FILE
        settings = _read_settings(path)
        vocabulary = Vocabulary.from_file(Path(folder) / VOCABULARY_FILE)
        size = settings.pop("vocabulary_size", vocabulary.size)
        if size != vocabulary.size:
            raise BadInputError(
                f"{VOCABULARY_FILE} must be the one that {path} was saved with, of {size} pieces. "
                f"Received: {vocabulary.size} pieces. Restore the file."
            )
        try:
            tokenizer = WordPieceTokenizer(vocabulary, **settings.pop("tokenizer", {}))
            return cls(tokenizer, **{**settings, **overrides})
        except (TypeError, ValueError) as error:
            raise BadInputError(
                f"{path} must contain settings that this version knows. Received: {error} "
                "Save it again with this version."
            ) from error


def _read_settings(path: Path) -> dict[str, Any]:
    """The JSON object in `path`."""
    rule = f"Preprocessing is read from {SETTINGS_FILE}, a JSON object that `TextToInputs.save` wrote."
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise BadInputError(f"{rule} Received: no file at {path}. Name the folder that was saved to.") from error
    except ValueError as error:
        raise BadInputError(f"{rule} Received: {path}, which is not valid JSON ({error}). Save it again.") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("tokenizer", {}), dict):
        raise BadInputError(f"{rule} Received: {path}, which contains something else. Save it again.")
    return settings
