"""The fine-tuning pipeline: labelled rows in, a served model out.

Runs by LocalDagRunner and compiles, unchanged, by KubeflowV2DagRunner. Which metrics let a model through: see
fine_tune_evaluation.py. What training does: see `kerasbert.recipes.fine_tune`.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.components import BulkInferrer, ExampleValidator, InfraValidator, StatisticsGen, Trainer, Tuner
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import bulk_inferrer_pb2, infra_validator_pb2, pusher_pb2, trainer_pb2
from tfx.types.standard_artifacts import Model

from kerasbert.errors import BadInputError
from kerasbert.settings import FineTuningSettings
from kerasbert_pipelines.fine_tune_evaluation import SIGNATURE, eval_config
from kerasbert_pipelines.local.metadata_store import metadata_connection
from kerasbert_pipelines.settings import FineTuneSettings, shared_values
from kerasbert_pipelines.vertex_and_kubeflow.resources import with_resources
from kerasbert_tfx.components.comparing_evaluator import ComparingEvaluator
from kerasbert_tfx.components.data_check import DataCheck
from kerasbert_tfx.components.labelled_example_gen import LabelledExampleGen
from kerasbert_tfx.components.labelled_schema_gen import MOST_LABELS, LabelledSchemaGen
from kerasbert_tfx.components.model_pusher import ModelPusher
from kerasbert_tfx.components.schema_import import SchemaImport
from kerasbert_tfx.components.skew_check import SkewCheck
from kerasbert_tfx.evaluation import evaluation_views
from kerasbert_tfx.records.fingerprints import fingerprint
from kerasbert_tfx.records.labelled_records import UNLABELLED, Columns
from kerasbert_tfx.records.text_ranges import folder_and_pattern

_MODULE = "kerasbert_tfx.modules.fine_tuning"
# Settings of training that the rows or the pipeline's own artifacts take the place of.
_NOT_FOR_TRAINING = ("start_from", "schema")


def create_pipeline(settings: FineTuneSettings) -> Pipeline:
    """The pipeline, with new nodes at each call.

    Raises:
        BadInputError: settings contradict each other.
    """
    columns = _checked_columns(settings)
    examples = _example_gen(settings.data, columns, _shares(settings))
    check, data_nodes = _data_nodes(settings, examples)
    trainer, training_nodes = _training_nodes(settings, columns, examples)
    for node in training_nodes:
        node.add_upstream_node(check)
    evaluator = ComparingEvaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        eval_config=eval_config(settings),
        example_splits=["test" if settings.test_share else "eval"],
        module_path=evaluation_views.__name__,
        push_folder=settings.push_folder,
    )
    skew_check = SkewCheck(model=trainer.outputs["model"], model_run=trainer.outputs["model_run"])
    blessings = {"model_blessing": evaluator.outputs["blessing"]}
    nodes = [examples, *data_nodes, *training_nodes, evaluator, skew_check]
    if _wants_infra_validator(settings):
        validator = _infra_validator(trainer, examples)
        blessings["infra_blessing"] = validator.outputs["blessing"]
        nodes.append(validator)
    pusher = ModelPusher(
        model=trainer.outputs["model"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=settings.push_folder)
        ),
        **blessings,
    )
    pusher.add_upstream_node(skew_check)
    nodes.append(pusher)
    if settings.bulk_inference:
        nodes += _bulk_inference_nodes(settings, columns, trainer, evaluator)
    return Pipeline(
        pipeline_name=settings.pipeline_name,
        pipeline_root=settings.pipeline_root,
        components=with_resources(nodes, settings),
        enable_cache=settings.enable_cache,
        beam_pipeline_args=list(settings.beam_pipeline_args),
        metadata_connection_config=metadata_connection(settings),
    )


def docker_answers() -> bool:
    """Whether a Docker daemon answers, which InfraValidator needs."""
    import docker

    socket = os.environ.get("DOCKER_HOST", docker.constants.DEFAULT_UNIX_SOCKET).removeprefix("http+")
    # The client does not close what it opened where no daemon listens.
    if socket.startswith("unix://") and not os.path.exists(socket.removeprefix("unix://")):
        return False
    try:
        with contextlib.closing(docker.from_env(timeout=2)) as client:
            return bool(client.ping())
    except docker.errors.DockerException:
        return False


def _wants_infra_validator(settings: FineTuneSettings) -> bool:
    """Without a daemon it would bless no model, so that nothing would ever be pushed; and clusters refuse it.

    Raises:
        BadInputError: it is asked for where it cannot run.
    """
    if settings.infra_validator == "no":
        return False
    obstacle = "the pipeline is for a cluster, as its `image` says" if settings.image else "no Docker daemon answers"
    can_run = settings.image is None and docker_answers()
    if settings.infra_validator == "yes" and not can_run:
        raise BadInputError(
            "InfraValidator needs a Docker daemon on this machine. Received: infra_validator='yes', but "
            f"{obstacle}. Start one, or set `infra_validator: auto`."
        )
    return can_run


# === Data ===


def _checked_columns(settings: FineTuneSettings) -> Columns:
    if not settings.data:
        raise BadInputError("The pipeline needs labelled rows. Received: no `data`. Name a folder, file or pattern.")
    if settings.start_from is None and settings.vocabulary is None:
        raise BadInputError(
            "Training must start from a model, or from nothing with a vocabulary. Received: neither `start_from` nor "
            "`vocabulary`. Name one of them."
        )
    return Columns(
        text=settings.text_column,
        pair=settings.pair_column,
        label=settings.label_column,
        task=settings.task,
        label_separator=settings.label_separator,
    )


def _shares(settings: FineTuneSettings) -> dict[str, float]:
    """Split -> share; the names are those that TFX expects."""
    shares = {"train": settings.train_share, "eval": settings.validation_share, "test": settings.test_share}
    if min(shares["train"], shares["eval"]) <= 0:
        raise BadInputError(
            "Training and validation rows must be there. Received: "
            f"train_share={settings.train_share}, validation_share={settings.validation_share}. Give such as 0.8, 0.1."
        )
    return shares


def _example_gen(data: str, columns: Columns, shares: Mapping[str, float]) -> LabelledExampleGen:
    """The rows of a folder, a file or a pattern."""
    return LabelledExampleGen(*folder_and_pattern(data), columns, shares)


def _data_nodes(settings: FineTuneSettings, examples: BaseNode) -> tuple[BaseNode, list[BaseNode]]:
    """The check that the rows must pass, and what it needs."""
    statistics = StatisticsGen(
        examples=examples.outputs["examples"],
        stats_options=tfdv.StatsOptions(num_top_values=MOST_LABELS, num_rank_histogram_buckets=MOST_LABELS),
    )
    if settings.schema:
        schema = SchemaImport(path=settings.schema, fingerprint=_fingerprint(settings.schema))
    else:
        schema = LabelledSchemaGen(
            statistics=statistics.outputs["statistics"],
            columns=json.dumps(dataclasses.asdict(_checked_columns(settings))),
        )
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    check = DataCheck(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        anomalies=validator.outputs["anomalies"],
        last_accepted=settings.accepted_schema,
        label=settings.label_column,
        accept_new_schema=settings.accept_new_schema,
    )
    return check, [statistics, schema, validator, check]


# === Training ===


def _training_nodes(
    settings: FineTuneSettings, columns: Columns, examples: BaseNode
) -> tuple[BaseNode, list[BaseNode]]:
    """The trainer, and what it needs: the model to start from, and the tuner."""
    nodes: list[BaseNode] = []
    shared: dict[str, Any] = {
        "examples": examples.outputs["examples"],
        "train_args": trainer_pb2.TrainArgs(splits=["train"]),
        "eval_args": trainer_pb2.EvalArgs(splits=[name for name, share in _shares(settings).items() if share][1:]),
    }
    config = _custom_config(settings, columns)
    if settings.start_from:
        start = Importer(
            source_uri=settings.start_from,
            artifact_type=Model,
            # Another model under the same name is another artifact.
            custom_properties={"fingerprint": _fingerprint(settings.start_from)},
        ).with_id("StartModel")
        nodes.append(start)
        shared["base_model"] = start.outputs["result"]
    best = None
    if settings.tune:
        tuner = Tuner(
            tuner_fn=f"{_MODULE}.tuner_fn", custom_config={**config, "trials": settings.tuner_trials}, **shared
        )
        nodes.append(tuner)
        best = tuner.outputs["best_hyperparameters"]
    trainer = Trainer(run_fn=f"{_MODULE}.run_fn", hyperparameters=best, custom_config=config, **shared)
    return trainer, [*nodes, trainer]


def _custom_config(settings: FineTuneSettings, columns: Columns) -> dict[str, Any]:
    """What the trainer's module is given: see kerasbert_tfx/modules/fine_tuning.py."""
    values = shared_values(settings, FineTuningSettings)
    config: dict[str, Any] = {
        "columns": dataclasses.asdict(columns),
        "settings": {name: value for name, value in values.items() if name not in _NOT_FOR_TRAINING},
        "starts_from_model": settings.start_from is not None,
    }
    if settings.vocabulary and not settings.start_from:
        config["vocabulary_fingerprint"] = _fingerprint(settings.vocabulary)
    return config


