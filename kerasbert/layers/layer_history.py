"""Finds a layer in the graph that computed a symbolic tensor.

Keras restores the layers of a functional model one by one. In a `.keras` file, a layer that two others share stays one
object. But `from_config` and `clone_model` create a copy for each of them, so tied weights would no longer be tied.
"""

from typing import Any

import keras


def original_above(tensor: Any, copy: keras.layers.Layer) -> keras.layers.Layer | None:
    """Return the layer of which `copy` is a copy: a layer of the same class and name that took part in `tensor`.

    Args:
        tensor: a symbolic tensor. Other tensors have no history, so None is returned.
        copy: a layer restored from a config.

    Returns:
        The original, or None if there is none or `copy` itself is part of the graph.
    """
    seen: set[int] = set()
    found: keras.layers.Layer | None = None
    waiting = [tensor]
    while waiting:
        history = getattr(waiting.pop(), "_keras_history", None)
        if history is None or id(history.operation) in seen:
            continue
        seen.add(id(history.operation))
        if isinstance(history.operation, keras.layers.Layer):
            # A model that is called as a layer contains layers.
            for layer in history.operation._flatten_layers():
                if layer is copy:
                    return None
                if type(layer) is type(copy) and layer.name == copy.name:
                    found = layer
        waiting.extend(history.operation._inbound_nodes[history.node_index].input_tensors)
    return found
