"""Makes the model's inputs from raw strings, as functions that go into the SavedModel.

The strings go through the same `TextToInputs` object as in training. What is added here is what only a served model
needs: a check of the shape that was really fed (TF Serving checks none), pairs that are there for some rows only, and
where each piece lies in the original text. Says nothing about what the model makes of them: see served_model.py.

Shapes: `B` batch, `T` tokens of the longest row.
"""

from typing import Any

import tensorflow as tf

from kerasbert.preprocessing import TextToInputs
from kerasbert.preprocessing.ragged_rows import row_numbers

MASK = "[MASK]"
TEXT_SPEC = tf.TensorSpec([None], tf.string)
Inputs = dict[str, tf.Tensor]


class TextInputs:
    """Functions from raw strings to `token_ids`, `segment_ids` and `padding_mask`, int32 [B, T].

    Each is one `tf.function`, so that the signatures that share it hold its tables once.

    Args:
        text_to_inputs: the preprocessing object that the model was trained with. However it padded in training, a
            served batch is padded to its longest text, so that it costs no more than that.
        keep_masks: whether `[MASK]` in a text stands for the mask token, as a masked language model's users expect,
            and not for the pieces of a word in brackets.
    """

    def __init__(self, text_to_inputs: TextToInputs, keep_masks: bool = False) -> None:
        self.text_to_inputs = TextToInputs(
            text_to_inputs.tokenizer, text_to_inputs.sequence_length, text_to_inputs.truncation, padding="longest"
        )
        self._keep_masks = keep_masks
        self.vocabulary = text_to_inputs.vocabulary
        self.of_texts = tf.function(self._of_texts, input_signature=[TEXT_SPEC], autograph=False)
        self.of_pairs = tf.function(self._of_pairs, input_signature=[TEXT_SPEC, TEXT_SPEC], autograph=False)
        self.tokenize = tf.function(self._tokenize, input_signature=[TEXT_SPEC], autograph=False)

    def of_optional_pairs(self, first: tf.Tensor, second: tf.Tensor, has_second: tf.Tensor) -> Inputs:
        """Packs each row alone or as a pair.

        Args:
            first: string [B].
            second: string [B], ignored in rows without a second text.
            has_second: bool [B].

        Returns:
            Dictionary of int32 [B, T].
        """
        # A pair whose second text is empty is packed with one [SEP] more than a single text. So both ways are packed
        # and each row picks its own: what a row gets does not depend on its neighbours.
        return tf.cond(
            tf.reduce_any(has_second),
            lambda: self._picked(has_second, self.of_pairs(first, second), self.of_texts(first)),
            lambda: self.of_texts(first),
        )

    def tokens_with_offsets(self, text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """The ids of each text's pieces, and the bytes where they start and end: ragged int32 [B, (tokens)]."""
        tokenizer = self.text_to_inputs.tokenizer
        if self._keep_masks:
            return self._mask_aware_offsets(text)
        ids, starts, ends = tokenizer.tokenize_with_offsets(text)
        ids = tf.cast(ids, tf.int32).with_row_splits_dtype(tf.int64)
        return ids, *(ids.with_values(tf.cast(places.values, tf.int32)) for places in (starts, ends))

    def _of_texts(self, text: tf.Tensor) -> Inputs:
        text = tf.ensure_shape(text, [None])
        if self._keep_masks:
            return self.text_to_inputs.pack(self._tokens_with_masks(text))
        return self.text_to_inputs(text)

    def _of_pairs(self, first: tf.Tensor, second: tf.Tensor) -> Inputs:
        first, second = tf.ensure_shape(first, [None]), tf.ensure_shape(second, [None])
        check = tf.debugging.assert_equal(tf.size(first), tf.size(second), "Each text needs exactly one `text_pair`.")
        with tf.control_dependencies([check]):
            first, second = tf.identity(first), tf.identity(second)
        if self._keep_masks:
            return self.text_to_inputs.pack(self._tokens_with_masks(first), self._tokens_with_masks(second))
        return self.text_to_inputs((first, second))

    def _tokenize(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the model sees of each text: ids, pieces and the bytes of the original text that they stand for.

        Args:
            text: string [B].

        Returns:
            Dictionary of [B, T]: `token_ids`, `padding_mask`, `starts` and `ends` int32, `pieces` string. Special
            tokens and padding stand for no bytes: `starts` and `ends` are 0 there.
        """
        ids, starts, ends = self.tokens_with_offsets(tf.ensure_shape(text, [None]))
        inputs = self.text_to_inputs.pack(ids)
        return {
            "token_ids": inputs["token_ids"],
            "pieces": self.text_to_inputs.tokenizer.pieces(inputs["token_ids"]),
            "starts": self._packed_offsets(starts),
            "ends": self._packed_offsets(ends),
            "padding_mask": inputs["padding_mask"],
        }

    def _packed_offsets(self, *offsets: tf.RaggedTensor) -> tf.Tensor:
        """Packs byte offsets in the way of their pieces, 0 at special tokens and padding: int32 [B, T]."""
        # Moved up by the vocabulary's size, an offset cannot be taken for the id of a special token.
        size = len(self.vocabulary)
        packed = self.text_to_inputs.pack(*(offset + size for offset in offsets))
        return tf.maximum(packed["token_ids"] - size, 0)

    def _tokens_with_masks(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Tokenizes what lies between the `[MASK]`s and puts the mask token between: [B] -> ragged int32 [B, (T)]."""
        parts = tf.strings.split(text, MASK)  # ragged [B, (parts)]
        return _joined(parts, self.text_to_inputs.tokenizer.tokenize(parts.values), self.vocabulary.mask_id)

    def _mask_aware_offsets(self, text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """The same with the byte offsets of each token: ids, starts, ends, ragged int32 [B, (T)]."""
        parts = tf.strings.split(text, MASK)
        ids, starts, ends = self.text_to_inputs.tokenizer.tokenize_with_offsets(parts.values)
        # Where each part begins in its text: after all parts before it and the masks between.
        sizes = tf.strings.length(parts.values) + len(MASK)
        before = tf.cumsum(sizes, exclusive=True)  # [all parts]
        row_begins = tf.gather(tf.concat([before, [0]], axis=0), parts.row_starts())  # [B]
        part_begins = before - tf.gather(row_begins, row_numbers(parts))
        shift = tf.gather(part_begins, row_numbers(ids))  # [all tokens]
        starts, ends = (ids.with_values(tf.cast(places.values, tf.int32) + shift) for places in (starts, ends))
        return (
            _joined(parts, ids, self.vocabulary.mask_id),
            _joined(parts, starts, part_begins - len(MASK)),
            _joined(parts, ends, part_begins),
        )

    def _picked(self, condition: tf.Tensor, inputs: Inputs, other: Inputs) -> Inputs:
        """Row by row `inputs` where `condition` [B] holds, and else `other`, both padded to the longer of the two."""
        length = tf.maximum(tf.shape(inputs["token_ids"])[1], tf.shape(other["token_ids"])[1])
        padding = {"token_ids": self.vocabulary.pad_id, "segment_ids": 0, "padding_mask": 0}
        return {
            name: tf.where(
                condition[:, None],
                _lengthened(inputs[name], length, padding[name]),
                _lengthened(other[name], length, padding[name]),
            )
            for name in padding
        }


def _joined(parts: tf.RaggedTensor, tokens: tf.RaggedTensor, at_mask: Any) -> tf.RaggedTensor:
    """The tokens of a row's parts behind each other, with `at_mask` before each part but the row's first.

    Args:
        parts: ragged strings [B, (parts)].
        tokens: an integer for each token of each part, ragged [all parts, (tokens)].
        at_mask: the integer of the mask before a part, one for all or one for each part.

    Returns:
        Ragged int32 [B, (T)].
    """
    rows = row_numbers(parts)
    follows = tf.concat([tf.zeros_like(rows[:1]), tf.cast(rows[1:] == rows[:-1], rows.dtype)], axis=0)  # [all parts]
    at_masks = tf.boolean_mask(tf.broadcast_to(at_mask, tf.shape(rows)), follows > 0)
    masks = tf.RaggedTensor.from_row_lengths(at_masks, follows)
    with_masks = tf.concat([masks, tf.cast(tokens, tf.int32).with_row_splits_dtype(tf.int64)], axis=1)
    return tf.RaggedTensor.from_row_splits(with_masks, parts.row_splits).merge_dims(1, 2)


def _lengthened(values: tf.Tensor, length: tf.Tensor, padding: int) -> tf.Tensor:
    """Pads [B, T] to [B, length]."""
    return tf.pad(values, [[0, 0], [0, length - tf.shape(values)[1]]], constant_values=padding)
