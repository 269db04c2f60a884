"""Reads TensorFlow 2 checkpoints of the Model Garden (`official.nlp`), where a weight's name is its path in a graph.

The same encoder has many names, depending on the model that contains it and on which of several paths TensorFlow
followed first. So this module searches the graph for the structure of an encoder and its heads, and gives their weights
the names of the weight table. `tensorflow_checkpoint.py` reads the files.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tensorflow.core.protobuf import trackable_object_graph_pb2

from kerasbert.checkpoints.architectures import architecture_of_parts
from kerasbert.checkpoints.formats.google_checkpoint import read_google_config
from kerasbert.checkpoints.formats.tensorflow_checkpoint import OBJECT_GRAPH
from kerasbert.checkpoints.formats.tokenizer_files import read_text_to_inputs
from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.checkpoints.model_weights import labels_in_weights, parts_present, with_rows_of_weights
from kerasbert.checkpoints.setting_tables import GOOGLE_CONFIG, check_settings
from kerasbert.checkpoints.stored_model import StoredModel
from kerasbert.checkpoints.task_config import read_task
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, HEADS, weight_names
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError

_FORMAT = "model_garden"
# Names of the same object, relative to its parent, in other versions of the Model Garden.
_OLD_NAMES = {
    "_attention_layer/_output_dense": "_attention_output_dense",
    "_position_embedding_layer/embeddings": "_position_embedding_layer/_position_embeddings",
}
# In the first kind of encoder, layers are numbered: these, then the blocks, then the pooler.
_FIRST_LAYERS = ("_embedding_layer", "_position_embedding_layer", "_type_embedding_layer", "_embedding_norm_layer")
_POOLER_OF_PRETRAINING = "next_sentence.pooler_dense"


def read_model_garden(prefix: Path, arrays: Mapping[str, np.ndarray], preprocessing: bool = True) -> StoredModel:
    """Finds encoder and heads in a checkpoint's object graph, and reads the config and the preprocessing.

    Args:
        prefix: The path of the checkpoint without `.index`.
        arrays: Everything in the checkpoint by name, including the object graph.
        preprocessing: Whether to read the vocabulary.

    Raises:
        BadInputError: There is no encoder in the graph, or the config or the vocabulary does not fit.
    """
    path, config = read_google_config(prefix.parent)
    check_settings(JsonSettings(path, read_json_object(path)), GOOGLE_CONFIG)
    graph = _ObjectGraph(arrays[OBJECT_GRAPH])
    encoder = next((node for node in graph.nodes if _is_encoder(graph, node)), None)
    if encoder is None:
        raise BadInputError(
            f"{prefix}: the checkpoint must contain an encoder of the Model Garden. Received: {sorted(arrays)[:10]}. "
            "Save it with `tf.train.Checkpoint(encoder=...)`."
        )
    layers = _encoder_layers(graph, encoder)
    places = layers | _heads(graph)
    dropped: tuple[str, ...] = ()
    pooler = _pretraining_pooler(graph)
    if pooler is not None:
        # A pretraining model has a second pooler, inside its encoder, which nothing trains.
        dropped = tuple(key for name, key in _keys(graph, layers).items() if name.startswith("_pooler_layer/"))
        places["_pooler_layer"] = pooler
    keys = _keys(graph, places)
    known = {*keys.values(), *dropped, OBJECT_GRAPH}
    named = {name: arrays[key] for name, key in keys.items()}
    named |= {key.split("/.ATTRIBUTES")[0]: array for key, array in arrays.items() if key not in known}
    config, rows_note = with_rows_of_weights(config, named, _FORMAT)
    architecture = architecture_of_parts(parts_present(named, _FORMAT, (*BACKBONE_PARTS, *HEADS)))
    settings = JsonSettings(path, read_json_object(path))
    task, head_problem = read_task(settings, architecture, config, labels_in_weights(named, _FORMAT))
    return StoredModel(
        format=_FORMAT,
        source_format=_FORMAT,
        origin=f"{prefix} with {path.name}",
        config=config,
        architecture=architecture,
        arrays=named,
        task=task,
        text_to_inputs=read_text_to_inputs(path, config) if preprocessing else None,
        dropped=dropped,
        head_problem=head_problem,
        notes=rows_note,
    )


class _ObjectGraph:
    """The tree of Python objects that a checkpoint was saved from: each object's attributes by name."""

    def __init__(self, serialized: np.ndarray) -> None:
        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        graph.ParseFromString(serialized.item() if isinstance(serialized, np.ndarray) else serialized)
        self._children = [{child.local_name: child.node_id for child in node.children} for node in graph.nodes]
        self._keys = [{entry.name: entry.checkpoint_key for entry in node.attributes} for node in graph.nodes]
        self.nodes = range(len(self._children))

    def children(self, node: int) -> dict[str, int]:
        """The attributes of a node by name."""
        return self._children[node]

    def find(self, node: int, path: str) -> int | None:
        """The node at a path of names below a node, or None. A name may contain a slash."""
        found: int | None = node
        names = [path] if path in self._children[node] else path.split("/")
        for name in names:
            found = None if found is None else self._children[found].get(name)
        return found

    def key(self, node: int, path: str) -> str | None:
        """The name in the checkpoint of the variable at a path below a node, or None if there is no variable."""
        found = self.find(node, path)
        return None if found is None else self._keys[found].get("VARIABLE_VALUE")


