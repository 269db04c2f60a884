"""What `push_to: vertex` does with a pushed version: register it, deploy it, predict a batch with it."""

from collections.abc import Iterator
from dataclasses import dataclass

from kerasbert_tfx.vertex.batch_prediction import BatchTable, Predictions, check_answers_one_text, predict_batch
from kerasbert_tfx.vertex.client import Vertex
from kerasbert_tfx.vertex.endpoints import Deployment, deploy
from kerasbert_tfx.vertex.model_registry import RegisteredVersion, register
from kerasbert_tfx.vertex.vertex_settings import VertexSettings


@dataclass(frozen=True)
class VertexPush:
    """What was done.

    Attributes:
        version: The version in Model Registry.
        deployment: The deployed model, if the settings name an endpoint.
        predictions: The predictions, if the settings name a table.
    """

    version: RegisteredVersion
    deployment: Deployment | None
    predictions: Predictions | None

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yields what was done as names and values, for people."""
        state = "uploaded" if self.version.is_new else "unchanged, not uploaded again"
        yield "registered", f"{self.version.name} ({state})"
        if self.deployment:
            yield "endpoint", f"{self.deployment.endpoint} ({'deployed' if self.deployment.is_new else 'unchanged'})"
            shares = ", ".join(f"{model}: {percent}%" for model, percent in self.deployment.traffic.items())
            yield "traffic", shares
            if self.deployment.undeployed:
                yield "undeployed", ", ".join(self.deployment.undeployed)
        if self.predictions:
            counts = f"{self.predictions.succeeded} rows predicted, {self.predictions.failed} failed"
            yield "predictions", f"{self.predictions.folder} ({counts})"


def push_to_vertex(
    pushed: str, model_id: str, settings: VertexSettings, table: BatchTable, place: Vertex, pause: float = 30.0
) -> VertexPush:
    """Registers a pushed version, and does with it what the settings say.

    Pushing the same version again uploads and deploys nothing twice.

    Args:
        pushed: The folder of the version, whose name is a number.
        model_id: The model's id in Model Registry.
        settings: What to do.
        table: How the table of a batch job is read.
        place: Project and region.
        pause: Seconds between two looks at a batch job.

    Raises:
        BadInputError: A step fails. The message names it, and says what is done already.
    """
    pushed = pushed.rstrip("/")
    if settings.batch_input:
        check_answers_one_text(pushed, table)
    version = register(pushed, model_id, settings, place)
    deployment = deploy(version, settings, place) if settings.endpoint else None
    predictions = predict_batch(version, settings, table, place, pause) if settings.batch_input else None
    return VertexPush(version, deployment, predictions)
