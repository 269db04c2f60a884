"""The pretraining pipeline: text in, a pretrained model with its vocabulary out.

Runs by run_local.py and compiles, unchanged, by KubeflowV2DagRunner. What each component does stands with it; this file
holds the arrows between them.
"""

import json
import os
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.components import ExampleValidator, SchemaGen, StatisticsGen, Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2
from tfx.types.standard_artifacts import Model

from kerasbert.errors import BadInputError
from kerasbert.settings import PretrainingSettings
from kerasbert_pipelines.local.metadata_store import metadata_connection
from kerasbert_pipelines.settings import PretrainSettings, shared_values
from kerasbert_pipelines.vertex_and_kubeflow.resources import with_resources
from kerasbert_tfx.components.document_check import DocumentCheck
from kerasbert_tfx.components.document_examples import DocumentExamples
from kerasbert_tfx.components.model_pusher import ModelPusher
from kerasbert_tfx.components.preprocessing_maker import PreprocessingMaker
from kerasbert_tfx.components.pretraining_evaluator import PretrainingEvaluator
from kerasbert_tfx.components.pretraining_instances import PretrainingInstances
from kerasbert_tfx.components.schema_import import SchemaImport
from kerasbert_tfx.records.document_records import STATISTICS_FEATURES
from kerasbert_tfx.records.fingerprints import fingerprint

_MEGABYTE = 1_000_000
# Settings of the recipe that the pipeline's own artifacts take the place of.
_NOT_FOR_TRAINING = (
    "texts",
    "vocabulary",
    "max_unknown_share",
    "held_out_share",
    "dupe_factor",
    "short_sequence_probability",
)
# What the held-out metrics depend on.
_FOR_EVALUATION = (
    "sequence_length",
    "long_sequence_length",
    "steps",
    "long_share",
    "batch_size",
    "masked_lm_rate",
    "max_predictions",
    "whole_word",
    "precision",
)
_THRESHOLDS = ("min_masked_lm_accuracy", "min_next_sentence_accuracy", "max_masked_lm_loss", "max_loss_increase")


def create_pipeline(settings: PretrainSettings) -> Pipeline:
    """The pipeline, with new nodes at each call.

    Raises:
        BadInputError: settings are missing or contradict each other.
    """
    _check(settings)
    recipe = PretrainingSettings(output="", **recipe_values(settings))
    examples = DocumentExamples(
        settings.texts, settings.held_out_share, settings.text_column, int(settings.range_megabytes * _MEGABYTE)
    )
    check, data_nodes = _data_nodes(settings, examples)
    preprocessing = PreprocessingMaker(
        examples=examples.outputs["examples"], options=_json(_preprocessing_options(settings))
    )
    instances = PretrainingInstances(
        examples=examples.outputs["examples"],
        preprocessing=preprocessing.outputs["preprocessing"],
        make_fn="kerasbert_tfx.records.instance_making.make_instances",
        options=_json(_instance_options(settings, recipe)),
    )
    for node in (preprocessing, instances):
        node.add_upstream_node(check)
    trainer, training_nodes = _training_nodes(settings, instances)
    evaluator = PretrainingEvaluator(
        model=trainer.outputs["model"],
        instances=instances.outputs["instances"],
        settings=_json({name: getattr(settings, name) for name in _FOR_EVALUATION}),
        thresholds=_json({name: getattr(settings, name) for name in _THRESHOLDS}),
        push_folder=settings.push_folder,
    )
    pusher = ModelPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=settings.push_folder)
        ),
    )
    nodes = [examples, *data_nodes, preprocessing, instances, *training_nodes, evaluator, pusher]
    return Pipeline(
        pipeline_name=settings.pipeline_name,
        pipeline_root=settings.pipeline_root,
        components=with_resources(nodes, settings),
        enable_cache=settings.enable_cache,
        beam_pipeline_args=list(settings.beam_pipeline_args),
        metadata_connection_config=metadata_connection(settings),
    )


