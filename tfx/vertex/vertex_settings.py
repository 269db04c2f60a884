"""The settings under `vertex` in a pipeline's YAML file, and checks that need settings of the pipeline too.

The pipelines, the component that pushes and the command `push-to-vertex` share them. Imports neither TFX nor Google's
client. For the accepted forms of names, see setting_forms.py.
"""

import re

from pydantic import Field

from kerasbert.errors import BadInputError
from kerasbert.settings import settings_class
from kerasbert.settings.setting_types import Count, Flag, PathText, Percent
from kerasbert_tfx.vertex.setting_forms import (
    MODEL_ID,
    SERVING_TAG,
    Accelerator,
    Account,
    Aliases,
    Bucket,
    EndpointName,
    ExperimentName,
    Labels,
    MachineType,
    ModelId,
    ParentModel,
    ServingImage,
    TensorboardName,
    is_in_store,
)

_REGION = re.compile(r"[a-z]+-[a-z]+\d+")
# Domains of organizations precede the project's id with a colon, e.g. "example.com:my-project".
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]{1,}")


@settings_class
class VertexSettings:
    """What is done with a pushed model on Vertex AI, where runs are logged, and the machines of trials."""

    model_name: ModelId | None = Field(
        default=None, description="Id of the model in Model Registry. By default, the pipeline's name."
    )
    parent_model: ParentModel | None = Field(
        default=None,
        description="Existing model that gets a new version. By default, the model with the id `model_name`, which the "
        "first push creates.",
    )
    version_aliases: Aliases = Field(
        default=(),
        description="Aliases that are moved to the new version, e.g. champion. Write `default` among them to make it "
        "the default version.",
    )
    labels: Labels | None = Field(default=None, description="Labels of versions, endpoints and jobs.")
    endpoint: EndpointName | None = Field(
        default=None,
        description="Endpoint on which the model is deployed. A name that no endpoint has creates one. By default, "
        "the model is not deployed.",
    )
    machine_type: MachineType = Field(
        default="n1-standard-4", description="Machine type of a replica, for the endpoint and for batch prediction."
    )
    min_replicas: Count = Field(default=1, description="Minimum number of replicas. They are always billed.")
    max_replicas: Count | None = Field(
        default=None, description="Maximum number of replicas, also for batch prediction. By default, `min_replicas`."
    )
    accelerator: Accelerator | None = Field(
        default=None, description='Accelerator of a replica, e.g. "NVIDIA_TESLA_T4".'
    )
    accelerator_count: Count = Field(default=1, description="Number of accelerators of a replica.")
    traffic_percent: Percent = Field(
        default=100,
        description="Share of the endpoint's requests that the new model gets, in percent. Deployed models share the "
        "rest in proportion to their present shares. The first model of an endpoint gets all.",
    )
    undeploy_replaced: Flag = Field(
        default=False, description="Whether deployed models that lose all their traffic are undeployed."
    )
    serving_image: ServingImage | None = Field(
        default=None,
        description=f"TensorFlow Serving's image. By default, REGION-docker.pkg.dev/PROJECT/docker-hub/{SERVING_TAG}: "
        "an Artifact Registry repository named `docker-hub` that mirrors Docker Hub. With `accelerator`, the tag ends "
        "in `-gpu`.",
    )
    serving_account: Account | None = Field(
        default=None, description="Service account of the deployed model's container. By default, Vertex AI's own."
    )
    batch_input: PathText | None = Field(
        default=None,
        description="A table or a folder of tables, e.g. in a bucket, that the pushed model predicts in a batch job.",
    )
    batch_output: Bucket | None = Field(
        default=None, description="Folder in Cloud Storage for the instances and the predictions of `batch_input`."
    )
    experiment: ExperimentName | None = Field(
        default=None, description="Experiment to which the run's settings and metrics are logged. It is created."
    )
    tensorboard: TensorboardName | None = Field(
        default=None, description="TensorBoard instance that gets the curves of the run. Needs `experiment`."
    )
    tuner_machine_type: MachineType = Field(
        default="n1-standard-8", description="Machine type of a trial, with `tuner: vertex`."
    )
    tuner_accelerator: Accelerator | None = Field(default=None, description="Accelerator of a trial.")
    tuner_accelerator_count: Count = Field(default=1, description="Number of accelerators of a trial.")
    tuner_parallel_trials: Count = Field(
        default=2, description="How many trials run at once. More take less time, and learn less from each other."
    )

    def __post_init__(self) -> None:
        if self.max_replicas is None:
            object.__setattr__(self, "max_replicas", self.min_replicas)
        elif self.max_replicas < self.min_replicas:
            raise BadInputError(
                "`max_replicas` must be at least `min_replicas`. Received: "
                f"min_replicas={self.min_replicas}, max_replicas={self.max_replicas}. Increase `max_replicas`."
            )
        if (self.batch_input is None) != (self.batch_output is None):
            raise BadInputError(
                "`batch_input` and `batch_output` belong together. Received: "
                f"batch_input={self.batch_input!r}, batch_output={self.batch_output!r}. Set both of them, or none."
            )
        if self.tensorboard is not None and self.experiment is None:
            raise BadInputError(
                f"`tensorboard` needs an experiment. Received: tensorboard={self.tensorboard!r} and no `experiment`. "
                "Set `experiment` too."
            )


def check_place(project: str | None, region: str | None, what: str) -> tuple[str, str]:
    """Returns the project and the region in which something is done on Vertex AI.

    Args:
        project: The setting `project`.
        region: The setting `region`.
        what: What needs them, e.g. "`push_to: vertex`".

    Raises:
        BadInputError: One of them is missing or has another form.
    """
    if not (project and region and _PROJECT.fullmatch(project) and _REGION.fullmatch(region)):
        raise BadInputError(
            f"{what} needs a project and a region. Received: project={project!r}, region={region!r}. Set `project`, "
            "e.g. 'my-project', and `region`, e.g. 'us-central1', or the environment variables GOOGLE_CLOUD_PROJECT "
            "and GOOGLE_CLOUD_REGION."
        )
    return project, region


def check_push_folder(folder: str) -> None:
    """Checks that Vertex AI can read pushed models.

    Raises:
        BadInputError: The folder is not in Cloud Storage.
    """
    if not is_in_store(bucket_address(folder)):
        raise BadInputError(
            "Vertex AI copies models from Cloud Storage, so `push_folder` must be in a bucket. Received: "
            f"push_folder={folder!r}. For example, `push_folder: gs://bucket/models`."
        )


def bucket_address(folder: str) -> str:
    """Returns the address in Cloud Storage of a folder that Vertex AI mounts under /gcs, and others unchanged.

    Example:
        >>> bucket_address("/gcs/bucket/models/")
        'gs://bucket/models'
    """
    is_mounted = folder.startswith("/gcs/")
    return (f"gs://{folder.removeprefix('/gcs/')}" if is_mounted else folder).rstrip("/")


def model_id(settings: VertexSettings, pipeline_name: str) -> str:
    """Returns the id of the model in Model Registry.

    Raises:
        BadInputError: The pipeline's name, which is the default, does not have an id's form.
    """
    if settings.model_name or settings.parent_model:
        return settings.model_name or str(settings.parent_model).rpartition("/")[2]
    if not re.fullmatch(MODEL_ID, pipeline_name):
        raise BadInputError(
            "`vertex.model_name` must be set if the pipeline's name does not start with a letter or has more than 63 "
            f"characters. Received: pipeline_name={pipeline_name!r}. For example, `vertex: {{model_name: questions}}`."
        )
    return pipeline_name
