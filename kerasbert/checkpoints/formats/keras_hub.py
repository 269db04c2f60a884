"""Moves weights between our backbone and the `BertBackbone` of keras-hub (keras-nlp), in memory or in a preset folder.

keras-hub's backbone has the tanh form of GELU, the norm epsilon 1e-12 and one dropout rate for everything. keras-hub is
imported only when it is needed. It is installed with the extra `keras-nlp`.
"""

import dataclasses
import importlib
import json
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from kerasbert.argument_checks import GELU_ERF, GELU_TANH
from kerasbert.checkpoints.architectures import BACKBONE
from kerasbert.checkpoints.building import build_model
from kerasbert.checkpoints.formats.tokenizer_files import (
    SETTINGS_FILE,
    SHORTEST_LIMIT,
    check_fits,
    check_room,
    read_text_to_inputs,
)
from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.checkpoints.model_weights import as_array, extract, resolve
from kerasbert.checkpoints.setting_tables import (
    KERAS_HUB_CONFIG,
    KERAS_HUB_PREPROCESSOR,
    KERAS_HUB_TOKENIZER,
    check_settings,
)
from kerasbert.checkpoints.stored_model import OutgoingModel, StoredModel
from kerasbert.checkpoints.weight_names import BACKBONE_PARTS, weight_names
from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError
from kerasbert.layers.activations import activation_function
from kerasbert.models import BertBackbone
from kerasbert.preprocessing import TextToInputs, Vocabulary, WordPieceTokenizer

PRESET_WEIGHTS_FILE = "model.weights.h5"
_FORMAT = "keras_hub"
_CONFIG_FILE = "config.json"
_VOCABULARY_FILE = "assets/tokenizer/vocabulary.txt"
_TASK_WEIGHTS_FILE = "task.weights.h5"
PRESET_FILES = (
    *(_CONFIG_FILE, PRESET_WEIGHTS_FILE, "metadata.json", _VOCABULARY_FILE, "tokenizer.json"),
    *("preprocessor.json", "task.json", _TASK_WEIGHTS_FILE),
)
# keras-hub has no such setting. In its config.json, the key is outside of what keras-hub reads.
_INITIALIZER_RANGE = "initializer_range"
# Our names of the config -> theirs.
_CONFIG_KEYS = {
    "vocab_size": "vocabulary_size",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "hidden_size": "hidden_dim",
    "intermediate_size": "intermediate_dim",
    "hidden_dropout_prob": "dropout",
    "max_position_embeddings": "max_sequence_length",
    "type_vocab_size": "num_segments",
}


def from_keras_hub(backbone: Any) -> BertBackbone:
    """Returns a backbone of ours with the weights and settings of one of keras-hub's.

    Args:
        backbone: A `keras_hub.models.BertBackbone`.

    Returns:
        A `kerasbert.models.BertBackbone` that computes the same.

    Raises:
        BadInputError: `backbone` is another model.

    Example:
        >>> ours = BertBackbone(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2)
        >>> theirs = to_keras_hub(ours)
        >>> from_keras_hub(theirs).bert_config == ours.bert_config
        True
    """
    if type(backbone).__name__ != "BertBackbone" or not hasattr(backbone, "transformer_layers"):
        raise BadInputError(
            f"`backbone` must be a `keras_hub.models.BertBackbone`. Received: backbone={backbone!r}. "
            "Pass the `backbone` of a keras-hub task."
        )
    return build_model(_stored(backbone, "the given backbone"), None)[0]


def to_keras_hub(backbone: BertBackbone) -> Any:
    """Returns a backbone of keras-hub with the weights and settings of ours.

    Settings that keras-hub's constructor does not have (the erf form of GELU, another norm epsilon, a separate dropout
    rate for attention) are set on its layers. They are lost when keras-hub saves that backbone; our `save` refuses such
    a model instead.

    Args:
        backbone: A `kerasbert.models.BertBackbone`.

    Returns:
        A `keras_hub.models.BertBackbone` that computes the same.

    Raises:
        BadInputError: keras-hub is not installed, the encoder is not a plain BERT, or the activation is not a GELU.

    Example:
        >>> ours = BertBackbone(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2)
        >>> theirs = to_keras_hub(ours)
        >>> theirs.hidden_dim, theirs.num_layers
        (4, 1)
    """
    config = backbone.bert_config
    config.check_plain(_FORMAT)
    theirs = _library().models.BertBackbone(
        **{name: getattr(config, ours) for ours, name in _CONFIG_KEYS.items()}, dtype=backbone.dtype_policy
    )
    for layer in theirs.transformer_layers:
        if config.hidden_act != GELU_TANH:
            layer._feedforward_intermediate_dense.activation = activation_function(config.hidden_act)
        layer._self_attention_layer._dropout = config.attention_probs_dropout_prob
        layer._self_attention_layer._dropout_layer.rate = config.attention_probs_dropout_prob
        for norm in (layer._self_attention_layer_norm, layer._feedforward_layer_norm):
            norm.epsilon = config.layer_norm_eps
    theirs.embeddings_layer_norm.epsilon = config.layer_norm_eps
    for name, array in extract(backbone, BACKBONE_PARTS, _FORMAT, config).items():
        resolve(theirs, name).assign(array)
    return theirs