def _check(settings: PretrainSettings) -> None:
    if not settings.texts:
        raise BadInputError("The pipeline needs text. Received: no `texts`. Name a folder, a file or a pattern.")
    for name in ("schema", "vocabulary", "base_model"):
        path = getattr(settings, name)
        if path and "://" not in path and not os.path.exists(path):
            raise BadInputError(f"`{name}` must be there. Received: {name}='{path}', which does not exist. Check it.")
    if not 0 < settings.held_out_share < 1:
        raise BadInputError(
            "`held_out_share` must lie between 0 and 1. Received: "
            f"held_out_share={settings.held_out_share}. Give such as 0.05."
        )


def recipe_values(settings: PretrainSettings) -> dict[str, Any]:
    """The settings of training, as `kerasbert.recipes.PretrainingSettings` names them."""
    values = shared_values(settings, PretrainingSettings)
    return {name: value for name, value in values.items() if name not in _NOT_FOR_TRAINING}


def _data_nodes(settings: PretrainSettings, examples: BaseNode) -> tuple[BaseNode, list[BaseNode]]:
    """The check that the documents must pass, and what it needs."""
    statistics = StatisticsGen(
        examples=examples.outputs["examples"],
        stats_options=tfdv.StatsOptions(feature_allowlist=STATISTICS_FEATURES),
    )
    if settings.schema:
        schema = SchemaImport(path=settings.schema, fingerprint=_fingerprint(settings.schema))
    else:
        schema = SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    check = DocumentCheck(
        anomalies=validator.outputs["anomalies"],
        schema=schema.outputs["schema"],
        schema_source=f"'{settings.schema}'" if settings.schema else "this run",
        last_accepted=settings.accepted_schema,
        accept_new_schema=settings.accept_new_schema,
    )
    return check, [statistics, schema, validator, check]


def _preprocessing_options(settings: PretrainSettings) -> dict[str, Any]:
    return {
        "vocabulary": settings.vocabulary,
        "vocabulary_fingerprint": _fingerprint(settings.vocabulary),
        "model": settings.base_model,
        "model_fingerprint": _fingerprint(settings.base_model),
        "size": settings.vocabulary_size,
        "min_count": settings.vocabulary_min_count,
        "characters": int(settings.vocabulary_megabytes * _MEGABYTE),
        "lower_case": settings.lower_case,
        "strip_accents": settings.strip_accents,
        "sequence_length": settings.sequence_length,
        "max_unknown_share": settings.max_unknown_share,
    }


def _instance_options(settings: PretrainSettings, recipe: PretrainingSettings) -> dict[str, Any]:
    """Fields of `kerasbert_tfx.records.instance_making.InstanceSettings`: only what the records depend on."""
    options: dict[str, Any] = {
        "lengths": recipe.lengths(),
        "seed": settings.seed,
        "dupe_factor": settings.dupe_factor,
        "short_sequence_probability": settings.short_sequence_probability,
        "bucket_characters": int(settings.bucket_megabytes * _MEGABYTE),
    }
    if settings.masking == "static":
        options |= {
            "masked": True,
            "masked_lm_rate": settings.masked_lm_rate,
            "predictions": {phase: recipe.predictions(length) for phase, length in recipe.lengths().items()},
            "whole_word": settings.whole_word,
        }
    return options


def _training_nodes(settings: PretrainSettings, instances: BaseNode) -> tuple[BaseNode, list[BaseNode]]:
    """The trainer, and the model that it goes on from."""
    nodes: list[BaseNode] = []
    base_model = None
    if settings.base_model:
        importer = Importer(
            source_uri=settings.base_model,
            artifact_type=Model,
            # Another model under the same name is another artifact.
            custom_properties={"fingerprint": _fingerprint(settings.base_model)},
        ).with_id("BaseModel")
        nodes.append(importer)
        base_model = importer.outputs["result"]
    trainer = Trainer(
        run_fn="kerasbert_tfx.modules.pretraining.run_fn",
        examples=instances.outputs["instances"],
        base_model=base_model,
        train_args=trainer_pb2.TrainArgs(num_steps=settings.steps),
        eval_args=trainer_pb2.EvalArgs(),
        custom_config={
            "settings": recipe_values(settings),
            "is_masked": settings.masking == "static",
            "starts_from_model": settings.base_model is not None,
        },
    )
    return trainer, [*nodes, trainer]


def _fingerprint(path: str | None) -> str:
    """What changes when a local file or folder changes; a bucket's content is taken to stay as it is."""
    return fingerprint(path) if path and "://" not in path else ""


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
