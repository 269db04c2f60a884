"""All settings of both pipelines, with their defaults and meanings.

A value comes from a flag, else from the YAML file, else from the environment (`ENVIRONMENT`, read once), else it is the
default here. Hyperparameters are declared in `kerasbert.settings`, whose classes these extend: they have the names,
ranges, defaults and meanings of `kerasbert pretrain` and `kerasbert fine-tune`. Imports neither TFX nor TensorFlow.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from kerasbert.errors import BadInputError
from kerasbert.settings import FineTuningParameters, PretrainingParameters, Source, settings_class, settings_from
from kerasbert.settings.setting_types import (
    Count,
    Finite,
    Flag,
    InferencePrecision,
    Megabytes,
    PathText,
    Positive,
    Share,
    Text,
    Texts,
    VocabularySize,
    hyphens_too,
    yes_or_no,
)
from kerasbert_pipelines.settings_reader import read_yaml
from kerasbert_tfx.vertex.setting_forms import is_in_store
from kerasbert_tfx.vertex.vertex_settings import VertexSettings, check_place, check_push_folder, model_id

Target = Literal["vertex", "kubeflow"]
# Artifact stores that only Kubeflow's launcher reads: TensorFlow, with which steps read files, does not know them.
LAUNCHER_ONLY = ("s3://", "minio://")
# Setting -> environment variable.
ENVIRONMENT = {
    "pipeline_root": "KERASBERT_PIPELINE_ROOT",
    "image": "KERASBERT_PIPELINE_IMAGE",
    "project": "GOOGLE_CLOUD_PROJECT",
    "region": "GOOGLE_CLOUD_REGION",
    "service_account": "KERASBERT_SERVICE_ACCOUNT",
}

# Settings under `vertex` that a push to a folder would ignore.
_PUSH_SETTINGS = ("endpoint", "batch_input", "parent_model")

# The maximum that Kubeflow and Vertex AI allow.
_PIPELINE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_MEMORY = re.compile(r"\d+(\.\d+)?[KMGT]i?")


@settings_class
class ComponentResources:
    """The resources of one component."""

    cpu: Positive | None = Field(default=None, description="CPU cores, on Vertex AI and Kubeflow.")
    memory: Text | None = Field(default=None, description='Memory, e.g. "16G", on Vertex AI and Kubeflow.')
    accelerator: Text | None = Field(
        default=None,
        description='Type of accelerator: on Vertex AI, e.g. "NVIDIA_TESLA_T4"; on Kubeflow, a Kubernetes resource, '
        'e.g. "nvidia.com/gpu", which every "NVIDIA_..." becomes.',
    )
    accelerator_count: Count = Field(default=1, description="Number of accelerators.")
    retries: Count | None = Field(
        default=None,
        description="How often a failed step is tried again, on Vertex AI and Kubeflow. By default, never.",
    )
    workers: Count = Field(
        default=1, description="Parallel workers: processes of Beam's local runner, or workers of Dataflow."
    )
    image: Text | None = Field(
        default=None,
        description="Container image of this component alone, e.g. a GPU image for one with an accelerator.",
    )

    def __post_init__(self) -> None:
        if self.memory is not None and not _MEMORY.fullmatch(self.memory):
            raise BadInputError(
                f"`memory` must be a number with K, M, G or T. Received: memory={self.memory!r}. For example, '16G'."
            )


@settings_class
class PipelineSettings:
    """The settings that both pipelines share, apart from training."""

    default_name: ClassVar[str] = "kerasbert"

    pipeline_name: Text = Field(
        default="", description="Name in lower-case letters, digits and hyphens. By default, the name of its kind."
    )
    pipeline_root: PathText = Field(
        default="",
        description="Folder or bucket for artifacts, which pipelines with other names may share. By default, "
        "runs/pipelines/PIPELINE_NAME.",
    )
    metadata_path: PathText = Field(
        default="",
        description="SQLite file for the metadata of local runs. By default, PIPELINE_ROOT/metadata.sqlite; for a "
        "bucket runs/pipelines/PIPELINE_NAME/metadata.sqlite.",
    )
    push_folder: PathText = Field(
        default="",
        description="Folder to which blessed models are pushed, each as a numbered version. By default, "
        "PIPELINE_ROOT/pushed/PIPELINE_NAME.",
    )
    beam_pipeline_args: Texts = Field(
        default=(),
        description="Arguments for every component that runs on Beam, e.g. `--runner=DataflowRunner`. By default, Beam "
        "runs in this process.",
    )
    enable_cache: Flag = Field(
        default=True,
        description="Whether a component whose inputs and settings are unchanged is taken from an earlier run.",
    )
    image: Text | None = Field(default=None, description="Container image of the compiled pipeline.")
    project: Text | None = Field(default=None, description="Google Cloud project for Vertex AI and Dataflow.")
    region: Text | None = Field(default=None, description="Google Cloud region, e.g. us-central1.")
    service_account: Text | None = Field(
        default=None, description="Service account that the steps run as on Vertex AI."
    )
    resources: dict[str, ComponentResources] = Field(
        default_factory=dict, description="Resources of components, by component id."
    )
    push_to: Literal["folder", "vertex"] = Field(
        default="folder",
        description="What is done with a blessed model: `folder` pushes it to `push_folder` only; `vertex` then also "
        "uploads it to Vertex AI, as the settings under `vertex` say.",
    )
    vertex: VertexSettings = Field(
        default_factory=VertexSettings,
        description="Model Registry, endpoint, batch prediction, experiment and trials on Vertex AI.",
    )

    def __post_init__(self) -> None:
        # Set defaults that depend on other settings. After this, the instance is frozen.
        name = self.pipeline_name or self.default_name
        root = self.pipeline_root or f"runs/pipelines/{name}"
        derived = {
            "pipeline_name": name,
            "pipeline_root": root,
            # SQLite needs a local file.
            "metadata_path": self.metadata_path
            or f"{f'runs/pipelines/{name}' if '://' in root else root}/metadata.sqlite",
            "push_folder": self.push_folder or f"{root}/pushed/{name}",
        }
        for setting, value in derived.items():
            object.__setattr__(self, setting, value)
        if not _PIPELINE_NAME.fullmatch(name):
            raise BadInputError(
                "`pipeline_name` must be lower-case letters, digits and hyphens, 128 at most. "
                f"Received: pipeline_name={name!r}. For example, '{self.default_name}'."
            )

        self._check_vertex()

    def _check_vertex(self) -> None:
        """Checks that Vertex AI can do what the settings ask for, before anything runs."""
        if self.push_to == "vertex":
            check_place(self.project, self.region, "`push_to: vertex`")
            check_push_folder(self.push_folder)
            model_id(self.vertex, self.pipeline_name)
        elif given := [name for name in _PUSH_SETTINGS if getattr(self.vertex, name)]:
            raise BadInputError(
                f"`vertex.{given[0]}` has an effect only with `push_to: vertex`. Received: push_to='folder', "
                f"vertex.{given[0]}={getattr(self.vertex, given[0])!r}. Set `push_to: vertex`, or remove it."
            )
        if self.vertex.experiment:
            check_place(self.project, self.region, "`vertex.experiment`")

    @property
    def accepted_schema(self) -> str:
        """The file with the schema of the last accepted data."""
        return f"{self.shared_folder}/accepted_schemas/{self.pipeline_name}.json"

    @property
    def shared_folder(self) -> str:
        """The folder of the files that steps share with later runs: the pipeline's root if steps can read it."""
        return (self.push_folder if self.pipeline_root.startswith(LAUNCHER_ONLY) else self.pipeline_root).rstrip("/")

    def resources_of(self, component: str) -> ComponentResources:
        """Returns the resources of a component."""
        return self.resources.get(component, ComponentResources())


