"""Turns raw strings into the model's inputs, as functions that go into the SavedModel.

The strings go through the same `TextToInputs` object as in training. This module adds what only a served model needs:
a check of the fed shape (TF Serving does not check it), batches in which only some rows have a second text, and the
position of each piece in the original text. What the model computes from the inputs is in ../served/.

Shapes: `B` batch, `T` tokens of the longest row.
"""

import weakref

import tensorflow as tf

from kerasbert.preprocessing import AddedToken, TextToInputs, WordPieceTokenizer
from kerasbert.preprocessing.traced_once import TracedOnce

MASK = "[MASK]"
TEXT_SPEC = tf.TensorSpec([None], tf.string)
Inputs = dict[str, tf.Tensor]
# `token_count`, int32 [B], and `truncated`, bool [B]: see `TextInputs.counts`.
Counts = dict[str, tf.Tensor]
# The functions of each preprocessing object, by `keep_masks`. Tracing them takes a third of the time of an export.
_MADE: "weakref.WeakKeyDictionary[TextToInputs, dict[bool, TextInputs]]" = weakref.WeakKeyDictionary()


def text_inputs_of(text_to_inputs: TextToInputs, keep_masks: bool = False) -> "TextInputs":
    """The functions of a preprocessing object, always the same ones for the same object. See `TextInputs`."""
    made = _MADE.setdefault(text_to_inputs, {})
    if keep_masks not in made:
        made[keep_masks] = TextInputs(text_to_inputs, keep_masks)
    return made[keep_masks]


