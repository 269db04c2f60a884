"""Small SavedModels made with plain `tf.Module`s, and a server on them."""

import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # TensorFlow imports Google's API client, which complains of Python versions near their end.
    warnings.simplefilter("ignore", FutureWarning)
    import tensorflow as tf

from kerasbert_serving.server import LocalServer


def _echo_module():
    """Signatures over many dtypes and ranks; each gives back what it got."""

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


@pytest.fixture(scope="session")
def echo_server(echo_version):
    """A server on the echo model, under the name `echo`."""
    with LocalServer(model_dir=echo_version.parent, model_name="echo") as server:
        yield server


@pytest.fixture(scope="session")
def rest(echo_server):
    """An HTTP client whose paths begin at the echo server."""
    import httpx

    with httpx.Client(base_url=echo_server.rest_url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def channel(echo_server):
    """A gRPC channel to the echo server."""
    import grpc

    with grpc.insecure_channel(echo_server.grpc_address) as channel:
        yield channel