@settings_class
class PretrainSettings(PretrainingParameters, PipelineSettings):
    """The settings of the pretraining pipeline."""

    default_name: ClassVar[str] = "kerasbert-pretrain"

    texts: PathText = Field(
        default="",
        description="A folder, a file or a glob pattern of plain text (one sentence per line, a blank line between "
        "documents) or tables (.csv, .tsv, .jsonl) with `text_column`. All may be gzipped.",
    )
    schema: PathText | None = Field(
        default=None,
        description="Schema file that the documents' statistics must match. By default, one is inferred from this "
        "run's documents.",
    )
    accept_new_schema: Flag = Field(
        default=False, description="Whether documents may be in scripts that the last accepted run did not have."
    )
    vocabulary: PathText | None = Field(
        default=None, description="Vocabulary file. By default, a vocabulary is learned."
    )
    vocabulary_size: VocabularySize = Field(default=30522, description="Maximum number of word pieces to learn.")
    vocabulary_min_count: Count = Field(
        default=2, description="How often a piece of more than one character must occur to be learned."
    )
    vocabulary_megabytes: Megabytes = Field(
        default=200.0, description="Amount of text to learn the vocabulary from. A hash selects the documents."
    )
    masking: Literal["dynamic", "static"] = Field(
        default="dynamic",
        description='"dynamic" writes pairs without masks, for which training makes new masks each time. "static" '
        "writes masked instances, with different masks in each pass over the text.",
    )
    range_megabytes: Megabytes = Field(
        default=32.0, description="Size of the ranges of text files that workers read in parallel."
    )
    bucket_megabytes: Megabytes = Field(
        default=16.0, description="Amount of text that one worker shuffles and pairs in memory at a time."
    )
    start_from: PathText | None = Field(
        default=None,
        description="Model to start from: a folder or a checkpoint of any layout, or the folder of a pretraining run. "
        "By default, random weights.",
    )
    min_masked_lm_accuracy: Share = Field(
        default=0.0, description="A model with a lower masked LM accuracy is not blessed."
    )
    min_next_sentence_accuracy: Share = Field(
        default=0.0, description="A model with a lower next-sentence accuracy is not blessed."
    )
    max_masked_lm_loss: Finite | None = Field(
        default=None, description="A model with a higher masked LM loss is not blessed."
    )
    max_loss_increase: Finite = Field(
        default=0.0,
        description="How much the held-out loss of a blessed model may exceed that of the last pushed model.",
    )


