"""What the users of a masked language model get: the pieces that fit where the text says `[MASK]`.

Shapes: `B` batch, `T` tokens of the longest row, `P` masks of the row that has most, `K` candidates, `V` vocabulary.
"""

import tensorflow as tf

from kerasbert.export.graph.client_ids import INPUTS_SPEC, check_range
from kerasbert.export.graph.text_inputs import TEXT_SPEC, Inputs
from kerasbert.export.served.model import Outputs, Signature, signature
from kerasbert.export.served.text_model import ServedTextModel

CANDIDATES = 5
POSITIONS_SPEC = tf.TensorSpec([None, None], tf.int32)


class ServedPretrainer(ServedTextModel):
    """A `BertPretrainer`. Its `TextInputs` keep the `[MASK]`s of a text. See `ServedModel` for the arguments."""

    def task_signatures(self) -> dict[str, Signature]:
        """Those of every text model; `token_ids` takes the masked positions too and answers with the bare logits."""
        signatures = super().task_signatures()
        signatures["token_ids"] = signature(self._by_masked_token_ids, **INPUTS_SPEC, mask_positions=POSITIONS_SPEC)
        if self.takes_pairs:
            signatures["text_pair"] = signature(self._by_sentence_pair, text=TEXT_SPEC, text_pair=TEXT_SPEC)
        return signatures

    def outputs(self, inputs: Inputs) -> Outputs:
        """The best pieces for each `[MASK]`: `mask_count` [B], `pieces` and `probabilities` [B, P, K].

        Rows with fewer than P masks have empty pieces of probability 0 in the rest.
        """
        positions, mask_counts = self._mask_positions(inputs["token_ids"])
        return self._candidates(self.model({**inputs, "mask_positions": positions}, training=False), mask_counts)

    def _by_sentence_pair(self, text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        """As `outputs`, with `is_next_probability` [B]: how likely the second text follows the first."""
        inputs = self.text_inputs.of_pairs(text, text_pair)
        positions, mask_counts = self._mask_positions(inputs["token_ids"])
        logits = self.model({**inputs, "mask_positions": positions}, training=False)
        is_next = tf.nn.softmax(tf.cast(logits["next_sentence"], tf.float32))[:, 0]
        return {**self._candidates(logits, mask_counts), "is_next_probability": is_next}

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
            logits = self.model({**inputs, "mask_positions": tf.identity(positions)}, training=False)
        return {name: tf.cast(logits[name], tf.float32) for name in ("masked_lm", "next_sentence")}

    def _mask_positions(self, token_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where `[MASK]` stands, int32 [B, P], and how often, int32 [B]."""
        is_masked = tf.equal(token_ids, self.text_inputs.vocabulary.mask_id)  # [B, T]
        positions = tf.zeros_like(token_ids) + tf.range(tf.shape(token_ids)[1])[None, :]
        positions = tf.ragged.boolean_mask(positions, is_masked)  # ragged [B, (P)]
        return positions.to_tensor(0), tf.cast(positions.row_lengths(), tf.int32)

    def _candidates(self, logits: Outputs, mask_counts: tf.Tensor) -> Outputs:
        vocabulary_size = len(self.text_inputs.vocabulary)
        # A model may have more rows than the vocabulary has pieces; no piece stands for those.
        masked_lm = tf.cast(logits["masked_lm"], tf.float32)[:, :, :vocabulary_size]
        probabilities, ids = tf.math.top_k(tf.nn.softmax(masked_lm), k=min(CANDIDATES, vocabulary_size))  # [B, P, K]
        is_real = tf.sequence_mask(mask_counts, tf.shape(ids)[1])[:, :, None]
        return {
            "mask_count": mask_counts,
            "pieces": tf.where(is_real, self.text_inputs.text_to_inputs.tokenizer.pieces(ids), ""),
            "probabilities": tf.where(is_real, probabilities, 0.0),
        }
