"""Finds a layer in the graph that made a symbolic tensor.

Why it exists: Keras restores the layers of a functional model one by one. Within a `.keras` file it keeps a layer that
two others hold the same object; `from_config` and `clone_model` make a copy for each, which would untie tied weights.
"""

from typing import Any

import keras


def original_above(tensor: Any, copy: keras.layers.Layer) -> keras.layers.Layer | None:
    """Returns the layer of which `copy` is a copy: same class and name, and among those that computed `tensor`.

    Args:
        tensor: a symbolic tensor. Any other tensor has no history, and nothing is found.
        copy: a layer restored from a config.

    Returns:
        The original; None if there is none, or if `copy` itself is in the graph.
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
            # A model that is called as a layer holds layers of its own.
            for layer in history.operation._flatten_layers():
                if layer is copy:
                    return None
                if type(layer) is type(copy) and layer.name == copy.name:
                    found = layer
        waiting.extend(history.operation._inbound_nodes[history.node_index].input_tensors)
    return found