@settings_class
class FineTuneSettings(FineTuningParameters, PipelineSettings):
    """The settings of the fine-tuning pipeline."""

    default_name: ClassVar[str] = "kerasbert-fine-tune"

    data: PathText = Field(
        default="",
        description="A folder, a file or a glob pattern of labelled rows: CSV, TSV, JSONL (plain or gzipped) or "
        "TFRecords of tf.Examples, distinguished by their extensions.",
    )
    train_share: Share = Field(
        default=0.8, description="Share of the rows for training, chosen by a hash of their text."
    )
    test_share: Share = Field(
        default=0.1, description="Share of the rows for the final metrics. With 0, the validation rows are used."
    )
    schema: PathText | None = Field(
        default=None,
        description="Schema file that the rows must match. By default, one is inferred from the training rows.",
    )
    accept_new_schema: Flag = Field(
        default=False, description="Whether columns and labels may differ from those of the last accepted run."
    )
    start_from: PathText | None = Field(
        default=None,
        description="Model to start from: a folder or a checkpoint of any layout, or the folder of a pretraining run. "
        "By default, random weights, which need a `vocabulary`.",
    )
    tune: Flag = Field(
        default=False,
        description="Whether several trials first search for the best learning rate, batch size and dropout.",
    )
    tuner_trials: Count = Field(default=8, description="Number of trials of the search.")
    tuner: Annotated[Literal["keras_tuner", "vertex"], BeforeValidator(hyphens_too)] = Field(
        default="keras_tuner",
        description="Where the trials run, with `tune`: in the Tuner's own step, with keras-tuner's random search; or "
        "as jobs of a HyperparameterTuningJob on Vertex AI, with its Bayesian search.",
    )
    serving_precision: InferencePrecision = Field(
        default="float32",
        description="Precision of the exported model, which is the one that is evaluated and pushed: see `kerasbert "
        "export --precision`. `auto` measures on the machine that trains.",
    )
    metric: Text | None = Field(
        default=None, description="Metric that the thresholds apply to. The default depends on the task."
    )
    min_metric: Finite | None = Field(
        default=None, description="A model with a lower metric (a higher one if the metric is an error) is not blessed."
    )
    max_metric_decrease: Finite = Field(
        default=0.0, description="How much worse than the last blessed model a blessed model may be."
    )
    infra_validator: Annotated[Literal["auto", "yes", "no"], BeforeValidator(yes_or_no)] = Field(
        default="auto",
        description="Whether TensorFlow Serving in a Docker container must load the model before it is pushed. With "
        "auto, only if a Docker daemon answers and no `image` is set.",
    )
    bulk_inference: PathText | None = Field(
        default=None, description="A file, a folder or a glob pattern of tables to label with the blessed model."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tune and self.tuner == "vertex":
            check_place(self.project, self.region, "`tuner: vertex`")
            if not (self.image and is_in_store(self.pipeline_root)):
                raise BadInputError(
                    "Trials on Vertex AI run in the pipeline's image and read its artifacts from Cloud Storage. "
                    f"Received: image={self.image!r}, pipeline_root={self.pipeline_root!r}. Set `image`, and "
                    "`pipeline_root` to an address such as 'gs://bucket/kerasbert', or `tuner: keras_tuner`."
                )


# A compiled pipeline contains its settings, so submission only needs to know where to run it.
KINDS: dict[str, type[PipelineSettings]] = {
    "pretrain": PretrainSettings,
    "fine-tune": FineTuneSettings,
    "submit": PipelineSettings,
}


def read_settings(
    kind: str, path: str | os.PathLike[str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Any:
    """Returns the settings of one pipeline, from overrides, a YAML file and the environment, in this order.

    Args:
        kind: "pretrain" or "fine-tune", or "submit" for the settings of submission.
        path: A YAML file of `setting: value` lines, or None.
        overrides: Setting -> value, e.g. of `--set` options.

    Returns:
        `PretrainSettings`, `FineTuneSettings` or `PipelineSettings`.

    Raises:
        BadInputError: The file cannot be read, or a setting does not exist or has an invalid value.
    """
    if kind not in KINDS:
        raise BadInputError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}. Choose one of them.")
    sources = [
        Source({name: os.environ[variable]}, f"the environment variable {variable}", f"{variable}={{value}}")
        for name, variable in ENVIRONMENT.items()
        if os.environ.get(variable)
    ]
    if path is not None:
        sources.append(Source(read_yaml(Path(path)), f"'{path}'", "`{name}: {value}`"))
    sources.append(Source(dict(overrides or {}), "the command line", "`--set {name}={value}`"))
    return settings_from(KINDS[kind], sources)


def shared_values(settings: PipelineSettings, target: type) -> dict[str, Any]:
    """Returns the settings that another settings class has too, e.g. `FineTuningSettings`, as keyword arguments."""
    names = {field.name for field in dataclasses.fields(target)}
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings) if field.name in names}
