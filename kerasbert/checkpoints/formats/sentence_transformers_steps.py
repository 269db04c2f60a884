"""What the steps of a sentence-transformers folder after its encoder compute, by the config file of each: both ways.

Which steps there are, and their files, is left to `sentence_transformers_folder.py`. An activation is a name in a
table here: nothing that a file names is ever imported.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbert.checkpoints.json_settings import JsonSettings, read_json_object
from kerasbert.errors import BadInputError

# Ours, sentence-transformers' `pooling_mode`, and the flag that says the same in its older versions. In the order in
# which the vectors of several flags stand side by side; a list of names has its own order.
_POOLINGS = (
    ("cls", "cls", "pooling_mode_cls_token"),
    ("max", "max", "pooling_mode_max_tokens"),
    ("mean", "mean", "pooling_mode_mean_tokens"),
    ("mean_sqrt_len", "mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"),
    ("weighted_mean", "weightedmean", "pooling_mode_weightedmean_tokens"),
    ("last", "lasttoken", "pooling_mode_lasttoken"),
)
# The flags of the first versions, which do not know the others.
_FIRST_FLAGS = ("pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens")
_POOLING_REMEDY = "Load the encoder with `load_backbone` and pool its `sequence_output`."

# PyTorch's class, which is made without arguments -> ours.
_ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": "linear",
    **{
        f"torch.nn.modules.activation.{theirs}": ours
        for theirs, ours in (
            ("Tanh", "tanh"),
            ("ReLU", "relu"),
            ("ReLU6", "relu6"),
            ("GELU", "gelu_erf"),
            ("Sigmoid", "sigmoid"),
            ("SiLU", "silu"),
            ("Mish", "mish"),
            ("ELU", "elu"),
            ("SELU", "selu"),
            ("CELU", "celu"),
            ("Softplus", "softplus"),
            ("Softsign", "softsign"),
            ("LogSigmoid", "log_sigmoid"),
            ("Hardsigmoid", "hard_sigmoid"),
            ("Hardswish", "hard_silu"),
            ("Hardtanh", "hard_tanh"),
            ("Tanhshrink", "tanh_shrink"),
            ("Softshrink", "soft_shrink"),
            ("Hardshrink", "hard_shrink"),
        )
    },
}
_DEFAULT_ACTIVATION = "torch.nn.modules.activation.Tanh"
_DENSE_SETTINGS = ("in_features", "out_features", "bias", "activation_function")
# Settings of newer versions with the only value that is computed here.
_FIXED_DENSE_SETTINGS = {
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
    "use_residual": False,
}
_FIXED_NORMALIZE_SETTINGS = {name: _FIXED_DENSE_SETTINGS[name] for name in ("module_input_name", "module_output_name")}
_STEP_REMEDY = "Load the encoder alone with `load_backbone`."


def read_pooling(path: Path) -> list[str]:
    """Our names of the poolings that a step's config describes, to be put side by side in this order.

    Raises:
        BadInputError: the file is missing or broken, or describes another pooling.
    """
    settings = JsonSettings(path, read_json_object(path), _POOLING_REMEDY)
    if settings.flag("include_prompt") is False:
        raise settings.refusal("include_prompt", "must be true, because a prompt is a part of its text here")
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
    """The config of a pooling step: in flags, which every version reads, where these can say it."""
    modes = [pooling] if isinstance(pooling, str) else list(pooling)
    chosen = [row for row in _POOLINGS if row[0] in modes]
    width = {"word_embedding_dimension": hidden_size}
    if [ours for ours, _, _ in chosen] != modes:  # another order, or one of them twice
        theirs = {ours: theirs for ours, theirs, _ in _POOLINGS}
        return {**width, "pooling_mode": [theirs[mode] for mode in modes]}
    return {**width, **dict.fromkeys(_FIRST_FLAGS, False), **dict.fromkeys([flag for _, _, flag in chosen], True)}


def read_dense(path: Path, inputs: int) -> dict[str, Any]:
    """The projection that a dense step's config describes, as `BertSentenceEncoder` takes it.

    Args:
        path: the config.
        inputs: the numbers of a vector that comes in.

    Raises:
        BadInputError: the file is missing or broken, or describes a step that does something else.
    """
    settings = JsonSettings(path, read_json_object(path), _STEP_REMEDY)
    unknown = settings.values.keys() - {*_DENSE_SETTINGS, *_FIXED_DENSE_SETTINGS}
    if unknown:
        raise settings.refusal(min(unknown), "must be left out: it is unknown what it does")
    _check_fixed(settings, _FIXED_DENSE_SETTINGS)
    if settings.whole_number("in_features", 1) != inputs:
        raise settings.refusal("in_features", f"must be {inputs}, the numbers of a vector of the step before")
    units = settings.whole_number("out_features", 1)
    if units is None:
        raise settings.refusal("out_features", "must give the numbers of a vector")
    use_bias = settings.flag("bias")
    settings.text("activation_function")
    activation = settings.values.get("activation_function", _DEFAULT_ACTIVATION)
    if activation not in _ACTIVATIONS:
        raise settings.refusal("activation_function", f"must be one of {', '.join(_ACTIVATIONS)}")
    return {"units": units, "activation": _ACTIVATIONS[activation], "use_bias": use_bias is not False}


def dense_settings(projection: Mapping[str, Any], inputs: int) -> dict[str, Any]:
    """The config of a dense step.

    Raises:
        BadInputError: sentence-transformers has no such activation.
    """
    theirs = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}
    activation = projection["activation"]
    if activation not in theirs:
        raise BadInputError(
            f"A projection's `activation` must be one of {', '.join(theirs)} in sentence-transformers' layout. "
            f"Received: activation={activation!r}. Save the model as google_tf1, or with `model.save`."
        )
    values = (inputs, projection["units"], projection["use_bias"], theirs[activation])
    return dict(zip(_DENSE_SETTINGS, values, strict=True))


def check_normalize(path: Path) -> None:
    """Refuses a normalization of anything but the vector. Older versions write no config for it."""
    _check_fixed(JsonSettings.read(path, _STEP_REMEDY), _FIXED_NORMALIZE_SETTINGS)


def _flagged(settings: JsonSettings) -> list[str]:
    """The poolings whose flags are set, in the order of their vectors; unknown flags as they are."""
    flags = [key for key in settings.values if key.startswith("pooling_mode_") and settings.flag(key)]
    known = {flag: theirs for _, theirs, flag in _POOLINGS}
    chosen = [theirs for flag, theirs in known.items() if flag in flags]
    return [*chosen, *(flag for flag in flags if flag not in known)] or ["mean"]


def _check_fixed(settings: JsonSettings, fixed: Mapping[str, Any]) -> None:
    for key, value in fixed.items():
        if settings.values.get(key) not in (None, value):
            raise settings.refusal(key, f"must be {value!r}")
