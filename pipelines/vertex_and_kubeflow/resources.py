"""The resources of a component: Beam workers, and cores, memory and accelerators on Vertex AI and Kubeflow."""

from collections.abc import Iterable

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_node import BaseNode

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import PipelineSettings

_LOCAL_RUNNERS = ("DirectRunner", "FnApiRunner", "BundleBasedDirectRunner")


def beam_args(settings: PipelineSettings, component: str) -> list[str]:
    """Returns the Beam arguments of one component.

    Several workers are processes of Beam's local runner or Dataflow machines. For other runners, set their own
    arguments in `beam_pipeline_args`.
    """
    arguments = list(settings.beam_pipeline_args)
    workers = settings.resources_of(component).workers
    if workers == 1:
        return arguments
    runner = next((argument.partition("=")[2] for argument in arguments if argument.startswith("--runner=")), "")
    if runner in ("", *_LOCAL_RUNNERS):
        arguments = [argument for argument in arguments if not argument.startswith("--direct_")]
        return [*arguments, "--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]
    if runner == "DataflowRunner":
        return [*arguments, f"--num_workers={workers}", f"--max_num_workers={workers}"]
    return arguments


def with_resources(nodes: Iterable[BaseNode], settings: PipelineSettings) -> list[BaseNode]:
    """Returns the nodes, with their own arguments for those that run on Beam.

    Raises:
        BadInputError: If the settings name a component that the pipeline does not have.
    """
    nodes = list(nodes)
    unknown = sorted(set(settings.resources) - {node.id for node in nodes})
    if unknown:
        raise BadInputError(
            f"`resources` must name components of the pipeline. Received: {', '.join(unknown)}. "
            f"Use some of: {', '.join(node.id for node in nodes)}."
        )
    for node in nodes:
        if isinstance(node, BaseBeamComponent):
            node.with_beam_pipeline_args(beam_args(settings, node.id))
    return nodes
