"""Every setting of both pipelines, in one frozen place, with its default and its meaning.

A value comes from a flag, else from the YAML file, else from the environment (`ENVIRONMENT`, read once), else it is
the default here. Hyper-parameters have the names, meanings and defaults of `kerasbert pretrain` and `kerasbert
fine-tune` (see `kerasbert.recipes`), which the pipelines' trainers call. How values are read and checked: see
settings_reader.py. Imports neither TFX nor TensorFlow.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings_reader import Range, checked_settings, read_yaml

# Setting -> environment variable.
ENVIRONMENT = {
    "pipeline_root": "KERASBERT_PIPELINE_ROOT",
    "image": "KERASBERT_PIPELINE_IMAGE",
    "project": "GOOGLE_CLOUD_PROJECT",
    "region": "GOOGLE_CLOUD_REGION",
    "service_account": "KERASBERT_SERVICE_ACCOUNT",
}

# The bounds are those of the commands' options. Counts must fit what TensorFlow and protocol buffers hold.
Count = Annotated[int, Range(at_least=1, at_most=2**31 - 1)]
Length = Annotated[int, Range(at_least=8, at_most=2**31 - 1)]
Share = Annotated[float, Range(at_least=0, at_most=1)]
Positive = Annotated[float, Range(above=0)]
Megabytes = Annotated[float, Range(at_least=0.001, at_most=10**9)]
Finite = Annotated[float, Range()]
# `~` is expanded here, since a shell leaves it as it is behind `--set data=`.
LocalOrRemote = Annotated[str, os.path.expanduser]
# What Kubeflow and Vertex AI allow.
_PIPELINE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class ComponentResources:
    """What one component may use.

    Attributes:
        cpu: cores, on Vertex AI and Kubeflow.
        memory: such as "16G", on Vertex AI and Kubeflow.
        accelerator: such as "NVIDIA_TESLA_T4", on Vertex AI and Kubeflow.
        accelerator_count: how many of these.
        workers: parallel workers: processes of Beam's local runner, or workers of Dataflow.
        image: container image of this component alone, such as the GPU variant for one with an accelerator.
    """

    cpu: Positive | None = None
    memory: str | None = None
    accelerator: str | None = None
    accelerator_count: Count = 1
    workers: Count = 1
    image: str | None = None

    def __post_init__(self) -> None:
        if self.memory is not None and not re.fullmatch(r"\d+(\.\d+)?[KMGT]i?", self.memory):
            raise BadInputError(
                f"`memory` must be a number with K, M, G or T. Received: memory={self.memory!r}. Give such as '16G'."
            )


@dataclass(frozen=True, kw_only=True)
class PipelineSettings:
    """What both pipelines share.

    Attributes:
        pipeline_name: lower-case letters, digits and hyphens.
        pipeline_root: folder or bucket for artifacts, which pipelines of other names may share. By default
            `runs/pipelines/<pipeline_name>`.
        metadata_path: SQLite file of a local run's metadata. By default in `pipeline_root`.
        push_folder: where blessed models are pushed, each as a numbered version. By default
            `<pipeline_root>/pushed/<pipeline_name>`.
        beam_pipeline_args: for every component that runs on Beam, such as `--runner=DataflowRunner`. Without any it
            runs in this process, and TFX makes no package of itself (1.7 s, 42 MB) for workers elsewhere.
        enable_cache: whether a component whose inputs and settings are unchanged is taken from an earlier run.
        seed: of splits, pairs, weights, order, masks and dropout.
        show_progress: a progress bar on standard error during training.
        image: container image of the compiled pipeline.
        project, region, service_account: where and as whom Vertex AI and Dataflow run.
        resources: component id -> what it may use.
    """

    default_name: ClassVar[str] = "kerasbert"

    pipeline_name: str = ""
    pipeline_root: LocalOrRemote = ""
    metadata_path: LocalOrRemote = ""
    push_folder: LocalOrRemote = ""
    beam_pipeline_args: tuple[str, ...] = ()
    enable_cache: bool = True
    seed: Annotated[int, Range(at_least=0, at_most=2**32 - 1)] = 0
    show_progress: bool = True
    image: str | None = None
    project: str | None = None
    region: str | None = None
    service_account: str | None = None
    resources: dict[str, ComponentResources] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Defaults that follow from another setting; the class is frozen for everybody else.
        name = self.pipeline_name or self.default_name
        root = self.pipeline_root or f"runs/pipelines/{name}"
        derived = {
            "pipeline_name": name,
            "pipeline_root": root,
            "metadata_path": self.metadata_path or f"{root}/metadata.sqlite",
            "push_folder": self.push_folder or f"{root}/pushed/{name}",
        }
        for setting, value in derived.items():
            object.__setattr__(self, setting, value)
        if not _PIPELINE_NAME.fullmatch(name):
            raise BadInputError(
                "`pipeline_name` must be lower-case letters, digits and hyphens, 128 at most. "
                f"Received: pipeline_name={name!r}. Give such as '{self.default_name}'."
            )

    @property
    def accepted_schema(self) -> str:
        """The file, under the pipeline's root, with the schema of the data that passed last."""
        return f"{self.pipeline_root}/accepted_schemas/{self.pipeline_name}.json"

    def resources_of(self, component: str) -> ComponentResources:
        """What a component may use."""
        return self.resources.get(component, ComponentResources())


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(PipelineSettings):
    """The hyper-parameters that pretraining and fine-tuning share: those of `kerasbert.recipes.start.Start`.

    Attributes:
        model: without a model to start from: a named size such as "bert-tiny", or a `config.json`.
        lower_case, strip_accents: without a model to start from: how the tokenizer normalizes.
        sequence_length: the most tokens of an input, special tokens counted.
        batch_size: rows in a batch.
        learning_rate: at its peak.
        warmup_share: share of the updates over which the learning rate rises.
        weight_decay: of all but norms and biases.
        beta_2: memory of the squared gradients.
        clip_norm: the largest norm of the gradients.
        accumulation_steps: batches whose gradients make one update.
        optimizer: "adamw" or "original" (google-research/bert's).
        dropout: of hidden states and attention; None keeps the config's.
        precision: a Keras dtype policy.
        jit_compile: whether XLA compiles the step; None chooses.
        checkpoint_every, log_every: steps between training states, and between lines of the history.
    """

    model: LocalOrRemote = "bert-tiny"
    lower_case: bool = True
    strip_accents: bool | None = None
    sequence_length: Length = 128
    batch_size: Count = 32
    learning_rate: Positive = 1e-4
    warmup_share: Share = 0.1
    weight_decay: Annotated[float, Range(at_least=0)] = 0.01
    beta_2: Annotated[float, Range(at_least=0, below=1)] = 0.999
    clip_norm: Positive = 1.0
    accumulation_steps: Count = 1
    optimizer: Literal["adamw", "original"] = "adamw"
    dropout: Annotated[float, Range(at_least=0, below=1)] | None = None
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "bfloat16"] = "float32"
    jit_compile: bool | None = None
    checkpoint_every: Count = 500
    log_every: Count = 50


