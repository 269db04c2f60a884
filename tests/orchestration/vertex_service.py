"""A local gRPC server that speaks the messages of Vertex AI and keeps what it is told, for tests of requests to it.

Google's real client talks to it: only the creation of channels is redirected. Methods are found by their names, so a
request that the server does not implement is an error. Long-running operations are unfinished when they begin.
"""

import json
import re
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.cloud import aiplatform_v1 as v1
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, empty_pb2, json_format, struct_pb2
from google.rpc import status_pb2

NUMBER = "projects/123/locations"


class ServiceError(Exception):
    """An answer with a status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class VertexService(grpc.GenericRpcHandler):
    """The server.

    Attributes:
        calls: (method, request as a dictionary of the fields that are set) in the order in which they came.
        hosts: The addresses that clients wanted.
        refuse: Method -> the error that it answers with.
        fail: Method of a long-running operation -> the message with which the operation fails.
        models: Name -> versions.
        endpoints: Name -> endpoint.
        contexts, artifacts, children: The metadata store.
        series: Full name -> time series. `written` has the points of each.
        trials: Trials that a hyperparameter tuning job ends with.
        run_trial: Runs a trial with the arguments that Vertex AI gives its container, and returns the file that the
            container's agent reads. None leaves `trials` as they are.
        job_states: States that a job is in when it is read, the last one for good.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.hosts: list[str] = []
        self.refuse: dict[str, ServiceError] = {}
        self.fail: dict[str, str] = {}
        self.models: dict[str, list[v1.Model]] = {}
        self.endpoints: dict[str, v1.Endpoint] = {}
        self.contexts: dict[str, v1.Context] = {}
        self.artifacts: dict[str, v1.Artifact] = {}
        self.children: list[tuple[str, str]] = []
        self.boards: dict[str, Any] = {}
        self.series: dict[str, v1.TensorboardTimeSeries] = {}
        self.written: dict[str, list[tuple[int, float]]] = {}
        self.trials: list[v1.Trial] = []
        self.run_trial: Callable[[list[str]], str] | None = None
        self.job_states = ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
        self.jobs: dict[str, Any] = {}
        self.operations: dict[str, operations_pb2.Operation] = {}

    def requests(self, method: str) -> list[dict[str, Any]]:
        """Returns the requests of one method."""
        return [request for name, request in self.calls if name == method]

    def methods(self) -> list[str]:
        """Returns the methods that were called and that change something."""
        reading = ("Get", "List", "Query")
        return [name for name, _ in self.calls if not name.startswith(reading)]

    # === gRPC ===

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method.rpartition("/")[2]

        def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
            return self._answer(method, data, context)

        return grpc.unary_unary_rpc_method_handler(answer)

    def _answer(self, method: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        if method == "GetOperation":
            asked = operations_pb2.GetOperationRequest.FromString(data)
            return self.operations[asked.name].SerializeToString()
        kind = getattr(v1, f"{method}Request")
        request = kind.deserialize(data)
        self.calls.append((method, json_format.MessageToDict(kind.pb(request))))
        try:
            if method in self.refuse:
                raise self.refuse[method]
            reply = getattr(self, re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower())(request)
        except ServiceError as error:
            context.abort(error.code, str(error))
        if isinstance(reply, tuple):
            reply = self._operation(method, *reply)
        return reply.SerializeToString() if hasattr(reply, "SerializeToString") else type(reply).serialize(reply)

    def _operation(self, method: str, result: Any, metadata: Any) -> operations_pb2.Operation:
        """Returns an unfinished operation; the one that is read later is finished."""
        name = f"{NUMBER}/us-central1/operations/{len(self.operations) + 1}"
        done = operations_pb2.Operation(name=name, done=True, metadata=_packed(metadata))
        if method in self.fail:
            done.error.CopyFrom(status_pb2.Status(code=9, message=self.fail[method]))
        else:
            done.response.CopyFrom(_packed(result))
        self.operations[name] = done
        return operations_pb2.Operation(name=name, metadata=_packed(metadata))

    # === Model Registry ===

    def list_model_versions(self, request: Any) -> Any:
        versions = self.models.get(request.name.replace("projects/123/", "projects/my-project/"))
        if versions is None:
            raise ServiceError(grpc.StatusCode.NOT_FOUND, f"The Model does not exist: {request.name}")
        return v1.ListModelVersionsResponse(models=versions)

    def upload_model(self, request: Any) -> Any:
        name = request.parent_model or f"{request.parent}/models/{request.model_id}"
        versions = self.models.setdefault(name, [])
        number = str(len(versions) + 1)
        model = v1.Model(request.model)
        model.name, model.version_id = name, number
        if "UploadModel" not in self.fail:
            versions.append(model)
        numbered = name.replace("my-project", "123")
        reply = v1.UploadModelResponse(model=numbered, model_version_id=number)
        return reply, v1.UploadModelOperationMetadata()

    def merge_version_aliases(self, request: Any) -> Any:
        name, _, number = request.name.partition("@")
        model = self.models[name][int(number) - 1]
        model.version_aliases.extend(request.version_aliases)
        return model

    # === Endpoints ===

    def list_endpoints(self, request: Any) -> Any:
        name = request.filter.partition('"')[2].rstrip('"')
        return v1.ListEndpointsResponse(
            endpoints=[endpoint for endpoint in self.endpoints.values() if endpoint.display_name == name]
        )

    def get_endpoint(self, request: Any) -> Any:
        if request.name not in self.endpoints:
            raise ServiceError(grpc.StatusCode.NOT_FOUND, f"Endpoint `{request.name}` not found.")
        return self.endpoints[request.name]

    def create_endpoint(self, request: Any) -> Any:
        endpoint = v1.Endpoint(request.endpoint)
        endpoint.name = f"{request.parent}/endpoints/{len(self.endpoints) + 1}"
        endpoint.etag = "e1"
        self.endpoints[endpoint.name] = endpoint
        return endpoint, v1.CreateEndpointOperationMetadata()

    def deploy_model(self, request: Any) -> Any:
        endpoint = self.endpoints[request.endpoint]
        deployed = v1.DeployedModel(request.deployed_model)
        deployed.id = str(1000 + len(endpoint.deployed_models))
        model, _, number = request.deployed_model.model.partition("@")
        # The service answers with the project's number, and with the version apart.
        deployed.model, deployed.model_version_id = model.replace("my-project", "123"), number
        traffic = {deployed.id if key == "0" else key: share for key, share in request.traffic_split.items()}
        if traffic and sum(traffic.values()) != 100:
            raise ServiceError(grpc.StatusCode.INVALID_ARGUMENT, "traffic_split must add up to 100")
        if "DeployModel" not in self.fail:
            endpoint.deployed_models.append(deployed)
            endpoint.traffic_split = traffic
        return v1.DeployModelResponse(deployed_model=deployed), v1.DeployModelOperationMetadata()

    def update_endpoint(self, request: Any) -> Any:
        if sum(request.endpoint.traffic_split.values()) != 100:
            raise ServiceError(grpc.StatusCode.INVALID_ARGUMENT, "traffic_split must add up to 100")
        endpoint = self.endpoints[request.endpoint.name]
        endpoint.traffic_split = dict(request.endpoint.traffic_split)
        return endpoint

    def undeploy_model(self, request: Any) -> Any:
        endpoint = self.endpoints[request.endpoint]
        if endpoint.traffic_split.get(request.deployed_model_id):
            raise ServiceError(grpc.StatusCode.FAILED_PRECONDITION, "The model has traffic.")
        left = [model for model in endpoint.deployed_models if model.id != request.deployed_model_id]
        endpoint.deployed_models = left
        return v1.UndeployModelResponse(), v1.UndeployModelOperationMetadata()

    # === Jobs ===

    def _started(self, job: Any, name: str) -> Any:
        started = type(job)(job)
        started.name = name
        started.state = v1.JobState.JOB_STATE_QUEUED
        self.jobs[name] = [started, list(self.job_states)]
        return started

    def _job(self, name: str) -> Any:
        job, states = self.jobs[name]
        job.state = v1.JobState[states.pop(0) if len(states) > 1 else states[0]]
        if job.state.name == "JOB_STATE_FAILED":
            job.error = status_pb2.Status(code=13, message="The replica workerpool0-0\nexited with status 1.")
        return job

    def create_batch_prediction_job(self, request: Any) -> Any:
        return self._started(request.batch_prediction_job, f"{request.parent}/batchPredictionJobs/77")

    def get_batch_prediction_job(self, request: Any) -> Any:
        job = self._job(request.name)
        prefix = job.output_config.gcs_destination.output_uri_prefix
        job.output_info.gcs_output_directory = f"{prefix}/prediction-questions-2026_11_30T12_00_00"
        job.completion_stats.successful_count, job.completion_stats.failed_count = 3, 1
        return job

    def create_hyperparameter_tuning_job(self, request: Any) -> Any:
        job = request.hyperparameter_tuning_job
        if self.run_trial is not None:
            self.trials = [self._trial(job, number) for number in range(job.max_trial_count)]
        return self._started(job, f"{request.parent}/hyperparameterTuningJobs/88")

    def _trial(self, job: Any, number: int) -> Any:
        """Runs a trial with a value within each range."""
        values = {}
        for parameter in job.study_spec.parameters:
            discrete = list(parameter.discrete_value_spec.values)
            middle = (parameter.double_value_spec.min_value * parameter.double_value_spec.max_value) ** 0.5
            values[parameter.parameter_id] = discrete[number % len(discrete)] if discrete else middle * (number + 1)
        (pool,) = job.trial_job_spec.worker_pool_specs
        # Vertex AI writes whole numbers without a point.
        arguments = [*pool.container_spec.args, *(f"--{name}={value:g}" for name, value in values.items())]
        assert self.run_trial is not None
        (line,) = self.run_trial(arguments).splitlines()
        metric = job.study_spec.metrics[0].metric_id
        return made_trial(str(number + 1), values, {metric: float(json.loads(line)[metric])})

    def get_hyperparameter_tuning_job(self, request: Any) -> Any:
        job = self._job(request.name)
        job.trials = self.trials
        return job

    # === Metadata ===

    def get_metadata_store(self, request: Any) -> Any:
        return v1.MetadataStore(name=request.name)

    def get_context(self, request: Any) -> Any:
        if request.name not in self.contexts:
            raise ServiceError(grpc.StatusCode.NOT_FOUND, f"no context {request.name}")
        return self.contexts[request.name]

    def create_context(self, request: Any) -> Any:
        name = f"{request.parent}/contexts/{request.context_id}"
        if name in self.contexts:
            raise ServiceError(grpc.StatusCode.ALREADY_EXISTS, name)
        context = v1.Context(request.context)
        context.name = name
        context.etag = "1"
        self.contexts[name] = context
        return context

    def update_context(self, request: Any) -> Any:
        self.contexts[request.context.name] = v1.Context(request.context)
        return self.contexts[request.context.name]

    def delete_context(self, request: Any) -> Any:
        del self.contexts[request.name]
        return empty_pb2.Empty(), v1.DeleteOperationMetadata()

    def add_context_children(self, request: Any) -> Any:
        self.children += [(request.context, child) for child in request.child_contexts]
        return v1.AddContextChildrenResponse()

    def list_contexts(self, request: Any) -> Any:
        return v1.ListContextsResponse()

    def get_execution(self, request: Any) -> Any:
        raise ServiceError(grpc.StatusCode.NOT_FOUND, f"no execution {request.name}")

    def get_artifact(self, request: Any) -> Any:
        if request.name not in self.artifacts:
            raise ServiceError(grpc.StatusCode.NOT_FOUND, f"no artifact {request.name}")
        return self.artifacts[request.name]

    def create_artifact(self, request: Any) -> Any:
        artifact = v1.Artifact(request.artifact)
        artifact.name = f"{request.parent}/artifacts/{request.artifact_id}"
        self.artifacts[artifact.name] = artifact
        return artifact

    def list_artifacts(self, request: Any) -> Any:
        return v1.ListArtifactsResponse()

    def add_context_artifacts_and_executions(self, request: Any) -> Any:
        return v1.AddContextArtifactsAndExecutionsResponse()

    def query_context_lineage_subgraph(self, request: Any) -> Any:
        return v1.LineageSubgraph(artifacts=list(self.artifacts.values()))

    # === TensorBoard ===

    def _board(self, name: str) -> Any:
        if name not in self.boards:
            raise ServiceError(grpc.StatusCode.NOT_FOUND, f"{name} not found")
        return self.boards[name]

    def get_tensorboard(self, request: Any) -> Any:
        return self._board(request.name)

    def get_tensorboard_experiment(self, request: Any) -> Any:
        return self._board(request.name)

    def get_tensorboard_run(self, request: Any) -> Any:
        return self._board(request.name)

    def create_tensorboard_experiment(self, request: Any) -> Any:
        experiment = v1.TensorboardExperiment(request.tensorboard_experiment)
        experiment.name = f"{request.parent}/experiments/{request.tensorboard_experiment_id}"
        self.boards[experiment.name] = experiment
        return experiment

    def create_tensorboard_run(self, request: Any) -> Any:
        run = v1.TensorboardRun(request.tensorboard_run)
        run.name = f"{request.parent}/runs/{request.tensorboard_run_id}"
        self.boards[run.name] = run
        return run

    def list_tensorboard_time_series(self, request: Any) -> Any:
        found = [series for name, series in self.series.items() if name.startswith(f"{request.parent}/")]
        return v1.ListTensorboardTimeSeriesResponse(tensorboard_time_series=found)

    def create_tensorboard_time_series(self, request: Any) -> Any:
        series = v1.TensorboardTimeSeries(request.tensorboard_time_series)
        series.name = f"{request.parent}/timeSeries/{len(self.series) + 1}"
        self.series[series.name] = series
        return series

    def write_tensorboard_run_data(self, request: Any) -> Any:
        for data in request.time_series_data:
            series = self.series[f"{request.tensorboard_run}/timeSeries/{data.tensorboard_time_series_id}"]
            points = self.written.setdefault(series.display_name, [])
            points += [(point.step, point.scalar.value) for point in data.values]
        return v1.WriteTensorboardRunDataResponse()


def made_trial(number: str, values: dict[str, float], metrics: dict[str, float], state: str = "SUCCEEDED") -> v1.Trial:
    """Returns a trial as a finished job describes it."""
    parameters = [
        v1.Trial.Parameter(parameter_id=name, value=struct_pb2.Value(number_value=value))
        for name, value in values.items()
    ]
    found = [v1.Measurement.Metric(metric_id=name, value=value) for name, value in metrics.items()]
    measurement = v1.Measurement(metrics=found)
    return v1.Trial(id=number, state=state, parameters=parameters, final_measurement=measurement)


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(type(message).pb(message) if hasattr(type(message), "pb") else empty_pb2.Empty())
    return packed


def running_service(monkeypatch: Any) -> Iterator[VertexService]:
    """Yields a server to which Google's clients talk, with anonymous credentials."""
    import google.auth
    from google.api_core import grpc_helpers
    from google.auth.credentials import AnonymousCredentials

    service = VertexService()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), handlers=[service])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channels = []

    def create_channel(target: str, *arguments: Any, **options: Any) -> grpc.Channel:
        service.hosts.append(target)
        channels.append(grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]))
        return channels[-1]

    monkeypatch.setattr(grpc_helpers, "create_channel", create_channel)
    monkeypatch.setattr(google.auth, "default", lambda *arguments, **options: (AnonymousCredentials(), "my-project"))
    yield service
    for channel in channels:
        channel.close()
    server.stop(None).wait()
