"""Parts that both pipelines share. For the parts of one pipeline, see pretrain.py and fine_tune.py."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2
from tfx.types.standard_artifacts import Model

from kerasbert.data import TableFormat
from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import PipelineSettings, shared_values
from kerasbert_pipelines.vertex_and_kubeflow.resources import with_resources
from kerasbert_tfx.components.experiment_log import ExperimentLog
from kerasbert_tfx.components.model_pusher import ModelPusher, VertexTarget
from kerasbert_tfx.records.fingerprints import setting_fingerprint
from kerasbert_tfx.records.remote_folders import is_remote
from kerasbert_tfx.vertex.batch_prediction import BatchTable
from kerasbert_tfx.vertex.vertex_settings import check_place, model_id

# TFX and Beam read the addresses of artifacts as patterns.
_PATTERN_CHARACTERS = re.compile(r"[*?\[\]{}\\]")


def assembled(nodes: Iterable[BaseNode], settings: PipelineSettings) -> Pipeline:
    """Returns the pipeline of some nodes.

    Raises:
        BadInputError: If `resources` names a component that does not exist, or if `check_folders` refuses a folder.
    """
    check_folders(settings)
    return Pipeline(
        pipeline_name=settings.pipeline_name,
        pipeline_root=settings.pipeline_root,
        components=with_resources(nodes, settings),
        enable_cache=settings.enable_cache,
        beam_pipeline_args=list(settings.beam_pipeline_args),
        metadata_connection_config=_metadata_connection(settings),
    )


def check_folders(settings: PipelineSettings) -> None:
    """Checks that TFX can read the folders that the pipeline writes to.

    Raises:
        BadInputError: If the name of a folder would be read as a pattern.
    """
    for name in ("pipeline_root", "push_folder"):
        folder = getattr(settings, name)
        if found := _PATTERN_CHARACTERS.search(folder):
            raise BadInputError(
                f"`{name}` must not contain {found[0]!r}: TFX reads the names of folders as patterns. "
                f"Received: {name}={folder!r}. Choose a folder without any of * ? [ ] {{ }} \\ in its path."
            )


def model_importer(address: str, node_id: str) -> BaseNode:
    """Returns the node that imports the model to start from."""
    # Another model with the same name is another artifact.
    properties = {"fingerprint": setting_fingerprint(address)}
    return Importer(source_uri=address, artifact_type=Model, custom_properties=properties).with_id(node_id)


def model_pusher(trainer: BaseNode, settings: PipelineSettings, **blessings: Any) -> BaseNode:
    """Returns the node that pushes the Trainer's model.

    Args:
        trainer: The Trainer.
        settings: The pipeline's settings.
        **blessings: The outputs of the components that must bless the model, as TFX's Pusher names them.
    """
    filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=settings.push_folder)
    destination = pusher_pb2.PushDestination(filesystem=filesystem)
    config = {"vertex": dataclasses.asdict(_vertex_target(settings))} if settings.push_to == "vertex" else None
    return ModelPusher(model=trainer.outputs["model"], push_destination=destination, custom_config=config, **blessings)


def _vertex_target(settings: PipelineSettings) -> VertexTarget:
    """Returns where and how the pushed model goes to Vertex AI."""
    project, region = check_place(settings.project, settings.region, "`push_to: vertex`")
    table = BatchTable(
        text_column=getattr(settings, "text_column", "text"),
        pair_column=getattr(settings, "pair_column", None),
        table_format=TableFormat(**shared_values(settings, TableFormat)),
    )
    name = model_id(settings.vertex, settings.pipeline_name)
    return VertexTarget(project, region, name, dataclasses.asdict(settings.vertex), dataclasses.asdict(table))


def experiment_nodes(settings: PipelineSettings, trainer: BaseNode, evaluator: BaseNode) -> list[BaseNode]:
    """Returns the node that logs the run to Vertex AI Experiments, if the settings name an experiment."""
    if settings.vertex.experiment is None:
        return []
    project, region = check_place(settings.project, settings.region, "`vertex.experiment`")
    log = ExperimentLog(
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        pipeline_name=settings.pipeline_name,
        experiment=settings.vertex.experiment,
        tensorboard=settings.vertex.tensorboard or "",
        project=project,
        region=region,
    )
    return [log]


def unfinished_folder(settings: PipelineSettings) -> str:
    """Returns the folder where a Trainer keeps the states from which it resumes after a kill."""
    return f"{settings.shared_folder}/Trainer/unfinished"


def _metadata_connection(settings: PipelineSettings) -> Any:
    """The SQLite file of local runs, or None for an address in a bucket, where the backend has its own records."""
    if is_remote(settings.metadata_path):
        return None
    # TFX's own function would also create the folder, which a pipeline that is only compiled does not need.
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = settings.metadata_path
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config
