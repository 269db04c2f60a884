"""Served masked language models: the pieces that fit where the text says `[MASK]`.

Shapes: `B` batch, `T` tokens of the longest row, `P` masks of the row with the most masks, `K` candidates, `V` pieces
in the vocabulary.
"""

from collections.abc import Callable

import tensorflow as tf

from kerasbert.export.graph.client_ids import check_range
from kerasbert.export.graph.text_inputs import Inputs
from kerasbert.export.served.model import Outputs
from kerasbert.export.served.text_model import ServedTextModel

CANDIDATES = 5


class ServedPretrainer(ServedTextModel):
    """A `BertPretrainer`. Its `TextInputs` read `[MASK]` as the mask token. See `ServedModel` for the arguments."""

    FORM = "pretrainer"

    def task_functions(self) -> dict[str, Callable[..., Outputs]]:
        """Those of every text model. `token_ids` also takes mask positions, and returns the raw logits."""
        functions = {**super().task_functions(), "token_ids": self._by_masked_token_ids}
        return {**functions, "text_pair": self._by_sentence_pair} if self.takes_pairs else functions

    def outputs(self, inputs: Inputs) -> Outputs:
        """The best pieces for each `[MASK]`, [B, P, K].

        In rows with fewer than P masks, the rest is filled with empty pieces of probability 0.
        """
        positions, mask_counts = self._mask_positions(inputs["token_ids"])
        return self._candidates(self.answer({**inputs, "mask_positions": positions}), mask_counts)

    def _by_sentence_pair(self, text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        """The same as `outputs`, with the probability [B] that the second text follows the first."""
        inputs, counts = self.text_inputs.of_pairs(text, text_pair)
        positions, mask_counts = self._mask_positions(inputs["token_ids"])
        logits = self.answer({**inputs, "mask_positions": positions})
        is_next = tf.nn.softmax(tf.cast(logits["next_sentence"], tf.float32))[:, 0]
        return {**self._candidates(logits, mask_counts), "is_next_probability": is_next, **counts}

    def _by_masked_token_ids(
        self, token_ids: tf.Tensor, segment_ids: tf.Tensor, padding_mask: tf.Tensor, mask_positions: tf.Tensor
    ) -> Outputs:
        inputs = self.checked(token_ids=token_ids, segment_ids=segment_ids, padding_mask=padding_mask)
        positions = tf.ensure_shape(mask_positions, [None, None])
        checks = [
            check_range("mask_positions", positions, tf.shape(inputs["token_ids"])[1]),
            tf.debugging.assert_equal(
                tf.shape(positions)[0],
                tf.shape(inputs["token_ids"])[0],
                "`mask_positions` needs a row for each text.",
            ),
        ]
        with tf.control_dependencies(checks):
            logits = self.answer({**inputs, "mask_positions": tf.identity(positions)})
        next_sentence = tf.cast(logits["next_sentence"], tf.float32)
        return {"masked_lm": self._of_pieces(logits["masked_lm"]), "next_sentence": next_sentence}

    def _mask_positions(self, token_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The positions of `[MASK]`, int32 [B, P], and how many there are, int32 [B]."""
        is_masked = tf.equal(token_ids, self.text_inputs.vocabulary.mask_id)  # [B, T]
        positions = tf.zeros_like(token_ids) + tf.range(tf.shape(token_ids)[1])[None, :]
        positions = tf.ragged.boolean_mask(positions, is_masked)  # ragged [B, (P)]
        return positions.to_tensor(0), tf.cast(positions.row_lengths(), tf.int32)

    def _of_pieces(self, masked_lm: tf.Tensor) -> tf.Tensor:
        """The logits of the vocabulary's pieces, float32 [B, P, V].

        Published models often pad their embeddings to more rows than the vocabulary has pieces. No piece belongs to
        such a row, so its score must neither be returned nor take part in the softmax.
        """
        return tf.cast(masked_lm, tf.float32)[:, :, : len(self.text_inputs.vocabulary)]

    def _candidates(self, logits: Outputs, mask_counts: tf.Tensor) -> Outputs:
        probabilities = tf.nn.softmax(self._of_pieces(logits["masked_lm"]))
        count = min(CANDIDATES, len(self.text_inputs.vocabulary))
        probabilities, ids = tf.math.top_k(probabilities, k=count)  # [B, P, K]
        is_real = tf.sequence_mask(mask_counts, tf.shape(ids)[1])[:, :, None]
        return {
            "mask_count": mask_counts,
            "pieces": tf.where(is_real, self.text_inputs.text_to_inputs.tokenizer.pieces(ids), ""),
            "probabilities": tf.where(is_real, probabilities, 0.0),
        }
