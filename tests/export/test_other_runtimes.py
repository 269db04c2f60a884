"""Files for other runtimes give the model's answers in their own runtime, and a failure leaves nothing behind."""

import builtins
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasbert import export
from kerasbert.errors import BadInputError
from kerasbert.export.formats import FORMATS, equality, onnx
from kerasbert.export.formats.named_graph import named_graph, task_graph
from kerasbert.models import (
    BertBackbone,
    BertMultipleChoice,
    BertPretrainer,
    BertSentenceEncoder,
    BertSequenceClassifier,
    BertSpanPredictor,
    BertTokenClassifier,
)

PACKAGES = {
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "openvino": ("openvino", "scipy"),
    "litert": ("ai_edge_litert",),
}
FILES = {
    "onnx": {"model.onnx"},
    "openvino": {"openvino_model.xml", "openvino_model.bin"},
    "litert": {"model.tflite"},
}
MODELS: dict[str, tuple[Callable[[BertBackbone], keras.Model], set[str]]] = {
    "encoder": (lambda backbone: backbone, {"last_hidden_state", "pooler_output"}),
    "sentences": (BertSentenceEncoder, {"last_hidden_state", "sentence_embedding"}),
    "classifier": (lambda backbone: BertSequenceClassifier(backbone, 5), {"logits"}),
    "cross-encoder": (
        lambda backbone: BertSequenceClassifier(backbone, 1, "regression", activation="sigmoid"),
        {"logits"},
    ),
    "tokens": (lambda backbone: BertTokenClassifier(backbone, 5), {"logits"}),
    "spans": (BertSpanPredictor, {"start_logits", "end_logits"}),
    "choices": (BertMultipleChoice, {"logits"}),
    "pretrainer": (BertPretrainer, {"logits", "seq_relationship_logits"}),
}
POOLINGS = ["cls", "max", "mean", "mean_sqrt_len", "weighted_mean", "last"]


def need(format: str) -> None:
    """Skip where the format's packages are missing."""
    missing = [name for name in PACKAGES[format] if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs the extra {format}: {', '.join(missing)} is not installed")
    if format == "litert" and tuple(map(int, keras.__version__.split(".")[:2])) < (3, 13):
        pytest.skip(f"Keras {keras.__version__} does not export to LiteRT")


@pytest.fixture
def small(make_backbone) -> BertBackbone:
    """Exact GELU, which TensorFlow and the converters represent in different ways."""
    return make_backbone(num_hidden_layers=1, max_position_embeddings=20, hidden_act="gelu_erf")


def named_inputs(lengths: list[int], dtype: str) -> dict[str, np.ndarray]:
    tokens = max(lengths)
    mask = (np.arange(tokens) < np.array(lengths)[:, None]).astype(dtype)
    ids = np.random.default_rng(1).integers(1, 30, mask.shape).astype(dtype) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": mask * (ids > 15)}


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_of_model_in_every_format(format, kind, small, tmp_path):
    need(format)
    make, outputs = MODELS[kind]
    model = make(small)
    assert set(task_graph(model).output) == outputs
    path = export.write_graph(model, tmp_path, format)  # which compares the answers
    assert {file.name for file in path.parent.iterdir()} == FILES[format]
    assert [folder.name for folder in tmp_path.iterdir()] == [format]


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_every_pooling_and_projections(format, small, tmp_path):
    need(format)
    projections = [{"units": 6, "activation": "tanh"}, {"units": 5, "activation": "gelu_erf", "use_bias": False}]
    export.write_graph(BertSentenceEncoder(small, POOLINGS, False, projections), tmp_path, format)


def test_onnx_runtime_answers_as_the_model_without_us(small, tmp_path):
    need("onnx")
    import onnxruntime

    model = BertSentenceEncoder(small)
    path = export.write_graph(model, tmp_path, "onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert {(node.name, node.type, tuple(node.shape)) for node in session.get_inputs()} == {
        (name, "tensor(int64)", ("batch_size", "sequence_length"))
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    assert [(node.name, node.shape) for node in session.get_outputs()] == [
        ("last_hidden_state", ["batch_size", "sequence_length", 16]),
        ("sentence_embedding", ["batch_size", 16]),
    ]
    for lengths in ([3], [2, 20, 1], [5, 5]):
        inputs = named_inputs(lengths, "int64")
        ours = {
            "token_ids": inputs["input_ids"],
            "segment_ids": inputs["token_type_ids"],
            "padding_mask": inputs["attention_mask"],
        }
        np.testing.assert_allclose(session.run(["sentence_embedding"], inputs)[0], np.asarray(model(ours)), atol=1e-5)


def test_a_model_without_a_pooler_has_no_pooled_output(small):
    small.pooler.set_weights([np.zeros_like(weight) for weight in small.pooler.get_weights()])
    assert set(task_graph(small).output) == {"last_hidden_state"}


def test_masked_words_are_predicted_for_every_token(small):
    graph = task_graph(BertPretrainer(small))
    logits = named_graph(graph, "int64")(named_inputs([4, 7], "int64"))["logits"]
    assert tuple(logits.shape) == (2, 7, small.vocab_size)


@pytest.mark.parametrize("format", FORMATS)
def test_a_missing_package_is_named_with_the_command_that_installs_it(format, small, tmp_path, monkeypatch):
    actual = builtins.__import__

    def without_packages(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] in PACKAGES[format]:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return actual(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_packages)
    monkeypatch.setattr(keras, "__version__", "3.15.1")
    with pytest.raises(BadInputError, match=rf'No module named .*pip install "kerasbert\[{format}\]"'):
        export.write_graph(small, tmp_path / "exported", format)
    assert not (tmp_path / "exported").exists()


def test_an_old_keras_is_named_with_the_version_that_is_needed(small, tmp_path, monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.12.4")
    with pytest.raises(BadInputError, match=r"requires Keras 3\.13 or newer\. Received: Keras 3\.12\.4"):
        export.write_graph(small, tmp_path / "exported", "litert")


def test_another_format_or_object_is_refused(small, tmp_path):
    with pytest.raises(BadInputError, match=r"must be one of onnx, openvino, litert\. Received: format='pb'"):
        export.write_graph(small, tmp_path, "pb")
    with pytest.raises(BadInputError, match="`model` must be one of BertBackbone"):
        task_graph(keras.Sequential([keras.layers.Dense(1)]))


def test_half_precision_is_refused():
    model = BertBackbone(10, 4, 1, 2, 8, dtype="mixed_bfloat16")
    with pytest.raises(BadInputError, match=r"must compute in float32 .* dtype='mixed_bfloat16'"):
        task_graph(model)


@pytest.mark.parametrize("change", [np.ones_like, lambda array: array + np.nan, lambda array: array[..., :-1]])
def test_a_file_with_other_answers_is_refused(change, small):
    graph = task_graph(small)
    named = named_graph(graph, "int64")

    def runtime(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: change(np.asarray(tensor)) for name, tensor in named(inputs).items()}

    with pytest.raises(BadInputError, match="must give the model's answers"):
        equality.check_same_answers(runtime, graph, small.bert_config, "int64")
    equality.check_same_answers(named, graph, small.bert_config, "int64")


def test_a_failure_leaves_nothing_behind(small, tmp_path, monkeypatch):
    need("onnx")
    # Such an old opset lacks most ops.
    monkeypatch.setattr(onnx, "_OPSET", 1)
    with pytest.raises(BadInputError, match=r"ONNX must be able to represent and run the model\. Received: "):
        export.write_graph(small, tmp_path, "onnx")
    assert list(Path(tmp_path).iterdir()) == []