def is_preset(folder: Path) -> bool:
    """Returns whether a folder contains a keras-hub preset."""
    return (folder / PRESET_WEIGHTS_FILE).is_file() and (folder / _CONFIG_FILE).is_file()


def read_preset(folder: Path, preprocessing: bool = True) -> StoredModel:
    """Reads the backbone and the vocabulary of a preset folder.

    Args:
        folder: The folder.
        preprocessing: Whether to read the vocabulary and the tokenizer's settings.

    Raises:
        BadInputError: keras-hub is not installed, or the preset is damaged or of another model.
    """
    values = read_json_object(folder / _CONFIG_FILE)
    check_settings(JsonSettings(folder / _CONFIG_FILE, values), KERAS_HUB_CONFIG)
    settings = values.get("config")
    if values.get("class_name") != "BertBackbone" or not isinstance(settings, dict):
        raise BadInputError(
            f"{folder / _CONFIG_FILE}: the preset must be of a `BertBackbone`. Received: "
            f"class_name={values.get('class_name')!r}. Use a preset of BERT."
        )
    path = folder / PRESET_WEIGHTS_FILE
    arguments = {name: settings[name] for name in _CONFIG_KEYS.values() if name in settings}
    try:
        backbone = _library().models.BertBackbone(**arguments)
        with warnings.catch_warnings():
            # Keras 3.15 only warns about weights that it does not load; here that is an error.
            warnings.filterwarnings("error", message="Skipping nested container", category=UserWarning)
            backbone.load_weights(str(path))
    except (TypeError, ValueError, OSError, KeyError, UserWarning) as error:
        raise BadInputError(
            f"{path} with {_CONFIG_FILE}: the weights must be those that the config describes. Received: "
            f"{' '.join(str(error).split())[:1000]}. Use both files of the same preset."
        ) from error
    stored = _stored(backbone, f"{path} with {_CONFIG_FILE}")
    task_weights = folder / _TASK_WEIGHTS_FILE
    return dataclasses.replace(
        stored,
        config=_with_initializer_range(stored.config, values, folder / _CONFIG_FILE),
        text_to_inputs=_read_tokenizer(folder, stored.config) if preprocessing else None,
        dropped=(f"{_TASK_WEIGHTS_FILE} (the preset's task)",) if task_weights.is_file() else (),
    )


def write_preset(folder: Path, outgoing: OutgoingModel) -> None:
    """Writes a backbone and its vocabulary as a preset into an empty folder.

    Raises:
        BadInputError: keras-hub is not installed, or a preset cannot represent the model.
    """
    config, text_to_inputs = outgoing.config, outgoing.text_to_inputs
    lost = {
        name: value
        for name, value, theirs in (
            ("model", outgoing.architecture.model, "BertBackbone"),
            ("hidden_act", config.hidden_act, GELU_TANH),
            ("layer_norm_eps", config.layer_norm_eps, 1e-12),
            ("initialization", config.initialization, "fixed"),
            ("attention_probs_dropout_prob", config.attention_probs_dropout_prob, config.hidden_dropout_prob),
            ("split_cjk", text_to_inputs is None or text_to_inputs.tokenizer.split_cjk, True),
            ("pair_segments", text_to_inputs is None or text_to_inputs.pair_segments, True),
        )
        if value != theirs
    } | config.variants
    if lost:
        raise BadInputError(
            "A keras-hub preset must be a plain BertBackbone with the tanh form of GELU, layer_norm_eps=1e-12, one "
            f"dropout rate, split CJK characters and segments of pairs. Received: {lost}. "
            f"Use format={config.dialect!r}, or save the `backbone` of a model."
        )
    library = _library()
    to_keras_hub(outgoing.model).save_to_preset(str(folder))
    if config.initializer_range != BertConfig.initializer_range:
        path = folder / _CONFIG_FILE
        values = read_json_object(path) | {_INITIALIZER_RANGE: config.initializer_range}
        path.write_text(json.dumps(values, indent=4), encoding="utf-8")
    if text_to_inputs is not None:
        tokenizer = text_to_inputs.tokenizer
        library.models.BertTokenizer(
            vocabulary=list(tokenizer.vocabulary.pieces),
            lowercase=tokenizer.lower_case,
            strip_accents=tokenizer.strip_accents,
        ).save_to_preset(str(folder))
        text_to_inputs.save(folder)  # keras-hub's rules for characters differ slightly from ours


