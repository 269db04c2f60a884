"""The table of signatures is what is exported, and what the documentation shows."""

import pytest
import tensorflow as tf

from kerasbert.export.served.task import served_model
from kerasbert.export.signature_tensors import SIZES
from kerasbert.export.signatures import SIGNATURES, TITLES
from kerasbert.models import (
    BertMultipleChoice,
    BertPretrainer,
    BertSentenceEncoder,
    BertSequenceClassifier,
    BertSpanPredictor,
    BertTokenClassifier,
)

from . import signature_tables

MODELS = {
    "backbone": lambda backbone: backbone,
    "classifier": lambda backbone: BertSequenceClassifier(backbone, num_labels=3),
    "regressor": lambda backbone: BertSequenceClassifier(backbone, num_labels=1, problem_type="regression"),
    "token_classifier": lambda backbone: BertTokenClassifier(backbone, num_labels=3),
    "span_predictor": BertSpanPredictor,
    "multiple_choice": BertMultipleChoice,
    "sentence_encoder": BertSentenceEncoder,
    "pretrainer": BertPretrainer,
}


@pytest.mark.parametrize("form", SIGNATURES)
def test_each_model_has_the_signatures_of_the_table(make_backbone, text_to_inputs, form):
    labels = ["O", "B-x", "I-x"] if form == "token_classifier" else None
    signatures = served_model(MODELS[form](make_backbone(num_hidden_layers=1)), text_to_inputs, labels).signatures()
    assert set(signatures) == set(SIGNATURES[form])
    for name, function in signatures.items():
        info = SIGNATURES[form][name]
        assert [spec.name for spec in function.input_signature] == list(info.inputs)
        for spec, tensor in zip(function.input_signature, info.inputs.values(), strict=True):
            assert (spec.dtype.name, spec.shape.rank) == (tensor.type.split(" ")[0], len(tensor.sizes)), name
        outputs = function.get_concrete_function().structured_outputs
        # The pooler is not part of every model.
        assert set(info.outputs) - {"pooled_output"} <= set(outputs) <= set(info.outputs), name
        for key, spec in outputs.items():
            tensor = info.outputs[key]
            assert (spec.dtype.name, spec.shape.rank) == (tensor.type.split(" ")[0], tensor.type.count(",") + 1), key


def test_a_pooler_of_zeros_is_left_out(make_backbone, text_to_inputs):
    backbone = make_backbone(num_hidden_layers=1)
    backbone.pooler.kernel.assign(0 * backbone.pooler.kernel)
    signatures = served_model(backbone, text_to_inputs).signatures()
    assert set(signatures["embed"].get_concrete_function().structured_outputs) == {
        "embedding",
        "token_count",
        "truncated",
    }
    outputs = set(signatures["text"].get_concrete_function().structured_outputs)
    assert outputs == {"sequence_output", "padding_mask", "token_count", "truncated"}


def test_every_size_is_explained_and_every_form_has_a_title():
    sizes = {
        size
        for signatures in SIGNATURES.values()
        for info in signatures.values()
        for tensor in [*info.inputs.values(), *info.outputs.values()]
        for size in tensor.sizes
    }
    assert sizes == set(SIZES)
    assert set(TITLES) == set(SIGNATURES) == set(signature_tables.MODELS)


def test_types_are_those_of_tensorflow():
    for signatures in SIGNATURES.values():
        for info in signatures.values():
            for name, tensor in info.inputs.items():
                assert isinstance(tensor.spec(name), tf.TensorSpec)


def test_the_documentation_shows_the_table():
    page = signature_tables.PAGE.read_text(encoding="utf-8")
    assert signature_tables.updated(page) == page, "run python -m tests.export.signature_tables"
