"""The fine-tuning pipeline: from labelled rows to a pushed model.

The same definition runs locally and compiles for Vertex AI and Kubeflow. For the metrics that a model must reach, see
fine_tune_evaluation.py. For the training, see `kerasbert.recipes.fine_tune`. For the nodes that use the trained model,
apart from the evaluation, see fine_tune_serving.py.
"""

import dataclasses
import json
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.components import ExampleValidator, StatisticsGen, Trainer, Tuner
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2

from kerasbert.data import TableFormat
from kerasbert.errors import BadInputError
from kerasbert.settings import FineTuningSettings
from kerasbert_pipelines.assembly import assembled, experiment_nodes, model_importer, model_pusher, unfinished_folder
from kerasbert_pipelines.fine_tune_evaluation import eval_config
from kerasbert_pipelines.fine_tune_serving import bulk_inference_nodes, infra_validator, wants_infra_validator
from kerasbert_pipelines.settings import FineTuneSettings, shared_values
from kerasbert_tfx.components.comparing_evaluator import ComparingEvaluator
from kerasbert_tfx.components.data_check import DataCheck
from kerasbert_tfx.components.labelled_example_gen import LabelledExampleGen
from kerasbert_tfx.components.labelled_schema_gen import MOST_LABELS, LabelledSchemaGen
from kerasbert_tfx.components.schema_import import SchemaImport
from kerasbert_tfx.components.skew_check import SkewCheck
from kerasbert_tfx.components.vertex_tuner import VertexTuner
from kerasbert_tfx.evaluation import evaluation_views
from kerasbert_tfx.records.fingerprints import setting_fingerprint
from kerasbert_tfx.records.input_files import folder_and_pattern
from kerasbert_tfx.records.labelled_records import TASKS, Columns
from kerasbert_tfx.vertex.tuning_job import TrialJobs
from kerasbert_tfx.vertex.vertex_settings import check_place

_MODULE = "kerasbert_tfx.modules.fine_tuning"
# Settings of training that the rows or the pipeline's own artifacts replace.
_NOT_FOR_TRAINING = ("start_from", "schema")


def create_pipeline(settings: FineTuneSettings) -> Pipeline:
    """Returns the pipeline, with new nodes for each call.

    Args:
        settings: The pipeline's settings.

    Raises:
        BadInputError: If a setting is missing, or if settings contradict each other.
    """
    columns = _checked_columns(settings)
    examples = LabelledExampleGen(*folder_and_pattern(settings.data), columns, _shares(settings))
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
    if wants_infra_validator(settings):
        validator = infra_validator(trainer, examples)
        blessings["infra_blessing"] = validator.outputs["blessing"]
        nodes.append(validator)
    pusher = model_pusher(trainer, settings, **blessings)
    pusher.add_upstream_node(skew_check)
    nodes.append(pusher)
    if settings.bulk_inference:
        nodes += bulk_inference_nodes(settings, columns, trainer, evaluator)
    nodes += experiment_nodes(settings, trainer, evaluator)
    return assembled(nodes, settings)


# === Data ===


def _checked_columns(settings: FineTuneSettings) -> Columns:
    if not settings.data:
        raise BadInputError(
            "The pipeline needs labelled rows. Received: no `data`. Set `data` to a folder, a file or a pattern."
        )
    if settings.start_from is None and settings.vocabulary is None:
        raise BadInputError(
            "Training must start from a model, or from random weights with a vocabulary. Received: no `start_from` "
            "and no `vocabulary`. Set one of them."
        )
    if settings.task not in TASKS:
        raise BadInputError(
            f"The pipeline trains models for {', '.join(TASKS)}. Received: task={settings.task!r}. "
            "Set `task` to one of these, or use `kerasbert fine-tune`, which has every task."
        )
    return Columns(
        text=settings.text_column,
        pair=settings.pair_column,
        label=settings.label_column,
        task=settings.task,
        label_separator=settings.label_separator,
        **shared_values(settings, TableFormat),
    )


