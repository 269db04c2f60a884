"""The metrics that a component stores with its output, for the summary of a run: one JSON file of name -> value."""

import json
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

METRICS_FILE = "metrics.json"


def write_metrics(uri: str, metrics: Mapping[str, Any]) -> None:
    """Writes the metrics into an artifact's folder."""
    tf.io.gfile.makedirs(uri)
    with tf.io.gfile.GFile(os.path.join(uri, METRICS_FILE), "w") as file:
        file.write(json.dumps(dict(metrics), indent=2, ensure_ascii=False) + "\n")


def read_metrics(uri: str) -> dict[str, Any]:
    """Reads the metrics in an artifact's folder. Returns an empty dictionary if the folder has none."""
    path = os.path.join(uri, METRICS_FILE)
    if not tf.io.gfile.exists(path):
        return {}
    with tf.io.gfile.GFile(path) as file:
        metrics: dict[str, Any] = json.loads(file.read())
    return metrics
