"""Google's client for one project and region, its errors in one line, and waiting for jobs.

The services are those of `google.cloud.aiplatform_v1`, which versions 1 and 2 of the client have in common. Importing
them takes seconds, so this is done when the first of them is used.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kerasbert.errors import BadInputError

# Starting the machines of an endpoint takes up to half an hour, with an accelerator longer.
_SECONDS_TO_DEPLOY = 2 * 60 * 60
_PAUSE = 30.0
_FINISHED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED")
_ENDED = (*_FINISHED, "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED", "JOB_STATE_PAUSED")


@dataclass(frozen=True)
class Vertex:
    """A project and a region of Vertex AI.

    Attributes:
        project: The project's id.
        region: The region, e.g. us-central1.

    Example:
        >>> Vertex("my-project", "us-central1").full_name("models", "questions")
        'projects/my-project/locations/us-central1/models/questions'
    """

    project: str
    region: str

    @property
    def parent(self) -> str:
        """The name of the region within the project."""
        return f"projects/{self.project}/locations/{self.region}"

    def full_name(self, collection: str, name: str) -> str:
        """Returns the full name of a resource, from its id or its full name."""
        return name if name.startswith("projects/") else f"{self.parent}/{collection}/{name}"

    def service(self, name: str) -> Any:
        """Returns the client of a service, e.g. of "ModelService"."""
        from google.cloud import aiplatform_v1

        # Each region has its own address, and refuses resources of other regions.
        options = {"api_endpoint": f"{self.region}-aiplatform.googleapis.com"}
        return getattr(aiplatform_v1, f"{name}Client")(client_options=options)

    def page(self, path: str) -> str:
        """Returns the address of a page of Google Cloud's console."""
        return f"https://console.cloud.google.com/vertex-ai/{path.format(region=self.region)}?project={self.project}"


def message(kind: str, **fields: Any) -> Any:
    """Returns a message of `google.cloud.aiplatform_v1`, e.g. of the kind "Model". Fields that are None stay unset."""
    from google.cloud import aiplatform_v1

    return getattr(aiplatform_v1, kind)(**{name: value for name, value in fields.items() if value is not None})


def machine(machine_type: str, accelerator: str | None, count: int) -> Any:
    """Returns the message that describes a machine.

    Raises:
        BadInputError: Google's client does not know the accelerator.
    """
    if accelerator is None:
        return message("MachineSpec", machine_type=machine_type)
    from google.cloud import aiplatform_v1

    known = aiplatform_v1.AcceleratorType.__members__
    if accelerator not in known:
        raise BadInputError(
            f"An accelerator must be one of Vertex AI's. Received: '{accelerator}'. Use one of "
            f"{', '.join(name for name in known if name != 'ACCELERATOR_TYPE_UNSPECIFIED')}."
        )
    return message(
        "MachineSpec",
        machine_type=machine_type,
        accelerator_type=getattr(aiplatform_v1.AcceleratorType, accelerator),
        accelerator_count=count,
    )


@contextlib.contextmanager
def errors_of(action: str, fix: str = "Fix the problem that it names.") -> Iterator[None]:
    """Raises errors of Google's client as one line.

    Args:
        action: What Vertex AI is asked to do, e.g. "upload the model".
        fix: What the reader can do.

    Raises:
        BadInputError: There are no credentials, or Vertex AI refuses or fails.
    """
    from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except GoogleAuthError as error:
        raise BadInputError(
            f"Vertex AI needs credentials. Received: {_line(error)}. Run `gcloud auth application-default login`, or "
            "set GOOGLE_APPLICATION_CREDENTIALS to a key file."
        ) from error
    except GoogleAPICallError as error:
        code = int(error.code) if error.code else ""
        if code == 403:
            fix = f"Give the account the role that docs/vertex_ai_push.md names for this step. {fix}"
        raise BadInputError(f"Vertex AI did not {action}. Received: {code} {_line(error.message)}. {fix}") from error
    except (GoogleAPIError, TimeoutError) as error:
        raise BadInputError(f"Vertex AI did not {action}. Received: {_line(error)}. {fix}") from error


def _line(error: Any) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def result_of(operation: Any) -> Any:
    """Waits for a long-running operation, and returns its result."""
    return operation.result(timeout=_SECONDS_TO_DEPLOY)


def wait_for_job(read: Callable[[], Any], what: str, pause: float = _PAUSE) -> Any:
    """Waits until a job has ended, and returns it.

    Args:
        read: Reads the job.
        what: What the job is, for messages.
        pause: Seconds between two looks.

    Raises:
        BadInputError: The job failed or was cancelled.
    """
    while True:
        job = read()
        state = job.state.name
        if state in _FINISHED:
            return job
        if state in _ENDED:
            raise BadInputError(
                f"The {what} must succeed. Received: {state}, {_line(job.error.message or 'without a message')} "
                f"({job.name}). Read the job's log, fix the problem that it names, and repeat."
            )
        time.sleep(pause)