def _shares(settings: FineTuneSettings) -> dict[str, float]:
    """Returns split -> share, with the names of splits that TFX expects."""
    shares = {"train": settings.train_share, "eval": settings.validation_share, "test": settings.test_share}
    if min(shares["train"], shares["eval"]) <= 0:
        raise BadInputError(
            "`train_share` and `validation_share` must be above 0. Received: train_share="
            f"{settings.train_share}, validation_share={settings.validation_share}. "
            "For example, use 0.8, 0.1 and `test_share: 0.1`."
        )
    return shares


def _data_nodes(settings: FineTuneSettings, examples: BaseNode) -> tuple[BaseNode, list[BaseNode]]:
    """Returns the check that the rows must pass, and the list of it and the nodes that it needs."""
    statistics = StatisticsGen(
        examples=examples.outputs["examples"],
        stats_options=tfdv.StatsOptions(num_top_values=MOST_LABELS, num_rank_histogram_buckets=MOST_LABELS),
    )
    if settings.schema:
        schema = SchemaImport(path=settings.schema, fingerprint=setting_fingerprint(settings.schema))
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
    """Returns the Trainer, and the list of it and the nodes that it needs: model to start from and Tuner."""
    nodes: list[BaseNode] = []
    shared: dict[str, Any] = {
        "examples": examples.outputs["examples"],
        "train_args": trainer_pb2.TrainArgs(splits=["train"]),
        "eval_args": trainer_pb2.EvalArgs(splits=[name for name, share in _shares(settings).items() if share][1:]),
    }
    config = _custom_config(settings, columns)
    if settings.start_from:
        start = model_importer(settings.start_from, "StartModel")
        nodes.append(start)
        shared["base_model"] = start.outputs["result"]
    best = None
    if settings.tune:
        tuner = _tuner(settings, config, shared)
        nodes.append(tuner)
        best = tuner.outputs["best_hyperparameters"]
    trainer = Trainer(run_fn=f"{_MODULE}.run_fn", hyperparameters=best, custom_config=config, **shared)
    return trainer, [*nodes, trainer]


def _tuner(settings: FineTuneSettings, config: dict[str, Any], shared: dict[str, Any]) -> BaseNode:
    """Returns the node that searches for hyperparameters, in its own step or with jobs on Vertex AI."""
    config = {**config, "trials": settings.tuner_trials}
    function = f"{_MODULE}.tuner_fn"
    if settings.tuner == "keras_tuner":
        return Tuner(tuner_fn=function, custom_config=config, **shared)
    project, region = check_place(settings.project, settings.region, "`tuner: vertex`")
    vertex = settings.vertex
    jobs = TrialJobs(
        project=project,
        region=region,
        image=str(settings.resources_of("Tuner").image or settings.image),
        machine_type=vertex.tuner_machine_type,
        accelerator=vertex.tuner_accelerator,
        accelerator_count=vertex.tuner_accelerator_count,
        parallel_trials=vertex.tuner_parallel_trials,
        service_account=settings.service_account,
        labels=vertex.labels or {},
    )
    config["vertex_trials"] = dataclasses.asdict(jobs)
    return VertexTuner(tuner_fn=function, custom_config=config, **shared).with_id("Tuner")


def _custom_config(settings: FineTuneSettings, columns: Columns) -> dict[str, Any]:
    """Returns the input of the Trainer's module: see tfx/modules/fine_tuning.py."""
    values = shared_values(settings, FineTuningSettings)
    config: dict[str, Any] = {
        "columns": dataclasses.asdict(columns),
        "settings": {name: value for name, value in values.items() if name not in _NOT_FOR_TRAINING},
        "serving_precision": settings.serving_precision,
        "starts_from_model": settings.start_from is not None,
        "unfinished": unfinished_folder(settings),
    }
    if settings.vocabulary and not settings.start_from:
        config["vocabulary_fingerprint"] = setting_fingerprint(settings.vocabulary)
    return config
