"""Figures that a component leaves in its artifact, for the summary of a run: one JSON file, name -> number or text."""

import json
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

FIGURES_FILE = "figures.json"


def write_figures(uri: str, figures: Mapping[str, Any]) -> None:
    """Writes the figures into an artifact's folder."""
    tf.io.gfile.makedirs(uri)
    with tf.io.gfile.GFile(os.path.join(uri, FIGURES_FILE), "w") as file:
        file.write(json.dumps(dict(figures), indent=2, ensure_ascii=False) + "\n")


def read_figures(uri: str) -> dict[str, Any]:
    """The figures in an artifact's folder; none where there are none."""
    path = os.path.join(uri, FIGURES_FILE)
    if not tf.io.gfile.exists(path):
        return {}
    with tf.io.gfile.GFile(path) as file:
        figures: dict[str, Any] = json.loads(file.read())
    return figures
