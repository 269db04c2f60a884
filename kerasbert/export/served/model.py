"""The functions of a served model, one for each signature, as far as they are the same for every model.

The subclasses in this folder add what a task answers. Which signatures exist, with their inputs and outputs, is listed
in ../signatures.py. ../saved_model.py writes the functions to disk.

Shapes: `B` batch, `T` tokens of the longest row, `H` hidden size, `L` encoder blocks, `K` layers that a row asks for,
`N` heads.
"""

import abc
import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert.export.graph.client_ids import INPUTS_SPEC, check_range, checked_inputs
from kerasbert.export.graph.int8_weight import Int8Weight
from kerasbert.export.graph.text_inputs import Inputs, TextInputs
from kerasbert.export.signature_tensors import Tensor
from kerasbert.export.signatures import SIGNATURES
from kerasbert.layers import Pooling, token_layout
from kerasbert.models import flat_tokens
from kerasbert.models.precision_choice import Chosen
from kerasbert.preprocessing.traced_once import TracedOnce

Outputs = dict[str, tf.Tensor]
Signature = Any  # a tf.function of named tensors, which returns `Outputs`


class ServedModel(abc.ABC):
    """A model and its preprocessing as functions with fixed signatures, for inference only.

    Args:
        model: the Keras model to serve.
        backbone: the `BertBackbone` inside it.
        text_inputs: the functions from raw strings to the model's inputs.
        text_feature: the tf.Example feature that contains the text. By default `TEXT_FEATURE`.
        pair_feature: the tf.Example feature that contains the second text. By default `PAIR_FEATURE`.
        chosen: the precision of the model, if one was chosen.

    Raises:
        BadInputError: both texts would be read from the same feature.
    """

    # The key of `SIGNATURES` under which the subclass's signatures are listed.
    FORM: ClassVar[str]
    # The tf.Example features that contain the text and, where there is one, the second text.
    TEXT_FEATURE = "text"
    PAIR_FEATURE = "text_pair"
    PAIR_IS_OPTIONAL = False
    # What happens to tokens beyond the longest input, for the model card.
    BEYOND_LENGTH = "The model does not read what comes after them."

    def __init__(
        self,
        model: Any,
        backbone: Any,
        text_inputs: TextInputs,
        text_feature: str | None = None,
        pair_feature: str | None = None,
        chosen: Chosen | None = None,
    ) -> None:
        self.model = model
        self.chosen = chosen
        rounded = chosen.reduced.rounded if chosen else ()
        self.int8_weights = [(variable, Int8Weight(weight)) for variable, weight in rounded]
        self.backbone = backbone
        self.text_inputs = text_inputs
        self.text_feature = text_feature or self.TEXT_FEATURE
        self.pair_feature = pair_feature or self.PAIR_FEATURE
        if self.text_feature == self.pair_feature:
            raise BadInputError(
                "`text_feature` and `pair_feature` must differ. "
                f"Received: text_feature={self.text_feature!r}, pair_feature={self.pair_feature!r}. "
                "Use a separate feature for each text."
            )
        self.labels: list[str] | None = None
        self._mean = Pooling("mean", dtype="float32")
        self._encoded = TracedOnce(self._encode, INPUTS_SPEC)
        self._hidden = TracedOnce(self._encode_flat, INPUTS_SPEC)

    @abc.abstractmethod
    def task_functions(self) -> dict[str, Callable[..., Outputs]]:
        """The functions of the task by signature name, including `serving_default`."""

    def signatures(self) -> dict[str, Signature]:
        """All functions by signature name, with the input types that `SIGNATURES` lists."""
        functions: dict[str, Callable[..., Outputs]] = {
            "embed": self._embed,
            "tokenize": self.text_inputs.tokenize,
            "attention": self._attention,
            "attention_layers": self._attention_layers,
            **self.task_functions(),
        }
        # Two signatures of the same function share one tf.function, so that the graph contains it once.
        made: dict[Any, Signature] = {}
        for name, function in functions.items():
            if function not in made:
                made[function] = signature(function, SIGNATURES[self.FORM][name].inputs)
        return {name: made[function] for name, function in functions.items()}

    @functools.cached_property
    def has_pooler(self) -> bool:
        """Whether the model has BERT's pooler.

        Some tasks leave it out of the model, and some checkpoints lack it: then its weights are zeros.
        """
        kernel = self.backbone.pooler.kernel
        # Functions ask for this while they are traced, when variables have no value.
        with tf.init_scope():
            is_trained = bool(np.any(keras.ops.convert_to_numpy(kernel)))
        return is_trained and any(weight is kernel for weight in self.model.weights)

    def checked(self, **inputs: tf.Tensor) -> Inputs:
        """The client's own ids, checked when the graph runs."""
        config = self.backbone.bert_config
        return checked_inputs(inputs, config.vocab_size, config.type_vocab_size, self.text_inputs.vocabulary.cls_id)

    def answer(self, inputs: Inputs, at_padding: bool = False, model: keras.Model | None = None) -> Any:
        """The model's outputs, without dropout.

        Args:
            inputs: the packed inputs.
            at_padding: whether outputs have the Keras model's values at padding too, for signatures that return an
                array of all tokens, which clients compare as a whole. Without it, there is no work on padding.
            model: another model on the same inputs. By default, the served one.
        """
        with flat_tokens(not at_padding), self._weights():
            return (model or self.model)(inputs, training=False)

    def refused_if_cut(self, outputs: Outputs) -> Outputs:
        """The same outputs of a signature, which fail if the model did not read all tokens of every row."""
        rows = tf.where(outputs["truncated"])[:, 0]
        check = tf.debugging.Assert(
            tf.equal(tf.size(rows), 0),
            [
                f"A text must have at most {self.text_inputs.text_to_inputs.sequence_length} tokens. Received, by row:",
                rows,
                tf.gather(outputs["token_count"], rows),
                "Shorten the text, or call the signature `text`, which cuts it.",
            ],
            summarize=8,
        )
        with tf.control_dependencies([check]):
            return {name: tf.identity(values) for name, values in outputs.items()}

    def _embed(self, text: tf.Tensor) -> Outputs:
        """Return the mean hidden state of each text's tokens and, if there is a pooler, BERT's pooled output."""
        inputs, counts = self.text_inputs.of_texts(text)
        hidden = self._hidden(inputs)
        outputs = {"embedding": self._mean(tf.cast(hidden, tf.float32), inputs["padding_mask"]), **counts}
        if self.has_pooler:
            outputs["pooled_output"] = tf.cast(self.backbone.pooler(hidden[:, 0]), tf.float32)
        return outputs

    def _attention(self, text: tf.Tensor) -> Outputs:
        """Return the attention probabilities of all layers, [B, L, N, T, T]."""
        inputs, counts = self.text_inputs.of_texts(text)
        _, attention = self._encoded(inputs)
        return {"attention": tf.stack(attention, axis=1), **self._tokens(inputs), **counts}

    def _attention_layers(self, text: tf.Tensor, layers: tf.Tensor) -> Outputs:
        """Return the attention probabilities of the layers that each row names: [B], [B, K] -> [B, K, N, T, T]."""
        text, layers = tf.ensure_shape(text, [None]), tf.ensure_shape(layers, [None, None])
        checks = [
            check_range("layers", layers, len(self.backbone.encoder_blocks)),
            tf.debugging.assert_equal(tf.shape(layers)[0], tf.size(text), "`layers` needs a row for each text."),
        ]
        with tf.control_dependencies(checks):
            layers = tf.identity(layers)
        inputs, counts = self.text_inputs.of_texts(text)
        _, attention = self._encoded(inputs)
        # Copies only the layers that are asked for: all of them together may not fit into memory.
        wanted = [tf.where(tf.equal(layers, index)) for index in range(len(attention))]  # int64 [any, 2], row and place
        chosen = [tf.gather(scores, places[:, 0]) for scores, places in zip(attention, wanted, strict=True)]
        shape = tf.concat([tf.shape(layers, tf.int64), tf.shape(attention[0], tf.int64)[1:]], axis=0)
        by_row = tf.scatter_nd(tf.concat(wanted, axis=0), tf.concat(chosen, axis=0), shape)
        heads = attention[0].shape[1]
        by_row = tf.ensure_shape(by_row, [None, None, heads, None, None])
        return {"attention": by_row, **self._tokens(inputs), **counts}

    def _tokens(self, inputs: Inputs) -> Outputs:
        """The `pieces` of the packed rows and their `padding_mask`, [B, T]."""
        pieces = self.text_inputs.text_to_inputs.tokenizer.pieces(inputs["token_ids"])
        return {"pieces": pieces, "padding_mask": inputs["padding_mask"]}

    def _encode_flat(self, inputs: Inputs) -> tf.Tensor:
        """The hidden states [B, T, H] after the last block, 0 at padding."""
        layout = token_layout(inputs["padding_mask"])
        with self._weights():
            hidden = self.backbone.embeddings(inputs["token_ids"], inputs["segment_ids"], training=False, layout=layout)
            for block in self.backbone.encoder_blocks:
                hidden = block(hidden, training=False, layout=layout)
        return layout.to_rows(hidden)

    def _encode(self, inputs: Inputs) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The hidden states [B, T, H] after the last block, and the attention [B, N, T, T] of each block."""
        attention = []
        with self._weights():
            hidden = self.backbone.embeddings(inputs["token_ids"], inputs["segment_ids"], training=False)
            for block in self.backbone.encoder_blocks:
                hidden, scores = block(hidden, inputs["padding_mask"], return_attention_scores=True, training=False)
                attention.append(tf.cast(scores, tf.float32))
        return hidden, attention

    @contextlib.contextmanager
    def _weights(self) -> Iterator[None]:
        """Within this context, layers read the weights that are stored as integers from where they are."""
        if not self.int8_weights:
            yield
            return
        with keras.StatelessScope(state_mapping=[(variable, weight.read()) for variable, weight in self.int8_weights]):
            yield


def signature(function: Callable[..., Outputs], inputs: Mapping[str, Tensor]) -> Signature:
    """A tf.function with exactly these inputs.

    Args:
        function: takes the inputs as arguments of the same names, in the same order.
        inputs: the tensors by name.
    """
    specs = [tensor.spec(name) for name, tensor in inputs.items()]
    return tf.function(function, input_signature=specs, autograph=False)