def _library() -> ModuleType:
    """The module of keras-hub."""
    try:
        return importlib.import_module("keras_hub")
    except ImportError as error:
        raise BadInputError(
            f"keras-hub must be installed to read or write its models. Received: {error}. "
            "Install it with `pip install 'kerasbert[keras-nlp]'`."
        ) from error


def _stored(backbone: Any, origin: str) -> StoredModel:
    """The weights and settings of keras-hub's backbone."""
    config = _config(backbone)
    rows = weight_names(BACKBONE_PARTS, config)
    arrays = {str(row.keras_hub): as_array(resolve(backbone, str(row.keras_hub))) for row in rows}
    return StoredModel(
        format=_FORMAT, source_format=_FORMAT, origin=origin, config=config, architecture=BACKBONE, arrays=arrays
    )


def _config(backbone: Any) -> BertConfig:
    """Our config of a backbone. Only its layers have its activation and norm epsilon."""
    sizes = {ours: getattr(backbone, theirs) for ours, theirs in _CONFIG_KEYS.items()}
    layer = backbone.transformer_layers[0]
    return BertConfig(
        **sizes,
        hidden_act=_activation_name(layer._feedforward_intermediate_dense.activation),
        attention_probs_dropout_prob=layer._self_attention_layer._dropout,
        layer_norm_eps=backbone.embeddings_layer_norm.epsilon,
    )


def _with_initializer_range(config: BertConfig, values: dict[str, Any], path: Path) -> BertConfig:
    """The config with the initializer range that we wrote into a preset's config.json, if we did."""
    if values.get(_INITIALIZER_RANGE) is None:
        return config
    try:
        return config.replace(initializer_range=values[_INITIALIZER_RANGE])
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None


def _activation_name(activation: Any) -> str:
    """The form of GELU that a function computes, recognized by its values."""
    points = np.linspace(-3, 3, 25, dtype="float32")
    values = np.asarray(activation(keras.ops.convert_to_tensor(points)))
    for name in (GELU_TANH, GELU_ERF):
        if np.allclose(values, np.asarray(activation_function(name)(keras.ops.convert_to_tensor(points))), atol=1e-5):
            return name
    raise BadInputError(
        f"A keras-hub BertBackbone must compute a form of GELU. Received: activation={activation!r}. "
        "Pass a backbone that keras-hub created."
    )


def _read_tokenizer(folder: Path, config: BertConfig) -> TextToInputs | None:
    """Our own preprocessing if the folder has it; else the preset's, with tf-text's rules; None without either."""
    if (folder / SETTINGS_FILE).is_file():
        return read_text_to_inputs(folder / _CONFIG_FILE, config)
    path = folder / _VOCABULARY_FILE
    if not path.is_file():
        return None
    check_room(config, folder / _CONFIG_FILE)
    tokenizer_file = folder / "tokenizer.json"
    whole = JsonSettings(tokenizer_file, read_json_object(tokenizer_file))
    check_settings(whole, KERAS_HUB_TOKENIZER)
    settings = whole.section("config")
    preprocessor = JsonSettings.read(folder / "preprocessor.json")
    check_settings(preprocessor, KERAS_HUB_PREPROCESSOR)
    longest = preprocessor.section("config").whole_number("sequence_length", SHORTEST_LIMIT)
    tokenizer = WordPieceTokenizer(
        Vocabulary.from_file(path),
        lower_case=bool(settings.flag("lowercase")),
        strip_accents=bool(settings.flag("strip_accents")),
        split_cjk=settings.flag("split_on_cjk") is not False,
        normalization="tf_text",
    )
    room = config.max_position_embeddings
    text_to_inputs = TextToInputs(tokenizer, sequence_length=min(room, longest or room))
    check_fits(text_to_inputs, config, str(path))
    return text_to_inputs