def _is_encoder(graph: _ObjectGraph, node: int) -> bool:
    """Whether a node has an embedding and blocks with attention as its own layers."""
    if "_transformer_layers" in graph.children(node):
        return "_embedding_layer" in graph.children(node)
    return any("_attention_layer" in graph.children(layer) for _, layer in _numbered_layers(graph, node))


def _numbered_layers(graph: _ObjectGraph, node: int) -> list[tuple[int, int]]:
    """The layers with weights of a functional model: their numbers and nodes, in order."""
    prefix = "layer_with_weights-"
    children = graph.children(node).items()
    return sorted((int(name.removeprefix(prefix)), child) for name, child in children if name.startswith(prefix))


def _encoder_layers(graph: _ObjectGraph, encoder: int) -> dict[str, int]:
    """The encoder's layers by the names that the weight table uses."""
    children = graph.children(encoder)
    if "_transformer_layers" in children:
        blocks = graph.children(children["_transformer_layers"])
        return children | {f"_transformer_layers/{name}": node for name, node in blocks.items()}
    layers = [layer for _, layer in _numbered_layers(graph, encoder)]
    named = dict(zip(_FIRST_LAYERS, layers, strict=False))
    for index, layer in enumerate(layers[len(_FIRST_LAYERS) :]):
        is_block = "_attention_layer" in graph.children(layer)
        named[f"_transformer_layers/{index}" if is_block else "_pooler_layer"] = layer
    return named


def _heads(graph: _ObjectGraph) -> dict[str, int]:
    """The heads by the names of the weight table. Together with a masked LM, a classifier is the next-sentence head."""
    by_name = {}
    for node in graph.nodes:
        names = graph.children(node).keys()
        if {"layer_norm", "embedding_table"} <= names:
            by_name["masked_lm"] = node
        if "out_proj" in names:
            by_name["classifier"] = node
    if "masked_lm" in by_name and "classifier" in by_name:
        by_name["next_sentence"] = by_name.pop("classifier")
    return by_name


def _pretraining_pooler(graph: _ObjectGraph) -> int | None:
    """The dense layer before a head of the whole text, if that head has one: the pooler that pretraining trains."""
    for node in graph.nodes:
        children = graph.children(node)
        if _POOLER_OF_PRETRAINING in children:
            return children[_POOLER_OF_PRETRAINING]
        if {"out_proj", "dense"} <= children.keys():
            return children["dense"]
    return None


def _keys(graph: _ObjectGraph, places: Mapping[str, int]) -> dict[str, str]:
    """The name in the checkpoint of each weight that it has, by the names of the weight table."""
    blocks = sum(name.startswith("_transformer_layers/") for name in places)
    keys = {}
    for row in weight_names((*BACKBONE_PARTS, *HEADS), BertConfig(num_hidden_layers=max(blocks, 1))):
        name = str(row.model_garden)
        for new, old in (("", ""), *_OLD_NAMES.items()):
            steps = name.replace(new, old).split("/")
            depth = 2 if steps[0] == "_transformer_layers" else 1
            place = places.get("/".join(steps[:depth]))
            key = None if place is None else graph.key(place, "/".join(steps[depth:]))
            if key is not None:
                keys[name] = key
    return keys
