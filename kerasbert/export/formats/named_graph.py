"""A model as a graph whose inputs and outputs have Hugging Face's names, which the loaders of other formats expect.

Shapes: `B` batch, `T` tokens.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasbert.errors import BadInputError
from kerasbert.models import (
    BertBackbone,
    BertMultipleChoice,
    BertPretrainer,
    BertSentenceEncoder,
    BertSequenceClassifier,
    BertSpanPredictor,
    BertTokenClassifier,
)

# Our names of the inputs, and Hugging Face's.
INPUT_NAMES = {"token_ids": "input_ids", "padding_mask": "attention_mask", "segment_ids": "token_type_ids"}


def task_graph(model: Any) -> keras.Model:
    """Return the model with our inputs and Hugging Face's outputs.

    Args:
        model: a model of `kerasbert.models`.

    Raises:
        BadInputError: it is another object, does not run on TensorFlow or does not compute in float32.
    """
    outputs = next((outputs for kind, outputs in _OUTPUTS.items() if isinstance(model, kind)), None)
    if outputs is None:
        raise BadInputError(
            f"`model` must be one of {', '.join(kind.__name__ for kind in _OUTPUTS)}. "
            f"Received: {type(model).__name__}. Export its `BertBackbone`, or build one of these models on it."
        )
    if keras.backend.backend() != "tensorflow":
        raise BadInputError(
            f"Export requires Keras' TensorFlow backend. Received: the {keras.backend.backend()} backend. Save the "
            "model with `kerasbert.checkpoints.save`, and export it in a process with KERAS_BACKEND=tensorflow."
        )
    if model.dtype_policy.name != "float32":
        raise BadInputError(
            "A model must compute in float32 to be exported for another runtime. Received: "
            f"dtype={model.dtype_policy.name!r}. Save it with `kerasbert.checkpoints.save`, and load it again."
        )
    return keras.Model(model.input, outputs(model))


def named_graph(graph: keras.Model, dtype: str) -> keras.Model:
    """Return a graph of `task_graph` whose inputs have Hugging Face's names, too.

    Args:
        graph: the result of `task_graph`.
        dtype: the dtype of the inputs.
    """
    inputs = {
        theirs: keras.Input(shape=graph.input[ours].shape[1:], dtype=dtype, name=theirs)
        for ours, theirs in INPUT_NAMES.items()
    }
    ids = {ours: ops.cast(inputs[theirs], "int32") for ours, theirs in INPUT_NAMES.items()}
    if "mask_positions" in graph.input:  # Hugging Face's models predict a piece for each token.
        ids["mask_positions"] = ops.cumsum(ops.ones_like(ids["token_ids"]), axis=1) - 1  # [B, T]
    return keras.Model(inputs, graph(ids))


def _backbone_outputs(model: BertBackbone) -> dict[str, Any]:
    outputs = {"last_hidden_state": model.output["sequence_output"]}
    return {**outputs, "pooler_output": model.output["pooled_output"]} if _is_trained(model.pooler) else outputs


def _pretrainer_outputs(model: BertPretrainer) -> dict[str, Any]:
    outputs = {"logits": model.output["masked_lm"]}
    has_next_sentence = _is_trained(model.next_sentence_head)
    return {**outputs, "seq_relationship_logits": model.output["next_sentence"]} if has_next_sentence else outputs


def _is_trained(layer: keras.layers.Dense) -> bool:
    """Whether the model has this part. If its checkpoint did not, the weights are zeros."""
    return bool(np.any(ops.convert_to_numpy(layer.kernel)))


_OUTPUTS: dict[type, Callable[[Any], dict[str, Any]]] = {
    BertBackbone: _backbone_outputs,
    BertMultipleChoice: lambda model: {"logits": model.output},
    BertPretrainer: _pretrainer_outputs,
    BertSentenceEncoder: lambda model: {
        "last_hidden_state": model.backbone.output["sequence_output"],
        "sentence_embedding": model.output,
    },
    # The scores before a cross-encoder's activation. config.json names the activation, and the loaders apply it.
    BertSequenceClassifier: lambda model: {"logits": model.classifier.output},
    BertSpanPredictor: lambda model: dict(model.output),
    BertTokenClassifier: lambda model: {"logits": model.output},
}
