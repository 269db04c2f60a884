"""Reads and writes the config of each step that follows the encoder in a sentence-transformers folder.

`sentence_transformers_folder.py` decides which steps there are, and reads and writes their weights.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.checkpoints.setting_tables import (
    SENTENCE_DENSE,
    SENTENCE_NORMALIZE,
    SENTENCE_POOLING,
    check_settings,
)
from kerasbert.checkpoints.torch_activations import activation_setting, torch_name
from kerasbert.errors import BadInputError

# Our name, sentence-transformers' `pooling_mode`, and the flag with the same meaning in older versions. The vectors of
# several flags are concatenated in this order; a list of names has its own order.
_POOLINGS = (
    ("cls", "cls", "pooling_mode_cls_token"),
    ("max", "max", "pooling_mode_max_tokens"),
    ("mean", "mean", "pooling_mode_mean_tokens"),
    ("mean_sqrt_len", "mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"),
    ("weighted_mean", "weightedmean", "pooling_mode_weightedmean_tokens"),
    ("last", "lasttoken", "pooling_mode_lasttoken"),
)
# The flags of the first versions, which do not know the other ones.
_FIRST_FLAGS = ("pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens")
_POOLING_REMEDY = "Load the encoder with `load_backbone` and pool its `sequence_output`."

_DENSE_SETTINGS = ("in_features", "out_features", "bias", "activation_function")
_STEP_REMEDY = "Load the encoder alone with `load_backbone`."


def read_pooling(path: Path) -> list[str]:
    """Returns our names of the poolings that a step's config describes, whose vectors are concatenated in this order.

    Args:
        path: The config.

    Raises:
        BadInputError: The file is missing or broken, or describes another pooling.
    """
    settings = JsonSettings(path, read_json_object(path), _POOLING_REMEDY)
    check_settings(settings, SENTENCE_POOLING)
    named = settings.values.get("pooling_mode")
    named = _flagged(settings) if named is None else named
    names = [named] if isinstance(named, str) else named
    known = {theirs: ours for ours, theirs, _ in _POOLINGS}
    if not isinstance(names, list) or not names or any(str(name) not in known for name in names):
        raise BadInputError(
            f"{path}: the pooling must be one of {', '.join(known)}, or a list of them. "
            f"Received: pooling_mode={named!r}. {_POOLING_REMEDY}"
        )
    return [known[name] for name in names]


def pooling_settings(pooling: str | Sequence[str], hidden_size: int) -> dict[str, Any]:
    """Returns the config of a pooling step. It uses flags, which every version reads, if they suffice."""
    modes = [pooling] if isinstance(pooling, str) else list(pooling)
    chosen = [row for row in _POOLINGS if row[0] in modes]
    width = {"word_embedding_dimension": hidden_size}
    if [ours for ours, _, _ in chosen] != modes:  # another order, or one pooling twice
        theirs = {ours: theirs for ours, theirs, _ in _POOLINGS}
        return {**width, "pooling_mode": [theirs[mode] for mode in modes]}
    return {**width, **dict.fromkeys(_FIRST_FLAGS, False), **dict.fromkeys([flag for _, _, flag in chosen], True)}


def read_dense(path: Path, inputs: int) -> dict[str, Any]:
    """Returns the projection that a dense step's config describes, as an argument of `BertSentenceEncoder`.

    Args:
        path: The config.
        inputs: The size of the vectors before the step.

    Raises:
        BadInputError: The file is missing or broken, or the step computes something else.
    """
    settings = JsonSettings(path, read_json_object(path), _STEP_REMEDY)
    unknown = settings.values.keys() - {setting.key for setting in SENTENCE_DENSE}
    if unknown:
        raise settings.refusal(min(unknown), "must be left out, because its effect is unknown")
    check_settings(settings, SENTENCE_DENSE)
    if settings.whole_number("in_features", 1) != inputs:
        raise settings.refusal("in_features", f"must be {inputs}, the size of the vectors before this step")
    units = settings.whole_number("out_features", 1)
    if units is None:
        raise settings.refusal("out_features", "must be the size of the vectors after this step")
    use_bias = settings.flag("bias")
    activation = activation_setting(settings, "activation_function", "tanh")
    return {"units": units, "activation": activation, "use_bias": use_bias is not False}


def dense_settings(projection: Mapping[str, Any], inputs: int) -> dict[str, Any]:
    """Returns the config of a dense step.

    Args:
        projection: The projection, as `BertSentenceEncoder` has it.
        inputs: The size of the vectors before the step.

    Raises:
        BadInputError: sentence-transformers has no such activation.
    """
    activation = torch_name(projection["activation"], "A projection")
    values = (inputs, projection["units"], projection["use_bias"], activation)
    return dict(zip(_DENSE_SETTINGS, values, strict=True))


def check_normalize(path: Path) -> None:
    """Refuses a normalization of anything but the sentence vector. Older versions write no config for this step."""
    check_settings(JsonSettings.read(path, _STEP_REMEDY), SENTENCE_NORMALIZE)


def _flagged(settings: JsonSettings) -> list[str]:
    """The poolings whose flags are set, in the order of their vectors. Unknown flags are returned unchanged."""
    flags = [key for key in settings.values if key.startswith("pooling_mode_") and settings.flag(key)]
    known = {flag: theirs for _, theirs, flag in _POOLINGS}
    chosen = [theirs for flag, theirs in known.items() if flag in flags]
    return [*chosen, *(flag for flag in flags if flag not in known)] or ["mean"]