class TextInputs:
    """Functions from raw strings to `token_ids`, `segment_ids` and `padding_mask`, int32 [B, T], and `Counts`.

    Each is one graph, so that the signatures that share it store its tables once.

    Args:
        text_to_inputs: the preprocessing object that the model was trained with. Its `padding` is ignored: a served
            batch is always padded to its longest text, so that it costs no more than necessary.
        keep_masks: whether `[MASK]` in a text is the mask token, as users of a masked language model expect, or a
            word in brackets.
    """

    def __init__(self, text_to_inputs: TextToInputs, keep_masks: bool = False) -> None:
        tokenizer = _with_masks(text_to_inputs.tokenizer) if keep_masks else text_to_inputs.tokenizer
        self.text_to_inputs = text_to_inputs.replace(tokenizer, padding="longest")
        self.vocabulary = text_to_inputs.vocabulary
        self.ids = TracedOnce(lambda text: tokenizer.tokenize(text), TEXT_SPEC)
        self.of_texts = TracedOnce(self._of_texts, TEXT_SPEC)
        self.of_pairs = TracedOnce(self._of_pairs, TEXT_SPEC, TEXT_SPEC)
        self.tokenize = tf.function(self._tokenize, input_signature=[TEXT_SPEC], autograph=False)

    def of_optional_pairs(self, first: tf.Tensor, second: tf.Tensor, has_second: tf.Tensor) -> tuple[Inputs, Counts]:
        """Pack each row as a single text or as a pair.

        Args:
            first: string [B].
            second: string [B], ignored in rows without a second text.
            has_second: bool [B], True in rows with a second text.

        Returns:
            The inputs, and the counts of each row.
        """
        # A pair whose second text is empty has one more [SEP] than a single text. So all rows are packed in both ways,
        # and each row gets the way that fits it: the result does not depend on the other rows.
        return tf.cond(
            tf.reduce_any(has_second),
            lambda: self._picked(has_second, self.of_pairs(first, second), self.of_texts(first)),
            lambda: self.of_texts(first),
        )

    def tokens_with_offsets(self, text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """The ids of each text's pieces, and the bytes at which they start and end: ragged int32 [B, (tokens)]."""
        ids, starts, ends = self.text_to_inputs.tokenizer.tokenize_with_offsets(text)
        ids = tf.cast(ids, tf.int32).with_row_splits_dtype(tf.int64)
        return ids, *(ids.with_values(tf.cast(places.values, tf.int32)) for places in (starts, ends))

    def counts(self, *segments: tf.RaggedTensor) -> Counts:
        """How long each row is before it is cut.

        Args:
            *segments: the ids of the pieces of one text or two texts, ragged [B, (tokens)].

        Returns:
            `token_count`, the number of pieces with the special tokens, and `truncated`, whether that is more than the
            model reads.
        """
        lengths = tf.add_n([tf.cast(segment.row_lengths(), tf.int32) for segment in segments]) + len(segments) + 1
        return {"token_count": lengths, "truncated": lengths > self.text_to_inputs.sequence_length}

    def _of_texts(self, text: tf.Tensor) -> tuple[Inputs, Counts]:
        return self._packed(text)

    def _of_pairs(self, first: tf.Tensor, second: tf.Tensor) -> tuple[Inputs, Counts]:
        return self._packed(first, second)

    def _packed(self, *texts: tf.Tensor) -> tuple[Inputs, Counts]:
        segments = [self.ids(tf.ensure_shape(text, [None])) for text in texts]
        inputs = self.text_to_inputs.pack(*segments)
        # Packing checks that both texts have the same number of rows, with a clearer message than the sum of lengths.
        with tf.control_dependencies([inputs["token_ids"]]):
            return inputs, self.counts(*segments)

    def _tokenize(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the tokens of each text, and the bytes of the original text that they come from.

        Args:
            text: string [B].

        Returns:
            Dictionary of [B, T]: `token_ids`, `padding_mask`, `starts` and `ends` int32, `pieces` string. `starts` and
            `ends` are 0 for special tokens and padding. And the counts of each text, [B].
        """
        ids, starts, ends = self.tokens_with_offsets(tf.ensure_shape(text, [None]))
        inputs = self.text_to_inputs.pack(ids)
        return {
            "token_ids": inputs["token_ids"],
            "pieces": self.text_to_inputs.tokenizer.pieces(inputs["token_ids"]),
            "starts": self._packed_offsets(starts),
            "ends": self._packed_offsets(ends),
            "padding_mask": inputs["padding_mask"],
            **self.counts(ids),
        }

    def _packed_offsets(self, *offsets: tf.RaggedTensor) -> tf.Tensor:
        """Pack byte offsets like their pieces, with 0 at special tokens and padding: int32 [B, T]."""
        # Adding the vocabulary's size keeps offsets apart from the ids of special tokens.
        size = len(self.vocabulary)
        packed = self.text_to_inputs.pack(*(offset + size for offset in offsets))
        return tf.maximum(packed["token_ids"] - size, 0)

    def _picked(
        self, condition: tf.Tensor, packed: tuple[Inputs, Counts], others: tuple[Inputs, Counts]
    ) -> tuple[Inputs, Counts]:
        """For each row, `packed` if `condition` [B] is true, else `others`, both padded to the longer of the two."""
        (inputs, counts), (other, other_counts) = packed, others
        length = tf.maximum(tf.shape(inputs["token_ids"])[1], tf.shape(other["token_ids"])[1])
        padding = {"token_ids": self.vocabulary.pad_id, "segment_ids": 0, "padding_mask": 0}
        rows = {
            name: tf.where(
                condition[:, None],
                _lengthened(inputs[name], length, padding[name]),
                _lengthened(other[name], length, padding[name]),
            )
            for name in padding
        }
        return rows, {name: tf.where(condition, counts[name], other_counts[name]) for name in counts}


def _with_masks(tokenizer: WordPieceTokenizer) -> WordPieceTokenizer:
    """The same tokenizer, but with `[MASK]` in a text as the mask token."""
    config = tokenizer.get_config()
    others = [token for token in tokenizer.added_tokens if token.content != MASK]
    config["added_tokens"] = [*others, AddedToken.as_special(MASK)]
    return WordPieceTokenizer(tokenizer.vocabulary, **config)


def _lengthened(values: tf.Tensor, length: tf.Tensor, padding: int) -> tf.Tensor:
    """Pads [B, T] to [B, length]."""
    return tf.pad(values, [[0, 0], [0, length - tf.shape(values)[1]]], constant_values=padding)
