"""The resources of a component: Beam workers, and cores, memory and accelerators on Vertex AI and Kubeflow."""

from collections.abc import Iterable, Sequence

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_node import BaseNode

from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import PipelineSettings

_LOCAL_RUNNERS = ("", "DirectRunner", "FnApiRunner", "BundleBasedDirectRunner")


def beam_args(settings: PipelineSettings, component: str) -> list[str]:
    """Returns the Beam arguments of one component.

    Several workers are processes of Beam's local runner or Dataflow machines. For other runners, set their own
    arguments in `beam_pipeline_args`.
    """
    arguments = list(settings.beam_pipeline_args)
    workers = settings.resources_of(component).workers
    if workers == 1:
        return arguments
    runner = _runner(arguments)
    if runner in _LOCAL_RUNNERS:
        arguments = [argument for argument in arguments if not argument.startswith("--direct_")]
        return [*arguments, "--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]
    if runner == "DataflowRunner":
        return [*arguments, f"--num_workers={workers}", f"--max_num_workers={workers}"]
    return arguments


def is_distributed(arguments: Sequence[str]) -> bool:
    """Returns whether Beam arguments name a runner whose workers are other machines, which share no local folder."""
    return _runner(arguments) not in _LOCAL_RUNNERS


def _runner(arguments: Sequence[str]) -> str:
    """The runner that Beam arguments name, or an empty string."""
    for index, argument in enumerate(arguments):
        if argument.startswith("--runner="):
            return argument.partition("=")[2]
        if argument == "--runner" and index + 1 < len(arguments):
            return arguments[index + 1]
    return ""


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
