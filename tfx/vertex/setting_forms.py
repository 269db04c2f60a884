"""The types of the settings under `vertex`: the forms of names that Vertex AI accepts, and their rules in words."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from kerasbert.settings.setting_types import PathText, Rule, Text, Texts

# The label that tells whether a model was uploaded before.
FINGERPRINT_LABEL = "kerasbert-fingerprint"
# The newest server that the exported models are tested with. Vertex AI only takes images in Artifact Registry.
SERVING_TAG = "tensorflow/serving:2.20.0"
# The stores that Vertex AI reads and writes.
STORES = ("gs://",)
# Vertex AI allows 64 labels, and one holds the model's fingerprint.
_MOST_LABELS = 63
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_ALIAS = r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]"


def _form(pattern: str) -> AfterValidator:
    """Returns a check of a text's form."""
    form = re.compile(pattern)

    def checked(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError("not of this form")
        return value

    return AfterValidator(checked)


def is_in_store(address: str) -> bool:
    """Returns whether an address names a bucket that Vertex AI reads, or a folder in one."""
    scheme, sign, rest = address.partition("://")
    return scheme + sign in STORES and bool(rest.strip("/")) and not rest.startswith("/")


def _in_store(address: str) -> str:
    if not is_in_store(address):
        raise ValueError("not in a bucket")
    return address.rstrip("/")


def _resource(kind: str, short: str) -> AfterValidator:
    """Returns a check of a resource's name: its own form, or the full name."""
    return _form(rf"projects/[^/\s]+/locations/[^/\s]+/{kind}/[^/@\s]+|{short}")


def labels(value: Any) -> Any:
    """Converts labels from a mapping or from text such as "team=search,stage=test", and checks their form.

    Raises:
        ValueError: They have another form.

    Example:
        >>> labels("team=search,stage=test")
        {'team': 'search', 'stage': 'test'}
    """
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        if any(not sign for _, sign, _ in parts) or len({key.strip() for key, _, _ in parts}) < len(parts):
            raise ValueError("not label=value")
        value = {key.strip(): text.strip() for key, _, text in parts}
    if not isinstance(value, Mapping):
        return value
    # YAML reads `version: 3` as a number.
    texts = {key: str(text) if type(text) is int else text for key, text in value.items()}
    for key, text in texts.items():
        if not (isinstance(key, str) and isinstance(text, str)):
            raise ValueError("not text")
        if not (_LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(text)):
            raise ValueError("not of this form")
    if len(texts) > _MOST_LABELS or FINGERPRINT_LABEL in texts:
        raise ValueError("too many, or a reserved label")
    return texts


def _aliases(values: tuple[str, ...]) -> tuple[str, ...]:
    if any(not re.fullmatch(_ALIAS, value) for value in values):
        raise ValueError("not of this form")
    return values


Labels = Annotated[
    dict[str, str],
    BeforeValidator(labels),
    Rule(
        "at most 63 labels, as a mapping or as label=value,label=value: lower-case letters, digits, _ and -, 63 "
        f"characters at most, each label starting with a letter (`{FINGERPRINT_LABEL}` is reserved)",
        "team=search",
    ),
]
Aliases = Annotated[
    Texts,
    AfterValidator(_aliases),
    Rule(
        "aliases of 2 to 128 letters, digits and -, starting with a lower-case letter and ending with one or a digit",
        "champion",
    ),
]
MODEL_ID = r"[a-z_][a-z0-9_-]{0,62}"
ModelId = Annotated[
    Text,
    _form(MODEL_ID),
    Rule("lower-case letters, digits, _ and -, 63 characters at most, starting with a letter or _", "questions"),
]
ParentModel = Annotated[
    Text,
    _resource("models", r"[a-z0-9_][a-z0-9_-]{0,62}"),
    Rule("a model's id, or projects/PROJECT/locations/REGION/models/ID without a version", "questions"),
]
EndpointName = Annotated[
    Text,
    _resource("endpoints", r"(?! )[^/\"\x00-\x1f]{1,128}(?<! )"),
    Rule(
        "a name of 1 to 128 characters, an endpoint's number, or projects/PROJECT/locations/REGION/endpoints/ID",
        "questions",
    ),
]
TensorboardName = Annotated[
    Text,
    _resource("tensorboards", r"\d{1,20}"),
    Rule("the instance's number, or projects/PROJECT/locations/REGION/tensorboards/ID", "1234567890"),
]
MachineType = Annotated[
    Text, _form(r"[a-z]\w*(-\w+)+"), Rule("a machine type of Compute Engine that Vertex AI offers", "n1-standard-4")
]
Accelerator = Annotated[
    Text, _form(r"(NVIDIA|TPU)_[A-Z0-9_]+"), Rule("an accelerator's name on Vertex AI", "NVIDIA_TESLA_T4")
]
ServingImage = Annotated[
    Text,
    _form(r"([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)/\S*[^\s/:]"),
    Rule(
        "an image in Artifact Registry, because Vertex AI takes no other",
        f"us-central1-docker.pkg.dev/my-project/docker-hub/{SERVING_TAG}",
    ),
]
Account = Annotated[
    Text,
    _form(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    Rule("the e-mail address of a service account", "serving@my-project.iam.gserviceaccount.com"),
]
Bucket = Annotated[PathText, AfterValidator(_in_store), Rule("a folder in Cloud Storage", "gs://bucket/predictions")]
ExperimentName = Annotated[
    Text,
    _form(r"[a-z0-9][a-z0-9-]{0,62}"),
    Rule("lower-case letters, digits and hyphens, 63 characters at most", "questions"),
]