@dataclass(frozen=True, kw_only=True)
class PretrainSettings(TrainingSettings):
    """The pretraining pipeline.

    Attributes:
        texts: a folder, a file or a pattern. Plain text, plain or gzipped: one sentence a line, a blank line between
            documents. Or tables (.csv, .tsv, .jsonl, or one of these and .gz) with `text_column`.
        text_column: of tables: each row's text is a document, and each of its lines a sentence.
        held_out_share: share of documents kept for evaluation, chosen by a hash of their text.
        schema: a schema file that the documents' statistics must meet; None infers one from this run's documents.
        accept_new_schema: whether documents may be in other scripts than those of the last run that passed.
        vocabulary: a vocabulary file; None learns one.
        vocabulary_size: the most word pieces to learn.
        vocabulary_min_count: a piece longer than one character must occur so often to be learnt.
        vocabulary_megabytes: a vocabulary is learnt from about so much text, chosen by a hash of each document.
        max_unknown_share: the largest share of words of the text that the vocabulary may not know.
        masking: "dynamic" writes segments, which are masked anew each time they are trained on; "static" writes
            masked instances, with other masks in each pass over the text.
        range_megabytes: text files are read in ranges of this size, by as many workers as there are.
        bucket_megabytes: documents of about so much text are mixed and paired in one worker's memory at a time.
        base_model: a model folder to go on from; None begins with random weights.
        steps: batches in all.
        long_sequence_length: the most tokens of an input in the last steps.
        long_share: the share of those steps; 0 leaves them out.
        masked_lm_rate: share of tokens that are masked.
        max_predictions: the most masked positions of a short input; None takes `masked_lm_rate` of its length.
        whole_word: mask whole words.
        dupe_factor: passes over each document, each with other pairs.
        short_sequence_probability: share of passes with a random shorter length.
        validate_every: steps between evaluations on held-out text; None evaluates after each phase only.
        min_masked_lm_accuracy, min_next_sentence_accuracy: a model below either is not blessed.
        max_masked_lm_loss: a model above it is not blessed.
        max_loss_increase: a model whose held-out loss is higher than the last pushed model's by more is not blessed.
    """

    default_name: ClassVar[str] = "kerasbert-pretrain"

    texts: LocalOrRemote = ""
    text_column: str | None = None
    held_out_share: Annotated[float, Range(above=0, below=1)] = 0.05
    schema: LocalOrRemote | None = None
    accept_new_schema: bool = False
    vocabulary: LocalOrRemote | None = None
    vocabulary_size: Annotated[int, Range(at_least=7, at_most=2**31 - 1)] = 30522
    vocabulary_min_count: Count = 2
    vocabulary_megabytes: Megabytes = 200.0
    max_unknown_share: Share = 0.2
    masking: Literal["dynamic", "static"] = "dynamic"
    range_megabytes: Megabytes = 32.0
    bucket_megabytes: Megabytes = 16.0
    base_model: LocalOrRemote | None = None
    steps: Count = 10_000
    long_sequence_length: Length = 512
    long_share: Share = 0.1
    masked_lm_rate: Annotated[float, Range(above=0, at_most=1)] = 0.15
    max_predictions: Count | None = None
    whole_word: bool = False
    dupe_factor: Count = 10
    short_sequence_probability: Share = 0.1
    validate_every: Count | None = None
    min_masked_lm_accuracy: Share = 0.0
    min_next_sentence_accuracy: Share = 0.0
    max_masked_lm_loss: Finite | None = None
    max_loss_increase: Finite = 0.0


