"""Small SavedModels made from `tf.Module`s, and servers for them."""

import socket
import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # TensorFlow imports Google's API client, which complains of Python versions near their end.
    warnings.simplefilter("ignore", FutureWarning)
    import tensorflow as tf

from kerasbert_serving.server import LocalServer


def _echo_module():
    """Returns a module whose signatures have many dtypes and ranks. Most return their inputs."""

    class Echo(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def half_plus_two(self, x):
            return {"y": x / 2 + 2}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, "text"),
                tf.TensorSpec([None, None], tf.int64, "ids"),
                tf.TensorSpec([None, 2], tf.float64, "pair"),
                tf.TensorSpec([None], tf.bool, "flag"),
            ]
        )
        def many(self, text, ids, pair, flag):
            return {"text": text, "raw_bytes": text, "ids": ids, "pair": pair, "flag": flag}

        @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
        def any_shape(self, x):
            return {"y": x}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "x")])
        def text(self, x):
            return {"y": x}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "x")])
        def named(self, x):
            return {"y": x, "name": tf.constant("echo \u00e4")}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "x")])
        def binary(self, x):
            return {"y_bytes": x}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def total(self, x):
            return {"total": tf.reduce_sum(x), "rows": x}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def positive(self, x):
            with tf.control_dependencies([tf.debugging.assert_positive(x, message="x must be positive")]):
                return {"y": tf.identity(x)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
        def classify(self, inputs):
            x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
            labels = tf.tile(tf.constant([["low", "high"]]), [tf.size(x), 1])
            return {"classes": labels, "scores": tf.stack([1 - x, x], axis=1)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
        def regress(self, inputs):
            x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
            return {"outputs": x / 2 + 3}

    return Echo()


def _dtype_function(dtype):
    return tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[tf.TensorSpec([None], dtype, "x")])


@pytest.fixture(scope="session")
def echo_version(tmp_path_factory):
    """A version folder of the echo model."""
    module = _echo_module()
    signatures = {
        "serving_default": module.half_plus_two,
        "many": module.many,
        "any_shape": module.any_shape,
        "text": module.text,
        "named": module.named,
        "binary": module.binary,
        "total": module.total,
        "positive": module.positive,
        "classify": module.classify,
        "regress": module.regress,
    }
    for name in ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool", "half"):
        function = _dtype_function(tf.as_dtype(name))
        setattr(module, f"echo_{name}", function)
        signatures[f"echo_{name}"] = function
    path = tmp_path_factory.mktemp("echo") / "1"
    tf.saved_model.save(module, str(path), signatures=signatures)
    return Path(path)


@pytest.fixture(scope="session", params=["c-library", "python"])
def echo_server(echo_version, request):
    """A server with the echo model, named `echo`, for each runtime."""
    with LocalServer(model_dir=echo_version.parent, model_name="echo", tensorflow_runtime=request.param) as server:
        yield server


@pytest.fixture(scope="session")
def rest(echo_server):
    """An HTTP client of the echo server."""
    import httpx

    with httpx.Client(base_url=echo_server.rest_url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def channel(echo_server):
    """A gRPC channel to the echo server."""
    import grpc

    with grpc.insecure_channel(echo_server.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="session")
def make_bert_models(tmp_path_factory):
    """Returns a function from model names to folders with exported models of random weights, by name."""
    import keras
    import numpy as np

    from kerasbert import export, models
    from kerasbert.config import BertConfig
    from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "my", "card", "där", *letters, "ä", "?"]
    vocabulary = Vocabulary([*pieces, *(f"##{letter}" for letter in letters)])
    text_to_inputs = TextToInputs(
        WordPieceTokenizer(vocabulary, strip_accents=False), sequence_length=32, padding="longest"
    )

    def backbone():
        keras.utils.set_random_seed(7)
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
        config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, **sizes)
        built = models.BertBackbone.from_config(config)
        built.set_weights([weight + 0.3 * np.random.randn(*weight.shape) for weight in built.get_weights()])
        return built

    def classifier(problem_type, num_labels):
        return models.BertSequenceClassifier(backbone(), num_labels=num_labels, problem_type=problem_type)

    kinds = {
        "classifier": lambda: classifier("single_label_classification", 3),
        "multilabel": lambda: classifier("multi_label_classification", 3),
        "regressor": lambda: classifier("regression", 1),
        "tagger": lambda: models.BertTokenClassifier(backbone(), num_labels=3),
        "answerer": lambda: models.BertSpanPredictor(backbone()),
        "chooser": lambda: models.BertMultipleChoice(backbone()),
        "sentences": lambda: models.BertSentenceEncoder(backbone()),
        "pretrainer": lambda: models.BertPretrainer(backbone()),
        "backbone": backbone,
    }
    labels = {"classifier": ["lost card", "top up", "ålder"], "tagger": ["O", "B-THING", "I-THING"]}

    def make(*names):
        folder = tmp_path_factory.mktemp("bert")
        for name in names:
            export.save(kinds[name](), folder / name, text_to_inputs, labels=labels.get(name), warm_up=None)
        return {name: folder / name for name in names}

    return make


@pytest.fixture(scope="session")
def bert_models(make_bert_models):
    """The folders of four exported models, by name."""
    return make_bert_models("classifier", "tagger", "answerer", "regressor")


@pytest.fixture(scope="session")
def bert_server(bert_models, tmp_path_factory):
    """A server with these four models. Version 1 of the classifier has the label `stable`."""
    labels = {"classifier": 'version_labels { key: "stable" value: 1 }'}
    config = "".join(
        f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" {labels.get(name, "")} }}\n'
        for name, path in bert_models.items()
    )
    file = tmp_path_factory.mktemp("config") / "models.config"
    file.write_text(f"model_config_list {{ {config} }}")
    with LocalServer(model_config_file=file) as server:
        yield server


@pytest.fixture
def unused_port():
    """A free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
