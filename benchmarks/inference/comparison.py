"""Whether the answers of two libraries are the same, within the tolerance of their precision."""

import base64
from typing import Any

import numpy as np

# The largest distance of two unit vectors. A distance d is a cosine similarity of 1 - d * d / 2.
VECTOR_TOLERANCES = {"float32": 1e-4, "bfloat16": 0.1, "int8": 0.35}
# The largest share of differing rows: labels, or lists of word pieces. By design, `tokenizers` differs from
# google-research/bert in a few characters.
ROW_TOLERANCES = {"float32": 0.001, "bfloat16": 0.1, "int8": 0.2, "text": 0.02}


def decoded(reply: dict[str, Any]) -> Any:
    """Return the outputs in a worker's reply: an array of vectors, or a list of rows, or metrics."""
    if "float32" not in reply:
        return reply.get("values")
    return np.frombuffer(base64.b64decode(reply["float32"]), np.float32).reshape(reply["shape"])


def difference(outputs: Any, reference: Any) -> float:
    """Return the largest distance of two vectors of the same row, the share of differing rows, or that of metrics."""
    if isinstance(reference, np.ndarray):
        if outputs.shape != reference.shape or not np.isfinite(outputs).all():
            return float("inf")
        return float(np.linalg.norm(outputs.astype(np.float64) - reference, axis=-1).max())
    if isinstance(reference, dict):
        return max(abs(outputs[name] - value) for name, value in reference.items())
    if len(outputs) != len(reference):
        return float("inf")
    return sum(ours != theirs for ours, theirs in zip(outputs, reference, strict=True)) / len(reference)


def tolerance(reference: Any, precision: str) -> float:
    """Return the largest difference that is accepted."""
    return (VECTOR_TOLERANCES if isinstance(reference, np.ndarray) else ROW_TOLERANCES)[precision]
