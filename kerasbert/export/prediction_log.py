"""Encodes requests as TF Serving's PredictionLog messages, for the file of warm-up requests.

The encoding is written by hand, because the generated classes come with `tensorflow-serving-api`, which this package
does not need for anything else. All fields of a request are strings or messages, for which protocol buffers have a
single encoding, and field numbers never change. Source: `tensorflow_serving/apis/*.proto`. A warm-up needs no replies,
so they are left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

# Fields of PredictionLog. The request is field 1 of ClassifyLog, RegressLog and PredictLog alike.
_CLASSIFY_LOG, _REGRESS_LOG, _PREDICT_LOG = 2, 3, 6
_METHOD_LOGS = {"tensorflow/serving/classify": _CLASSIFY_LOG, "tensorflow/serving/regress": _REGRESS_LOG}


def predict_log(signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """Encode a PredictionLog of a Predict request.

    Args:
        signature: the name of the signature.
        inputs: the tensors by the signature's input names.
    """
    # PredictRequest: model_spec = 1, inputs = 2, a map whose entries are messages of key = 1 and value = 2.
    entries = [
        _field(2, _field(1, name.encode()) + _field(2, tf.make_tensor_proto(values).SerializeToString()))
        for name, values in sorted(inputs.items())
    ]
    return _log(_PREDICT_LOG, _model_spec(signature) + b"".join(entries))


def example_log(signature: str, method: str, examples: Sequence[bytes]) -> bytes:
    """Encode a PredictionLog of a Classify or Regress request.

    Args:
        signature: the name of the signature.
        method: the name of the signature's method.
        examples: serialized tf.Examples.
    """
    # ClassificationRequest and RegressionRequest: model_spec = 1, input = 2; Input: example_list = 1; ExampleList:
    # examples = 1.
    example_list = b"".join(_field(1, example) for example in examples)
    return _log(_METHOD_LOGS[method], _model_spec(signature) + _field(2, _field(1, example_list)))


def _log(kind: int, request: bytes) -> bytes:
    """A PredictionLog whose field `kind` contains the request as field 1."""
    return _field(kind, _field(1, request))


def _model_spec(signature: str) -> bytes:
    """ModelSpec, field 1 of a request: signature_name = 3. The model's name is left out: the server knows it."""
    return _field(1, _field(3, signature.encode()))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field: number and wire type 2, length, content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits per byte, the lowest first. The high bit says that more bytes follow."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])
