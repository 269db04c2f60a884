"""Served token classifiers: the entities of a text, with their labels and positions.

Shapes: `B` batch, `T` tokens of the longest row, `C` labels, `E` entities of the row with the most entities, `N`
pieces and `W` words of all rows, one after the other.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kerasbert.data.tables.tag_scheme import BEGINS, FINISHES, parsed_tag
from kerasbert.data.tables.tagged import OUTSIDE
from kerasbert.export.graph.client_ids import INPUTS_SPEC
from kerasbert.export.graph.text_inputs import TEXT_SPEC
from kerasbert.export.graph.words import cut, word_numbers
from kerasbert.export.served.model import Outputs, ServedModel
from kerasbert.preprocessing.ragged_rows import row_numbers
from kerasbert.preprocessing.traced_once import TracedOnce


class ServedTokenClassifier(ServedModel):
    """A `BertTokenClassifier`.

    A word has the label of its first piece, because training data usually labels words, not pieces. Consecutive words
    with the same label are one entity, unless a prefix such as `B-` says that another one begins.

    Args:
        labels: the label names in the order of the logits: `O` for words outside of entities, and others with or
            without prefixes.
        **kwargs: see `ServedModel`.
    """

    FORM = "token_classifier"

    def __init__(self, *, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels: list[str] = list(labels)
        self._scheme = [parsed_tag(label) for label in self.labels]
        self._types = sorted({kind for _, kind in self._scheme if kind != OUTSIDE})
        self.run = TracedOnce(self._logits, INPUTS_SPEC)
        self.run_on_ids = TracedOnce(self._logits_at_padding, INPUTS_SPEC)
        self.find = TracedOnce(self._entities, TEXT_SPEC)

    def task_functions(self) -> dict[str, Callable[..., Outputs]]:
        """All signatures return entities, except `token_ids`, which returns the raw logits."""
        return {
            "serving_default": self._by_text,
            "text": self._by_text,
            "text_strict": self._by_whole_text,
            "token_ids": self._by_token_ids,
            "examples": self._by_examples,
        }

    def _by_text(self, text: tf.Tensor) -> Outputs:
        return self.find(tf.ensure_shape(text, [None]))

    def _by_whole_text(self, text: tf.Tensor) -> Outputs:
        return self.refused_if_cut(self._by_text(text))

    def _by_examples(self, examples: tf.Tensor) -> Outputs:
        features = {self.text_feature: tf.io.FixedLenFeature([], tf.string)}
        return self.find(tf.io.parse_example(tf.ensure_shape(examples, [None]), features)[self.text_feature])

    def _by_token_ids(self, token_ids: tf.Tensor, segment_ids: tf.Tensor, padding_mask: tf.Tensor) -> Outputs:
        inputs = self.checked(token_ids=token_ids, segment_ids=segment_ids, padding_mask=padding_mask)
        return {"logits": self.run_on_ids(inputs), "padding_mask": inputs["padding_mask"]}

    def _logits(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.cast(self.answer(inputs), tf.float32)

    def _logits_at_padding(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.cast(self.answer(inputs, at_padding=True), tf.float32)

    def _entities(self, text: tf.Tensor) -> Outputs:
        """Return the entities of each text as strings with labels, probabilities and byte offsets, [B, E].

        Tokens beyond the preprocessing's `sequence_length` are not read. `truncated_token_count` [B] says how many.
        `token_count` and `truncated` [B] are those of the whole text.
        """
        pieces = self.text_inputs.tokens_with_offsets(text)
        room = self.text_inputs.text_to_inputs.sequence_length - 2
        truncated = tf.maximum(pieces[0].row_lengths() - room, 0)
        ids, starts, ends = (values[:, :room] for values in pieces)
        words = self._words(ids, starts.values, ends.values)
        found = _merged(words, tf.shape(text)[0])
        rows = found["labels"].value_rowids()
        entities = cut(text, rows, found["starts"].values, found["ends"].values)
        names = tf.gather(tf.constant([*self._types, ""], tf.string), found["labels"].values)
        return {
            "entity_count": tf.cast(found["labels"].row_lengths(), tf.int32),
            "entities": found["labels"].with_values(entities).to_tensor(""),
            "labels": found["labels"].with_values(names).to_tensor(""),
            "probabilities": found["probabilities"].to_tensor(0.0),
            "starts": found["starts"].to_tensor(0),
            "ends": found["ends"].to_tensor(0),
            "truncated_token_count": tf.cast(truncated, tf.int32),
            **self.text_inputs.counts(pieces[0]),
        }

    def _words(self, ids: tf.RaggedTensor, starts: tf.Tensor, ends: tf.Tensor) -> dict[str, tf.Tensor]:
        """The row, byte offsets, probability and label of each word: dictionary of [W]."""
        logits = self.run(self.text_inputs.text_to_inputs.pack(ids))  # [B, T, C]
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        # The pieces themselves, without [CLS], [SEP] and padding.
        is_piece = tf.sequence_mask(lengths, tf.shape(logits)[1] - 1)
        probabilities = tf.nn.softmax(tf.boolean_mask(logits[:, 1:], is_piece))  # [B, T, C] -> [N, C]
        numbers = word_numbers(ids, self.text_inputs.vocabulary.continues_word)
        firsts = tf.where(tf.concat([tf.ones_like(numbers[:1], tf.bool), numbers[1:] != numbers[:-1]], axis=0))[:, 0]
        labels = tf.argmax(tf.gather(probabilities, firsts), axis=-1, output_type=tf.int32)
        type_ids = [self._types.index(kind) if kind != OUTSIDE else -1 for _, kind in self._scheme]
        return {
            "rows": tf.gather(row_numbers(ids), firsts),
            "starts": tf.gather(starts, firsts),
            "ends": tf.math.segment_max(ends, numbers),
            "probabilities": tf.reduce_max(tf.gather(probabilities, firsts), axis=-1),
            "types": tf.gather(tf.constant(type_ids), labels),
            "begins": tf.gather(tf.constant([prefix in BEGINS for prefix, _ in self._scheme]), labels),
            "finishes": tf.gather(tf.constant([prefix in FINISHES for prefix, _ in self._scheme]), labels),
        }


def _merged(words: dict[str, tf.Tensor], batch: tf.Tensor) -> dict[str, tf.RaggedTensor]:
    """Merge words [W] into entities, ragged [B, (E)]. `labels` are indices into the sorted entity types."""
    rows, types = words["rows"], words["types"]
    goes_on = (rows[1:] == rows[:-1]) & (types[1:] == types[:-1]) & ~words["begins"][1:] & ~words["finishes"][:-1]
    begins = ~tf.concat([tf.zeros_like(rows[:1], tf.bool), goes_on], axis=0)
    inside = types >= 0
    numbers = tf.cumsum(tf.cast(tf.boolean_mask(begins, inside), tf.int32)) - 1
    first = begins & inside
    entities = {
        "labels": tf.boolean_mask(types, first),
        "starts": tf.boolean_mask(words["starts"], first),
        "ends": tf.math.segment_max(tf.boolean_mask(words["ends"], inside), numbers),
        "probabilities": tf.math.segment_mean(tf.boolean_mask(words["probabilities"], inside), numbers),
    }
    entity_rows = tf.boolean_mask(rows, first)
    return {
        name: tf.RaggedTensor.from_value_rowids(values, entity_rows, tf.cast(batch, tf.int64))
        for name, values in entities.items()
    }
