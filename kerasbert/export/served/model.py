"""The functions of a served model, one for each signature, as far as they are the same for every model.

What a task adds is in the subclasses: see served_text_model.py and its siblings. How the functions get onto a disk is
in saved_model.py.

Shapes: `B` batch, `T` tokens of the longest row, `H` hidden size, `L` encoder blocks, `N` heads.
"""

import abc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert.export.graph.client_ids import checked_inputs
from kerasbert.export.graph.text_inputs import TEXT_SPEC, Inputs, TextInputs
from kerasbert.layers import Pooling

Outputs = dict[str, tf.Tensor]
Signature = Any  # a tf.function of named tensors, which returns `Outputs`

# The signatures that TF Serving calls by another method than Predict.
METHODS = {"classify": "tensorflow/serving/classify", "regress": "tensorflow/serving/regress"}


class ServedModel(abc.ABC):
    """A model and its preprocessing as functions with fixed signatures, for inference only.

    Args:
        model: the Keras model to serve.
        backbone: the `BertBackbone` inside it.
        text_inputs: the functions from raw strings to the model's inputs.
        text_feature: the tf.Example feature that holds the text, when not `TEXT_FEATURE`.
        pair_feature: the tf.Example feature that holds the second text, when not `PAIR_FEATURE`.

    Raises:
        BadInputError: both texts are looked for in the same feature.
    """

    # The tf.Example features that hold the text and, where there is one, the second text.
    TEXT_FEATURE = "text"
    PAIR_FEATURE = "text_pair"
    PAIR_IS_OPTIONAL = False
    # What becomes of the tokens that do not fit into a row, for the model card.
    BEYOND_LENGTH = "What is behind them is left out."

    def __init__(
        self,
        model: Any,
        backbone: Any,
        text_inputs: TextInputs,
        text_feature: str | None = None,
        pair_feature: str | None = None,
    ) -> None:
        self.model = model
        self.backbone = backbone
        self.text_inputs = text_inputs
        self.text_feature = text_feature or self.TEXT_FEATURE
        self.pair_feature = pair_feature or self.PAIR_FEATURE
        if self.text_feature == self.pair_feature:
            raise BadInputError(
                "`text_feature` and `pair_feature` must differ. "
                f"Received: text_feature={self.text_feature!r}, pair_feature={self.pair_feature!r}. "
                "Give each text a feature of its own."
            )
        self.labels: list[str] | None = None
        self._mean = Pooling("mean", dtype="float32")

    @abc.abstractmethod
    def task_signatures(self) -> dict[str, Signature]:
        """The signatures of the task, `serving_default` among them."""

    def signatures(self) -> dict[str, Signature]:
        """The functions under their signature names."""
        return {
            **self.task_signatures(),
            "embed": signature(self._embed, text=TEXT_SPEC),
            "tokenize": signature(self.text_inputs.tokenize, text=TEXT_SPEC),
            "attention": signature(self._attention, text=TEXT_SPEC),
        }

    def checked(self, **inputs: tf.Tensor) -> Inputs:
        """The client's own ids, checked."""
        config = self.backbone.bert_config
        return checked_inputs(inputs, config.vocab_size, config.type_vocab_size, self.text_inputs.vocabulary.cls_id)

    def _embed(self, text: tf.Tensor) -> Outputs:
        """`embedding`: the mean hidden state of the text's tokens. `pooled_output`: BERT's own, of [CLS].

        A model that was trained without BERT's pooler has none to give.
        """
        inputs = self.text_inputs.of_texts(text)
        hidden, _ = self._encoded(inputs)
        embedding = self._mean(tf.cast(hidden, tf.float32), inputs["padding_mask"])
        if not any(weight is self.backbone.pooler.kernel for weight in self.model.weights):
            return {"embedding": embedding}
        return {"embedding": embedding, "pooled_output": tf.cast(self.backbone.pooler(hidden[:, 0]), tf.float32)}

    def _attention(self, text: tf.Tensor) -> Outputs:
        """`attention` [B, L, N, T, T]: how much each token looks at each, and the `pieces` [B, T] they stand for."""
        inputs = self.text_inputs.of_texts(text)
        _, attention = self._encoded(inputs)
        pieces = self.text_inputs.text_to_inputs.tokenizer.pieces(inputs["token_ids"])
        return {"attention": tf.stack(attention, axis=1), "pieces": pieces, "padding_mask": inputs["padding_mask"]}

    def _encoded(self, inputs: Inputs) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The hidden states [B, T, H] behind the last block, and the attention [B, N, T, T] of each."""
        hidden = self.backbone.embeddings(inputs["token_ids"], inputs["segment_ids"], training=False)
        attention = []
        for block in self.backbone.encoder_blocks:
            hidden, scores = block(hidden, inputs["padding_mask"], return_attention_scores=True, training=False)
            attention.append(tf.cast(scores, tf.float32))
        return hidden, attention


def signature(function: Callable[..., Outputs], **specs: tf.TensorSpec) -> Signature:
    """A function of exactly these inputs, for which `function` has arguments of the same names in the same order."""
    named = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()]
    return tf.function(function, input_signature=named, autograph=False)
