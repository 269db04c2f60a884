"""The functions of a served model, one for each signature, as far as they are the same for every task.

What a task adds (labels, spans, predicted words) is in the subclasses: see served_classifier.py and its siblings. How
the functions get onto a disk is in saved_model.py.

Shapes: `B` batch, `T` tokens of the longest row, `H` hidden size.
"""

import abc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasbert.export.text_inputs import TEXT_SPEC, Inputs, TextInputs
from kerasbert.layers import Pooling

Outputs = dict[str, tf.Tensor]
INPUT_NAMES = ("token_ids", "segment_ids", "padding_mask")
INPUTS_SPEC = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in INPUT_NAMES}


class ServedModel(abc.ABC):
    """A model and its preprocessing as functions with fixed signatures, for inference only.

    Args:
        model: the Keras model to serve.
        backbone: the `BertBackbone` inside it.
        text_inputs: the functions from raw strings to the model's inputs.
        text_feature: the tf.Example feature that holds the text.
        pair_feature: the tf.Example feature that holds the second text, in the examples that have one.
    """

    def __init__(
        self,
        model: Any,
        backbone: Any,
        text_inputs: TextInputs,
        text_feature: str = "text",
        pair_feature: str = "text_pair",
    ) -> None:
        self.model = model
        self.backbone = backbone
        self.labels: list[str] | None = None
        self.text_inputs = text_inputs
        self._text_feature = text_feature
        self._pair_feature = pair_feature
        self._pooling = Pooling("mean", dtype="float32")
        # One function that all signatures call, so that the graph holds the model once.
        self.run = tf.function(self.outputs, input_signature=[INPUTS_SPEC], autograph=False)

    @abc.abstractmethod
    def outputs(self, inputs: Inputs) -> Outputs:
        """What the model answers, as its users expect it: every tensor has the batch first."""

    def signatures(self) -> dict[str, Callable[..., Outputs]]:
        """The functions under their signature names."""
        by_text = signature(self._by_text, text=TEXT_SPEC)
        signatures = {
            "serving_default": by_text,
            "text": by_text,
            "token_ids": signature(self._by_token_ids, **INPUTS_SPEC),
            "examples": signature(self._by_examples, examples=TEXT_SPEC),
            "embed": signature(self._embed, text=TEXT_SPEC),
            "tokenize": signature(self._tokenize, text=TEXT_SPEC),
        }
        if self.takes_pairs:
            signatures["text_pair"] = signature(self._by_pair, text=TEXT_SPEC, text_pair=TEXT_SPEC)
        return signatures

    @property
    def takes_pairs(self) -> bool:
        """Whether the model tells two segments apart."""
        return self.backbone.bert_config.type_vocab_size >= 2

    def _by_text(self, text: tf.Tensor) -> Outputs:
        return self.run(self.text_inputs.of_texts(text))

    def _by_pair(self, text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        return self.run(self.text_inputs.of_pairs(text, text_pair))

    def _by_token_ids(self, token_ids: tf.Tensor, segment_ids: tf.Tensor, padding_mask: tf.Tensor) -> Outputs:
        return self.run(self.checked(token_ids, segment_ids, padding_mask))

    def _by_examples(self, examples: tf.Tensor) -> Outputs:
        return self.run(self.inputs_of_examples(examples))

    def _embed(self, text: tf.Tensor) -> Outputs:
        """`embedding`: the mean hidden state of the text's tokens. `pooled_output`: BERT's own, of [CLS]."""
        inputs = self.text_inputs.of_texts(text)
        encoded = self.backbone(inputs, training=False)
        embedding = self._pooling(tf.cast(encoded["sequence_output"], tf.float32), inputs["padding_mask"])
        return {"embedding": embedding, "pooled_output": tf.cast(encoded["pooled_output"], tf.float32)}

    def _tokenize(self, text: tf.Tensor) -> Outputs:
        return self.text_inputs.tokenize(text)

    def inputs_of_examples(self, examples: tf.Tensor) -> Inputs:
        """Serialized tf.Examples, string [B], to the model's inputs."""
        features: dict[str, Any] = {self._text_feature: tf.io.FixedLenFeature([], tf.string)}
        if not self.takes_pairs:
            return self.text_inputs.of_texts(self._parsed(examples, features)[self._text_feature])
        features[self._pair_feature] = tf.io.RaggedFeature(tf.string)
        parsed = self._parsed(examples, features)
        pairs = parsed[self._pair_feature]
        has_pair = pairs.row_lengths() > 0
        second = tf.concat([pairs, tf.fill([pairs.nrows(), 1], "")], axis=1)[:, :1].flat_values
        return self.text_inputs.of_optional_pairs(parsed[self._text_feature], second, has_pair)

    def _parsed(self, examples: tf.Tensor, features: dict[str, Any]) -> dict[str, Any]:
        return tf.io.parse_example(tf.ensure_shape(examples, [None]), features)

    def checked(self, token_ids: tf.Tensor, segment_ids: tf.Tensor, padding_mask: tf.Tensor) -> Inputs:
        """The client's own ids, after the checks that neither TF Serving nor a lookup on a GPU makes."""
        config = self.backbone.bert_config
        inputs = dict(zip(INPUT_NAMES, (token_ids, segment_ids, padding_mask), strict=True))
        inputs = {name: tf.ensure_shape(values, [None, None]) for name, values in inputs.items()}
        shape = tf.shape(inputs["token_ids"])
        checks = [
            tf.debugging.assert_equal(tf.shape(inputs[name]), shape, f"`{name}` must have the shape of `token_ids`.")
            for name in INPUT_NAMES[1:]
        ]
        checks.append(check_range("token_ids", inputs["token_ids"], config.vocab_size))
        checks.append(check_range("segment_ids", inputs["segment_ids"], config.type_vocab_size))
        with tf.control_dependencies(checks):
            cls_id = self.text_inputs.vocabulary.cls_id
            inputs["padding_mask"] = without_server_padding(inputs["token_ids"], inputs["padding_mask"], cls_id)
            return {name: tf.identity(values) for name, values in inputs.items()}


def without_server_padding(token_ids: tf.Tensor, padding_mask: tf.Tensor, cls_id: int) -> tf.Tensor:
    """Masks what TF Serving itself puts behind the shorter requests of a batch.

    With `pad_variable_length_inputs` it lengthens each input with that input's first element: the ids with [CLS] and
    the mask with 1. No text ends in [CLS], so a tail of it behind a first [CLS] is padding.

    Args:
        token_ids: int32 [B, T].
        padding_mask: int32 [B, T].
        cls_id: the id of [CLS].
    """
    is_cls = tf.cast(tf.equal(token_ids, cls_id), tf.int32)
    in_tail = tf.math.cumprod(is_cls, axis=1, reverse=True)  # 1 where this token and all behind it are [CLS]
    in_tail = tf.concat([tf.zeros_like(in_tail[:, :1]), in_tail[:, 1:] * is_cls[:, :1]], axis=1)
    return padding_mask * (1 - in_tail)


def check_range(name: str, ids: tf.Tensor, size: Any) -> tf.Operation:
    """Refuses ids outside of [0, size), when the graph runs."""
    in_range = tf.reduce_all((ids >= 0) & (ids < size))
    return tf.debugging.Assert(in_range, [f"`{name}` must be at least 0 and less than", size, "Received:", ids])


def signature(function: Callable[..., Outputs], **specs: tf.TensorSpec) -> Callable[..., Outputs]:
    """A function of exactly these inputs, for which `function` has arguments of the same names in the same order."""
    named = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()]
    return tf.function(function, input_signature=named, autograph=False)
