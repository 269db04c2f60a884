"""Names of PyTorch's activation classes and of the Keras functions that compute the same.

sentence-transformers writes an activation as the import path of its class. Here such a path is only looked up in a
table: nothing that a file names is ever imported.
"""

from kerasbert.checkpoints.json_settings import JsonSettings
from kerasbert.errors import BadInputError

# PyTorch's class, created without arguments -> our name.
_NAMES = {
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


def activation_setting(settings: JsonSettings, key: str, default: str | None = None) -> str | None:
    """Returns our name of the activation that a setting names.

    Args:
        settings: The settings.
        key: The key of the activation. Short paths (`torch.nn.Sigmoid`) mean the same as long ones.
        default: Our name of the activation if the setting is missing.

    Raises:
        BadInputError: The setting is null or names an activation that is not in the table.
    """
    settings.text(key)
    if key not in settings.values:
        return default
    named = settings.values[key]
    by_short_name = {f"torch.nn.{theirs.rsplit('.', 1)[-1]}": ours for theirs, ours in _NAMES.items()}
    ours = {**by_short_name, **_NAMES}.get(named)
    if ours is None:
        raise settings.refusal(key, f"must be one of {', '.join(_NAMES)}")
    return ours


def torch_name(activation: str, what: str) -> str:
    """Returns PyTorch's name of one of our activations.

    Args:
        activation: Our name.
        what: What has this activation, for the message.

    Raises:
        BadInputError: PyTorch has no class for it that is created without arguments.
    """
    theirs = {ours: theirs for theirs, ours in _NAMES.items()}
    if activation not in theirs:
        raise BadInputError(
            f"{what} must have one of these activations in sentence-transformers' layout: {', '.join(theirs)}. "
            f"Received: activation={activation!r}. Use format='google_tf1', or save the model with `model.save`."
        )
    return theirs[activation]
