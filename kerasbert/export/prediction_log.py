"""Encodes requests as TF Serving's PredictionLog messages, for the file of warm-up requests.

Written by hand, because their generated classes come with `tensorflow-serving-api`, which this package does not need
for anything else: all fields that a request has are strings or messages, which protocol buffers encode in one way,
and their numbers never change. Source: `tensorflow_serving/apis/*.proto`. Replies are left out; a warm-up needs none.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

# PredictionLog: the request of each kind, as field 1 of ClassifyLog, RegressLog and PredictLog.
_CLASSIFY_LOG, _REGRESS_LOG, _PREDICT_LOG = 2, 3, 6
_METHOD_LOGS = {"tensorflow/serving/classify": _CLASSIFY_LOG, "tensorflow/serving/regress": _REGRESS_LOG}


def predict_log(signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """A PredictionLog of a Predict request.

    Args:
        signature: name of the signature.
        inputs: the tensors by the signature's input names.
    """
    # PredictRequest: model_spec = 1, inputs = 2, a map whose entries are messages of key = 1 and value = 2.
    entries = [
        _field(2, _field(1, name.encode()) + _field(2, tf.make_tensor_proto(values).SerializeToString()))
        for name, values in sorted(inputs.items())
    ]
    return _log(_PREDICT_LOG, _model_spec(signature) + b"".join(entries))


def example_log(signature: str, method: str, examples: Sequence[bytes]) -> bytes:
    """A PredictionLog of a Classify or Regress request.

    Args:
        signature: name of the signature.
        method: the signature's method name.
        examples: serialized tf.Examples.
    """
    # ClassificationRequest and RegressionRequest: model_spec = 1, input = 2; Input: example_list = 1; ExampleList:
    # examples = 1.
    example_list = b"".join(_field(1, example) for example in examples)
    return _log(_METHOD_LOGS[method], _model_spec(signature) + _field(2, _field(1, example_list)))


def _log(kind: int, request: bytes) -> bytes:
    """PredictionLog: the log of this kind, which holds the request as field 1."""
    return _field(kind, _field(1, request))


def _model_spec(signature: str) -> bytes:
    """ModelSpec as field 1 of a request: signature_name = 3. The server knows which model it is warming up."""
    return _field(1, _field(3, signature.encode()))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field: its number and wire type 2, its length, its content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])
