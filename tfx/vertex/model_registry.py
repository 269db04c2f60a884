"""Uploads a pushed version to Vertex AI's Model Registry as a version of one model, unless it was uploaded before."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kerasbert.errors import BadInputError
from kerasbert_tfx.records.fingerprints import files_of, fingerprint
from kerasbert_tfx.vertex.client import Vertex, errors_of, message, result_of
from kerasbert_tfx.vertex.container import BATCHING, BATCHING_FILE, container_spec, serving_image
from kerasbert_tfx.vertex.setting_forms import FINGERPRINT_LABEL
from kerasbert_tfx.vertex.vertex_settings import VertexSettings, bucket_address

# The folder of artifact folders, beside the numbered versions. Servers ignore names that are not numbers.
_ARTIFACTS = "vertex"
_SAVED_MODEL = "saved_model.pb"
_CARD = "assets.extra/README.md"
_LONGEST_DESCRIPTION = 2000
# Values of labels have at most 63 characters.
_FINGERPRINT_LENGTH = 40


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in Model Registry.

    Attributes:
        model: The model's full name, without a version.
        version: The version's number there.
        is_new: Whether it was uploaded now.
    """

    model: str
    version: str
    is_new: bool

    @property
    def name(self) -> str:
        """The version's full name."""
        return f"{self.model}@{self.version}"


def register(pushed: str, model_id: str, settings: VertexSettings, place: Vertex) -> RegisteredVersion:
    """Uploads a version, or finds the one with the same content and the same container. Sets its aliases.

    Args:
        pushed: The folder of a pushed version, whose name is a number.
        model_id: The model's id in Model Registry.
        settings: Parent model, aliases, labels and image.
        place: Project and region.

    Raises:
        BadInputError: The parent model does not exist, or Vertex AI refuses or fails.
    """
    container = container_spec(model_id, serving_image(settings.serving_image, place, settings.accelerator))
    content = _fingerprint(pushed, container)
    models = place.service("ModelService")
    parent = place.full_name("models", settings.parent_model or model_id)
    with errors_of("read the model's versions"):
        known = _versions(models, parent)
    if known is None and settings.parent_model:
        raise BadInputError(
            f"`parent_model` must be a model in Model Registry. Received: parent_model={settings.parent_model!r}, "
            f"which does not exist in {place.parent}. Check the id, or remove `parent_model` to create the model."
        )
    for version in known or ():
        if version.labels.get(FINGERPRINT_LABEL) == content:
            found = RegisteredVersion(parent, version.version_id, is_new=False)
            _add_aliases(models, found, set(settings.version_aliases) - set(version.version_aliases))
            return found
    model = message(
        "Model",
        display_name=model_id,
        version_description=_description(pushed),
        version_aliases=list(settings.version_aliases),
        labels={**(settings.labels or {}), FINGERPRINT_LABEL: content},
        container_spec=container,
        artifact_uri=bucket_address(write_artifact(pushed)),
    )
    target = {"model_id": model_id} if known is None else {"parent_model": parent}
    with errors_of("upload the model"):
        request = message("UploadModelRequest", parent=place.parent, model=model, **target)
        reply = result_of(models.upload_model(request=request))
    return RegisteredVersion(parent, reply.model_version_id, is_new=True)


def write_artifact(pushed: str) -> str:
    """Writes the folder that Vertex AI copies: one numbered version, and the server's batching settings.

    Args:
        pushed: The folder of a pushed version.

    Returns:
        The folder. If it is complete already, nothing is written.
    """
    parent, _, number = pushed.rstrip("/").rpartition("/")
    artifact = f"{parent}/{_ARTIFACTS}/{number}"
    # The file without which no server loads a version is copied last, so a folder that has it is complete.
    if tf.io.gfile.exists(f"{artifact}/{number}/{_SAVED_MODEL}"):
        return artifact
    tf.io.gfile.makedirs(artifact)
    with tf.io.gfile.GFile(f"{artifact}/{BATCHING_FILE}", "w") as file:
        file.write(BATCHING)
    for name in sorted((name for name, _ in files_of(pushed)), key=lambda name: (name == _SAVED_MODEL, name)):
        target = f"{artifact}/{number}/{name}"
        tf.io.gfile.makedirs(target.rpartition("/")[0])
        tf.io.gfile.copy(f"{pushed}/{name}", target, overwrite=True)
    return artifact


def _fingerprint(pushed: str, container: Any) -> str:
    """Returns a hash of the version's content and of the container that serves it."""
    served = " ".join([container.image_uri, *container.args])
    return hashlib.sha256(f"{fingerprint(pushed)} {served}".encode()).hexdigest()[:_FINGERPRINT_LENGTH]


def _versions(models: Any, name: str) -> list[Any] | None:
    """Returns the versions of a model, the newest first, or None if there is no such model."""
    from google.api_core.exceptions import NotFound

    try:
        versions = list(models.list_model_versions(request={"name": name}))
    except NotFound:
        return None
    return sorted(versions, key=lambda version: int(version.version_id or 0), reverse=True) or None


def _add_aliases(models: Any, found: RegisteredVersion, missing: set[str]) -> None:
    """Moves aliases to a version."""
    if not missing:
        return
    with errors_of("set the version's aliases"):
        models.merge_version_aliases(request={"name": found.name, "version_aliases": sorted(missing)})


def _description(pushed: str) -> str | None:
    """Returns the beginning of the model card, and where the whole card is."""
    card = f"{pushed}/{_CARD}"
    if not tf.io.gfile.exists(card):
        return None
    with tf.io.gfile.GFile(card) as file:
        text = re.sub(r"\n{3,}", "\n\n", str(file.read())).strip()
    where = f"\n\nThe whole model card: {bucket_address(pushed)}/{_CARD}"
    if len(text) + len(where) > _LONGEST_DESCRIPTION:
        text = text[: _LONGEST_DESCRIPTION - len(where) - 1]
        text = (re.sub(r"\s+\S*$", "", text) or text) + "…"  # after a whole word
    return text + where
