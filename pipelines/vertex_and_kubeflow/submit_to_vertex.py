"""Starts a compiled pipeline on Vertex AI with Google's client."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import PipelineSettings

# Type of an input in a compiled pipeline -> Python type, and the rule in words.
_KINDS: dict[str, tuple[type, str]] = {
    "STRING": (str, "text; put a number in quotes"),
    "NUMBER_INTEGER": (int, "a whole number"),
    "NUMBER_DOUBLE": (float, "a number"),
}


def submit(
    path: str | os.PathLike[str],
    settings: PipelineSettings,
    parameters: Mapping[str, Any] | None = None,
    job_id: str | None = None,
) -> Any:
    """Starts a run of a compiled pipeline and returns immediately.

    Args:
        path: The file that `compile_pipeline` wrote for Vertex AI.
        settings: `project` and `region` are required. `service_account` is the account that the steps run as.
        parameters: Values for the pipeline's inputs, which override the defaults.
        job_id: A name for the run. By default the client makes one from the time.

    Returns:
        The client's `PipelineJob`, with the run's name, state and page.

    Raises:
        BadInputError: If a setting is missing, a parameter is unknown or has the wrong type, there are no credentials,
            or Vertex AI refuses the run.
    """
    job = _read(Path(path))
    given = dict(parameters or {})
    known = job["pipelineSpec"]["root"].get("inputDefinitions", {}).get("parameters", {})
    if unknown := sorted(set(given) - set(known)):
        raise BadInputError(
            f"Run parameters must be inputs of '{path}'. Received: {', '.join(unknown)}. "
            + (f"Use some of: {', '.join(sorted(known))}." if known else "This pipeline has no inputs: remove them.")
        )
    given = {name: _converted(name, value, known[name]["parameterType"]) for name, value in given.items()}
    if not (settings.project and settings.region):
        raise BadInputError(
            f"Vertex AI needs a project and a region. Received: project={settings.project!r}, "
            f"region={settings.region!r}. Set `project` and `region`, or the environment variables "
            "GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_REGION."
        )
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import aiplatform

    try:
        run = aiplatform.PipelineJob(
            display_name=job.get("displayName") or settings.pipeline_name,
            template_path=str(path),
            job_id=job_id,
            parameter_values=given,
            enable_caching=settings.enable_cache,
            project=settings.project,
            location=settings.region,
        )
        run.submit(service_account=settings.service_account)
    except GoogleAuthError as error:
        raise BadInputError(
            f"Vertex AI needs credentials. Received: {error}. Run `gcloud auth application-default login`, or set "
            "GOOGLE_APPLICATION_CREDENTIALS to a key file."
        ) from error
    except GoogleAPICallError as error:
        raise BadInputError(
            f"Vertex AI refused the run. Received: {error.code} {error.message}. Fix the problem that it names."
        ) from error
    return run


def _converted(name: str, value: Any, kind: str) -> Any:
    """Converts a parameter's value to its type. YAML reads 1e-4, without a point, as text.

    Raises:
        BadInputError: If it has another type.
    """
    make, rule = _KINDS[kind]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    with contextlib.suppress(ValueError):
        if isinstance(value, str) or (is_number and kind != "STRING"):
            converted = make(value)
            if isinstance(value, str) or converted == value:
                return converted
    raise BadInputError(f"Run parameter '{name}' must be {rule}. Received: {name}={value!r}. Correct the value.")


def _read(path: Path) -> dict[str, Any]:
    """Reads a compiled pipeline."""
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
        job["pipelineSpec"]["root"]["dag"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"'{path}' must be a pipeline compiled for Vertex AI. Received: {type(error).__name__}: {error}. "
            "Write it with `kerasbert pipeline compile --target vertex`."
        ) from error
    return job
