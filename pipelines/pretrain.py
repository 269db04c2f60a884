"""The pretraining pipeline: from text to a pretrained model with its vocabulary.

The same definition runs locally and compiles for Vertex AI and Kubeflow. This module connects the components, whose
modules describe them.
"""

import json
import os
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.components import ExampleValidator, SchemaGen, StatisticsGen, Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2

from kerasbert.data import TableFormat
from kerasbert.errors import BadInputError
from kerasbert.settings import PretrainingSettings
from kerasbert_pipelines.assembly import assembled, experiment_nodes, model_importer, model_pusher, unfinished_folder
from kerasbert_pipelines.settings import PretrainSettings, shared_values
from kerasbert_tfx.components.document_check import DocumentCheck
from kerasbert_tfx.components.document_examples import DocumentExamples
from kerasbert_tfx.components.preprocessing_maker import PreprocessingMaker
from kerasbert_tfx.components.pretraining_evaluator import PretrainingEvaluator
from kerasbert_tfx.components.pretraining_instances import PretrainingInstances
from kerasbert_tfx.components.schema_import import SchemaImport
from kerasbert_tfx.records.document_records import STATISTICS_FEATURES
from kerasbert_tfx.records.fingerprints import setting_fingerprint
from kerasbert_tfx.records.remote_folders import is_remote

_MEGABYTE = 1_000_000
# Settings of the recipe that the pipeline's own artifacts replace.
_NOT_FOR_TRAINING = (
    "texts",
    "start_from",
    "vocabulary",
    "max_unknown_share",
    "held_out_share",
    "dupe_factor",
    "short_sequence_probability",
)
# Settings that the held-out metrics depend on.
_FOR_EVALUATION = (
    "sequence_length",
    "long_sequence_length",
    "steps",
    "long_share",
    "batch_size",
    "masked_lm_rate",
    "final_masked_lm_rate",
    "max_predictions",
    "whole_word",
    "precision",
)
_THRESHOLDS = ("min_masked_lm_accuracy", "min_next_sentence_accuracy", "max_masked_lm_loss", "max_loss_increase")


def create_pipeline(settings: PretrainSettings) -> Pipeline:
    """Returns the pipeline, with new nodes for each call.

    Args:
        settings: The pipeline's settings.

    Raises:
        BadInputError: If a setting is missing, or if settings contradict each other.
    """
    _check(settings)
    recipe = PretrainingSettings(output="", **recipe_values(settings))
    examples = DocumentExamples(
        settings.texts,
        settings.held_out_share,
        settings.text_column,
        int(settings.range_megabytes * _MEGABYTE),
        TableFormat(**shared_values(settings, TableFormat)),
    )
    check, data_nodes = _data_nodes(settings, examples)
    preprocessing = PreprocessingMaker(
        examples=examples.outputs["examples"], options=_json(_preprocessing_options(settings))
    )
    instances = PretrainingInstances(
        examples=examples.outputs["examples"],
        preprocessing=preprocessing.outputs["preprocessing"],
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
    pusher = model_pusher(trainer, settings, model_blessing=evaluator.outputs["blessing"])
    nodes = [examples, *data_nodes, preprocessing, instances, *training_nodes, evaluator, pusher]
    nodes += experiment_nodes(settings, trainer, evaluator)
    return assembled(nodes, settings)


def _check(settings: PretrainSettings) -> None:
    if not settings.texts:
        raise BadInputError(
            "The pipeline needs text. Received: no `texts`. Set `texts` to a folder, a file or a pattern."
        )
    if settings.masking == "static" and settings.final_masked_lm_rate is not None:
        raise BadInputError(
            "A masking rate that changes needs masks that are made during training. Received: "
            f"final_masked_lm_rate={settings.final_masked_lm_rate} with masking='static'. Use `masking: dynamic`, or "
            "remove `final_masked_lm_rate`."
        )
    for name in ("schema", "vocabulary", "start_from"):
        path = getattr(settings, name)
        if path and not is_remote(path) and not os.path.exists(path):
            raise BadInputError(f"`{name}` must exist. Received: {name}='{path}', which does not. Check the path.")
    if not 0 < settings.held_out_share < 1:
        raise BadInputError(
            "`held_out_share` must be between 0 and 1. Received: "
            f"held_out_share={settings.held_out_share}. For example, `held_out_share: 0.05`."
        )


def recipe_values(settings: PretrainSettings) -> dict[str, Any]:
    """Returns the settings of training, as `PretrainingSettings` names them."""
    values = shared_values(settings, PretrainingSettings)
    return {name: value for name, value in values.items() if name not in _NOT_FOR_TRAINING}


def _data_nodes(settings: PretrainSettings, examples: BaseNode) -> tuple[BaseNode, list[BaseNode]]:
    """Returns the check that the documents must pass, and the list of it and the nodes that it needs."""
    statistics = StatisticsGen(
        examples=examples.outputs["examples"],
        stats_options=tfdv.StatsOptions(feature_allowlist=STATISTICS_FEATURES),
    )
    if settings.schema:
        schema = SchemaImport(path=settings.schema, fingerprint=setting_fingerprint(settings.schema))
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
        "vocabulary_fingerprint": setting_fingerprint(settings.vocabulary),
        "model": settings.start_from,
        "model_fingerprint": setting_fingerprint(settings.start_from),
        "size": settings.vocabulary_size,
        "min_count": settings.vocabulary_min_count,
        "characters": int(settings.vocabulary_megabytes * _MEGABYTE),
        "lower_case": settings.lower_case,
        "strip_accents": settings.strip_accents,
        "sequence_length": settings.sequence_length,
        "max_unknown_share": settings.max_unknown_share,
    }


def _instance_options(settings: PretrainSettings, recipe: PretrainingSettings) -> dict[str, Any]:
    """Returns the fields of `InstanceSettings` (records/instance_making.py) that the records depend on."""
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
    """Returns the Trainer, and the list of it and the node of the model that it starts from."""
    nodes: list[BaseNode] = []
    base_model = None
    if settings.start_from:
        importer = model_importer(settings.start_from, "BaseModel")
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
            "starts_from_model": settings.start_from is not None,
            "unfinished": unfinished_folder(settings),
        },
    )
    return trainer, [*nodes, trainer]


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
