"""Deploys a registered version on a Vertex AI endpoint and splits the endpoint's traffic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerasbert.errors import BadInputError
from kerasbert_tfx.vertex.client import Vertex, errors_of, machine, message, result_of
from kerasbert_tfx.vertex.model_registry import RegisteredVersion
from kerasbert_tfx.vertex.vertex_settings import VertexSettings

# The id of the model that a request deploys, in the traffic of that request.
_NEW = "0"


@dataclass(frozen=True)
class Deployment:
    """A model on an endpoint.

    Attributes:
        endpoint: The endpoint's full name.
        traffic: Id of a deployed model -> percent.
        is_new: Whether the version was deployed now.
        undeployed: Ids of models that were undeployed.
    """

    endpoint: str
    traffic: dict[str, int]
    is_new: bool
    undeployed: tuple[str, ...]


def deploy(version: RegisteredVersion, settings: VertexSettings, place: Vertex) -> Deployment:
    """Deploys a version on the endpoint of the settings, or changes its traffic if it is deployed there.

    Args:
        version: The version.
        settings: Endpoint, machines and traffic.
        place: Project and region.

    Raises:
        BadInputError: Vertex AI refuses or fails. The message says that the version is registered.
    """
    endpoints = place.service("EndpointService")
    again = f"{version.name} is registered: fix the problem that it names, and push again to deploy it."
    spec = machine(settings.machine_type, settings.accelerator, settings.accelerator_count)
    with errors_of("find or create the endpoint", again):
        endpoint = _endpoint(endpoints, settings, place)
    deployed = _deployed_id(endpoint, version)
    before = {model.id: endpoint.traffic_split.get(model.id, 0) for model in endpoint.deployed_models}
    traffic = split_traffic(before, deployed or _NEW, settings.traffic_percent)
    with errors_of("deploy the model", again):
        if deployed is None:
            model = message(
                "DeployedModel",
                model=version.name,
                display_name=version.name.rpartition("/")[2],
                dedicated_resources=message(
                    "DedicatedResources",
                    machine_spec=spec,
                    min_replica_count=settings.min_replicas,
                    max_replica_count=settings.max_replicas,
                ),
                service_account=settings.serving_account,
            )
            request = {"endpoint": endpoint.name, "deployed_model": model, "traffic_split": traffic}
            deployed = result_of(endpoints.deploy_model(request=request)).deployed_model.id
        elif traffic != _positive(before):
            changed = message("Endpoint", name=endpoint.name, traffic_split=traffic, etag=endpoint.etag)
            endpoints.update_endpoint(request={"endpoint": changed, "update_mask": {"paths": ["traffic_split"]}})
    traffic = {deployed if model == _NEW else model: percent for model, percent in traffic.items()}
    replaced = [model for model, percent in before.items() if percent and not traffic.get(model)]
    undeployed = _undeploy(endpoints, endpoint.name, replaced) if settings.undeploy_replaced else ()
    return Deployment(endpoint.name, traffic, deployed not in before, undeployed)


def split_traffic(before: Mapping[str, int], model: str, percent: int) -> dict[str, int]:
    """Returns the traffic of an endpoint on which a model gets a share, without models that get none.

    Args:
        before: Id of a deployed model -> percent.
        model: The id of the model that gets a share.
        percent: Its share. If no other model has traffic, it gets all, because shares must add up to 100.

    Example:
        >>> split_traffic({"1": 60, "2": 40}, "0", 10)
        {'0': 10, '1': 54, '2': 36}
        >>> split_traffic({}, "0", 10), split_traffic({"1": 100}, "0", 100)
        ({'0': 100}, {'0': 100})
    """
    others = {other: share for other, share in before.items() if other != model and share > 0}
    total = sum(others.values())
    if not total:
        return {model: 100}
    rest = 100 - percent
    shares = {other: share * rest // total for other, share in others.items()}
    # What rounding down left over goes to the largest remainders.
    by_remainder = sorted(others, key=lambda other: (-(others[other] * rest % total), other))
    for other in by_remainder[: rest - sum(shares.values())]:
        shares[other] += 1
    return _positive({model: percent, **shares})


def _positive(traffic: Mapping[str, int]) -> dict[str, int]:
    return {model: percent for model, percent in traffic.items() if percent}


def _endpoint(endpoints: Any, settings: VertexSettings, place: Vertex) -> Any:
    """Returns the endpoint of the settings. Creates one if none has that name."""
    name = str(settings.endpoint)
    if name.startswith("projects/") or name.isdigit():
        return endpoints.get_endpoint(request={"name": place.full_name("endpoints", name)})
    request = {"parent": place.parent, "filter": f'display_name="{name}"'}
    found = [endpoint for endpoint in endpoints.list_endpoints(request=request) if endpoint.display_name == name]
    if len(found) > 1:
        raise BadInputError(
            f"`endpoint` must name one endpoint. Received: endpoint={name!r}, which {len(found)} endpoints have. "
            f"Use a number: {', '.join(endpoint.name.rpartition('/')[2] for endpoint in found)}."
        )
    if found:
        return found[0]
    endpoint = message("Endpoint", display_name=name, labels=settings.labels)
    return result_of(endpoints.create_endpoint(request={"parent": place.parent, "endpoint": endpoint}))


def _deployed_id(endpoint: Any, version: RegisteredVersion) -> str | None:
    """Returns the id of the deployed model that is a version, if there is one. Names contain the project's number."""
    model_id = version.model.rpartition("/")[2]
    for deployed in endpoint.deployed_models:
        model, _, number = deployed.model.rpartition("/")[2].partition("@")
        if model == model_id and (deployed.model_version_id or number) == version.version:
            return str(deployed.id)
    return None


def _undeploy(endpoints: Any, endpoint: str, models: list[str]) -> tuple[str, ...]:
    """Undeploys models that get no traffic any more."""
    for model in models:
        with errors_of(f"undeploy the replaced model {model}", "The new model is deployed. Undeploy the old one."):
            result_of(endpoints.undeploy_model(request={"endpoint": endpoint, "deployed_model_id": model}))
    return tuple(models)
