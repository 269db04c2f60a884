"""Predict, classify and regress on a loaded version: from requests to tensors, and from tensors to results.

Each API is a pair of functions. `*_call` converts a request to the tensors of a run, and `*_result` converts the
tensors to a result. In between, REST and gRPC wait for a batch, and the warm-up runs immediately. The error messages
are TensorFlow Serving's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerasbert_serving.protos import DataType
from kerasbert_serving.server.models.servable import Call, Servable
from kerasbert_serving.server.models.signatures import DEFAULT_SIGNATURE, Signature
from kerasbert_serving.server.statuses import Code, ServingError, invalid_argument
from kerasbert_serving.server.tensors import dtypes

CLASSIFY_METHOD = "tensorflow/serving/classify"
PREDICT_METHOD = "tensorflow/serving/predict"
REGRESS_METHOD = "tensorflow/serving/regress"


@dataclass(frozen=True)
class Classes:
    """The labels and scores of each example.

    Attributes:
        labels: The labels as `bytes` objects, shape [examples, classes].
        scores: The scores, float32 [examples, classes].
    """

    labels: np.ndarray
    scores: np.ndarray


# === Predict ===


def predict_call(
    servable: Servable,
    signature_name: str,
    inputs: Mapping[str, np.ndarray],
    output_filter: Sequence[str] = (),
    check_method: bool = False,
) -> tuple[Call, list[str]]:
    """Prepares the run of a predict request.

    Args:
        servable: The loaded version.
        signature_name: The name of the signature, empty for the default signature.
        inputs: The tensors by input name.
        output_filter: The names of the outputs to compute, or empty for all.
        check_method: Whether the signature's method name is checked.

    Returns:
        The run, and the names of the outputs in the order of its fetches.

    Raises:
        ServingError: If the signature does not exist or the inputs do not fit.
    """
    signature = servable.signature(signature_name)
    if signature is None:
        raise ServingError(
            Code.FAILED_PRECONDITION, f'Serving signature key "{signature_name or DEFAULT_SIGNATURE}" not found.'
        )
    method = signature.definition.method_name
    if check_method and method not in (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD):
        raise ServingError(
            Code.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{PREDICT_METHOD}, {CLASSIFY_METHOD}, "
            f"{REGRESS_METHOD}}}. Was: {method}",
        )
    feeds, arrays = signature.feeds(inputs)
    wanted = signature.fetches(output_filter)
    return Call(feeds, arrays, tuple(wanted.values()), signature.rows_are_independent), list(wanted)


# === Classify and regress ===


def classify_call(signature: Signature, examples: np.ndarray, check_method: bool = False) -> Call:
    """Prepares the run of a classify request.

    Raises:
        ServingError: INVALID_ARGUMENT if the signature cannot classify.
    """
    definition = signature.definition
    if check_method:
        _check_method(signature, "classification", CLASSIFY_METHOD)
    if len(definition.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(definition.outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(definition.outputs)}")
    if "inputs" not in definition.inputs:
        raise invalid_argument(f"No classification inputs found in SignatureDef: {definition}")
    fetches = [definition.outputs[name].name for name in ("classes", "scores") if name in definition.outputs]
    if not fetches:
        raise invalid_argument(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {definition}"
        )
    return _examples_call(signature, examples, fetches)


def classify_result(signature: Signature, count: int, tensors: Mapping[str, np.ndarray]) -> Classes:
    """Returns the labels and scores of each example. `tensors` are the fetched tensors by name in the graph."""
    outputs = signature.definition.outputs
    classes = tensors[outputs["classes"].name] if "classes" in outputs else None
    scores = tensors[outputs["scores"].name] if "scores" in outputs else None
    if classes is not None:
        _check_classes(classes, "classes", DataType.DT_STRING, count)
    if scores is not None:
        _check_classes(scores, "scores", DataType.DT_FLOAT, count)
    if scores is None:
        assert classes is not None  # `classify_call` requires one of the two
        scores = np.zeros(classes.shape, np.float32)
    elif classes is None:
        classes = np.full(scores.shape, b"", np.object_)
    if classes.shape[1] != scores.shape[1]:
        raise invalid_argument(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    return Classes(classes, scores)


def regress_call(signature: Signature, examples: np.ndarray, check_method: bool = False) -> Call:
    """Prepares the run of a regress request.

    Raises:
        ServingError: INVALID_ARGUMENT if the signature cannot regress.
    """
    definition = signature.definition
    if check_method:
        _check_method(signature, "regression", REGRESS_METHOD)
    if len(definition.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(definition.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if "inputs" not in definition.inputs:
        raise invalid_argument(f"No regression inputs found in SignatureDef: {definition}")
    if "outputs" not in definition.outputs:
        raise invalid_argument(f"No regression outputs found in SignatureDef: {definition}")
    return _examples_call(signature, examples, [definition.outputs["outputs"].name])


def regress_result(signature: Signature, count: int, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the value of each example, float32 [examples]. `tensors` are the fetched tensors by name in the graph."""
    output = tensors[signature.definition.outputs["outputs"].name]
    if not (output.ndim == 1 or (output.ndim == 2 and output.shape[1] == 1)):
        raise invalid_argument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape_text(output)}"
        )
    if len(output) != count:
        raise invalid_argument(f"Input batch size did not match output batch size: {count} vs. {len(output)}")
    if dtypes.of_array(output).number != DataType.DT_FLOAT:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {_dtype_text(output)}")
    return output.reshape(-1)


def examples_signature(servable: Servable, signature_name: str) -> Signature:
    """Returns the signature of a classify or regress request."""
    signature = servable.signature(signature_name)
    if signature is None:
        raise invalid_argument(f"No signature was found with the name: {signature_name or DEFAULT_SIGNATURE}")
    return signature


def _check_method(signature: Signature, kind: str, method: str) -> None:
    if signature.definition.method_name != method:
        raise invalid_argument(
            f"Expected {kind} signature method_name to be {method}. Was: {signature.definition.method_name}"
        )


def _examples_call(signature: Signature, examples: np.ndarray, fetches: list[str]) -> Call:
    feeds, arrays = signature.feeds({"inputs": examples})
    return Call(feeds, arrays, tuple(dict.fromkeys(fetches)), signature.rows_are_independent)


def _check_classes(tensor: np.ndarray, name: str, number: int, count: int) -> None:
    if tensor.ndim != 2:
        raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {_shape_text(tensor)}")
    if dtypes.of_array(tensor).number != number:
        raise invalid_argument(f"Expected {name} Tensor of {DataType(number).name}. Got: {_dtype_text(tensor)}")
    if len(tensor) != count:
        raise invalid_argument(f"Expected {name} output batch size of {count}. Got: {len(tensor)}")


def _shape_text(tensor: np.ndarray) -> str:
    return f"[{','.join(map(str, tensor.shape))}]"


def _dtype_text(tensor: np.ndarray) -> str:
    return DataType(dtypes.of_array(tensor).number).name