# === Serving ===


def _infra_validator(trainer: BaseNode, examples: BaseNode) -> BaseNode:
    """A TensorFlow Serving container must load the model and answer for a few rows."""
    return InfraValidator(
        model=trainer.outputs["model"],
        examples=examples.outputs["examples"],
        serving_spec=infra_validator_pb2.ServingSpec(
            tensorflow_serving=infra_validator_pb2.TensorFlowServing(tags=["latest"]),
            local_docker=infra_validator_pb2.LocalDockerConfig(),
        ),
        request_spec=infra_validator_pb2.RequestSpec(
            tensorflow_serving=infra_validator_pb2.TensorFlowServingRequestSpec(signature_names=[SIGNATURE]),
            num_examples=3,
        ),
    )


def _bulk_inference_nodes(
    settings: FineTuneSettings, columns: Columns, trainer: BaseNode, evaluator: BaseNode
) -> list[BaseNode]:
    """Labels a table of bare texts with the model, if that is blessed: best label first."""
    bare = dataclasses.replace(columns, task=UNLABELLED)
    examples = _example_gen(str(settings.bulk_inference), bare, {"unlabelled": 1.0}).with_id("BulkExampleGen")
    # TFX reads no string of a row from a Predict signature, but Classify's lists of strings.
    if settings.task == "token_classification":
        signature = SIGNATURE
        names = ("entities", "labels", "probabilities", "starts", "ends")
        columns_spec = bulk_inferrer_pb2.OutputColumnsSpec(
            signature_name=signature,
            predict_output=bulk_inferrer_pb2.PredictOutput(
                output_columns=[
                    bulk_inferrer_pb2.PredictOutputCol(output_key=name, output_column=name) for name in names
                ]
            ),
        )
    elif settings.task == "regression":
        signature = "regress"
        columns_spec = bulk_inferrer_pb2.OutputColumnsSpec(
            signature_name=signature, regress_output=bulk_inferrer_pb2.RegressOutput(value_column="prediction")
        )
    else:
        signature = "classify"
        columns_spec = bulk_inferrer_pb2.OutputColumnsSpec(
            signature_name=signature,
            classify_output=bulk_inferrer_pb2.ClassifyOutput(label_column="labels", score_column="probabilities"),
        )
    inferrer = BulkInferrer(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        data_spec=bulk_inferrer_pb2.DataSpec(),
        model_spec=bulk_inferrer_pb2.ModelSpec(model_signature_name=[signature]),
        output_example_spec=bulk_inferrer_pb2.OutputExampleSpec(output_columns_spec=[columns_spec]),
    )
    return [examples, inferrer]


def _fingerprint(path: str) -> str:
    """A local file's or folder's; a bucket's address stands for itself."""
    return path if "://" in path else fingerprint(Path(path))