@dataclass(frozen=True, kw_only=True)
class FineTuneSettings(TrainingSettings):
    """The fine-tuning pipeline.

    Attributes:
        data: a folder, a file or a pattern of labelled rows: CSV, TSV, JSONL (plain or gzipped) or TFRecord of
            tf.Examples, told by the names' endings.
        text_column, pair_column, label_column: names of columns; `pair_column` for tasks on pairs.
        label_separator: between the labels of one row (multi-label).
        task: what the labels are.
        train_share, validation_share, test_share: shares of the rows, chosen by a hash of their text. Without test rows
            the validation rows judge the model.
        schema: a schema file that the rows must meet; None infers one from the training rows.
        accept_new_schema: whether columns and labels may differ from those of the last run.
        start_from: the model to start from, of any kind that `kerasbert.checkpoints.load` knows: a folder, or that of a
            pretraining run. None begins with random weights and needs a `vocabulary`.
        vocabulary: the vocabulary file, without `start_from`.
        max_unknown_share: the largest share of words of the training rows that the vocabulary may not know.
        epochs: how often the training rows are gone through.
        early_stopping_patience: epochs without a better validation figure after which training ends.
        monitor: the validation figure that counts as better; None chooses by the task.
        tune: whether keras-tuner looks for the best learning rate, batch size and dropout first.
        tuner_trials: how many it tries.
        metric: the figure that the thresholds are on; None chooses by the task.
        min_metric: a model below it is not blessed, or above it where the figure is an error. None sets no such bound.
        max_metric_decrease: a model that is worse than the last blessed one by more is not blessed.
        infra_validator: whether a Docker container must serve the model first: "yes", "no", or "auto" where a daemon
            answers, but not where an `image` says that the pipeline is for a cluster.
        bulk_inference: a file, a folder or a pattern of tables to label with the blessed model; None leaves it out.
    """

    default_name: ClassVar[str] = "kerasbert-fine-tune"

    data: LocalOrRemote = ""
    text_column: str = "text"
    pair_column: str | None = None
    label_column: str = "label"
    label_separator: str = ";"
    task: Literal["single_label_classification", "multi_label_classification", "regression", "token_classification"] = (
        "single_label_classification"
    )
    train_share: Share = 0.8
    validation_share: Share = 0.1
    test_share: Share = 0.1
    schema: LocalOrRemote | None = None
    accept_new_schema: bool = False
    start_from: LocalOrRemote | None = None
    vocabulary: LocalOrRemote | None = None
    max_unknown_share: Share = 0.2
    learning_rate: Positive = 5e-5
    epochs: Count = 3
    early_stopping_patience: Count | None = None
    monitor: str | None = None
    tune: bool = False
    tuner_trials: Count = 8
    metric: str | None = None
    min_metric: Finite | None = None
    max_metric_decrease: Finite = 0.0
    infra_validator: Literal["auto", "yes", "no"] = "auto"
    bulk_inference: LocalOrRemote | None = None


# A compiled pipeline holds its settings; what is left to say is where it is submitted to.
KINDS: dict[str, type[PipelineSettings]] = {
    "pretrain": PretrainSettings,
    "fine-tune": FineTuneSettings,
    "submit": PipelineSettings,
}


def read_settings(
    kind: str, path: str | os.PathLike[str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Any:
    """The settings of one pipeline, from overrides, a YAML file and the environment, in this order.

    Args:
        kind: "pretrain" or "fine-tune", or "submit" for what submission needs.
        path: a YAML file of setting: value, or None.
        overrides: setting -> value, such as flags.

    Returns:
        `PretrainSettings`, `FineTuneSettings` or `PipelineSettings`.

    Raises:
        BadInputError: the file cannot be read, or a setting is unknown or has a value that it cannot have.
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}.")
    settings = KINDS[kind]
    environment = {name: os.environ[variable] for name, variable in ENVIRONMENT.items() if os.environ.get(variable)}
    sources = [("the environment", environment)]
    if path is not None:
        sources.append((f"'{path}'", read_yaml(Path(path))))
    sources.append(("the command line", dict(overrides or {})))
    return checked_settings(settings, sources)


def shared_values(settings: PipelineSettings, target: type) -> dict[str, Any]:
    """The settings that another dataclass has too, such as those of `kerasbert.recipes`, as keyword arguments."""
    names = {field.name for field in dataclasses.fields(target)}
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings) if field.name in names}
