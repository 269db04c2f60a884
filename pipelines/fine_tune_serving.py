"""The fine-tuning pipeline's nodes that use the trained model: a TensorFlow Serving container, and bulk inference."""

import contextlib
import dataclasses
import os

from tfx.components import BulkInferrer, InfraValidator
from tfx.dsl.components.base.base_node import BaseNode
from tfx.proto import bulk_inferrer_pb2, infra_validator_pb2

from kerasbert.errors import BadInputError
from kerasbert_pipelines.fine_tune_evaluation import SIGNATURE
from kerasbert_pipelines.settings import FineTuneSettings
from kerasbert_tfx.components.labelled_example_gen import LabelledExampleGen
from kerasbert_tfx.records.input_files import folder_and_pattern
from kerasbert_tfx.records.labelled_records import UNLABELLED, Columns


def docker_answers() -> bool:
    """Returns whether a Docker daemon answers, which InfraValidator needs."""
    import docker

    socket = os.environ.get("DOCKER_HOST", docker.constants.DEFAULT_UNIX_SOCKET).removeprefix("http+")
    # Docker's client leaks its connection if no daemon listens.
    if socket.startswith("unix://") and not os.path.exists(socket.removeprefix("unix://")):
        return False
    try:
        with contextlib.closing(docker.from_env(timeout=2)) as client:
            return bool(client.ping())
    except docker.errors.DockerException:
        return False


def wants_infra_validator(settings: FineTuneSettings) -> bool:
    """Returns whether the pipeline includes InfraValidator.

    Without a daemon it would bless no model, so nothing would ever be pushed. Clusters refuse it.

    Raises:
        BadInputError: If the settings ask for it where it cannot run.
    """
    if settings.infra_validator == "no":
        return False
    can_run = settings.image is None and docker_answers()
    if settings.infra_validator == "yes" and not can_run:
        if settings.image:
            obstacle, remedy = "the pipeline is for a cluster, because `image` is set", "Set"
        else:
            obstacle, remedy = "no Docker daemon answers", "Start one, or set"
        raise BadInputError(
            "InfraValidator needs a Docker daemon on the machine that runs the pipeline. "
            f"Received: infra_validator='yes', but {obstacle}. {remedy} `infra_validator: auto`."
        )
    return can_run


def infra_validator(trainer: BaseNode, examples: BaseNode) -> BaseNode:
    """Returns the node that loads the model in a TensorFlow Serving container and sends it a few rows."""
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


def bulk_inference_nodes(
    settings: FineTuneSettings, columns: Columns, trainer: BaseNode, evaluator: BaseNode
) -> list[BaseNode]:
    """Returns the nodes that label a table of unlabelled texts with the model if it is blessed."""
    bare = dataclasses.replace(columns, task=UNLABELLED)
    address = folder_and_pattern(str(settings.bulk_inference))
    examples = LabelledExampleGen(*address, bare, {"unlabelled": 1.0}).with_id("BulkExampleGen")
    output = _output_columns(settings.task)
    inferrer = BulkInferrer(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        data_spec=bulk_inferrer_pb2.DataSpec(),
        model_spec=bulk_inferrer_pb2.ModelSpec(model_signature_name=[output.signature_name]),
        output_example_spec=bulk_inferrer_pb2.OutputExampleSpec(output_columns_spec=[output]),
    )
    return [examples, inferrer]


def _output_columns(task: str) -> bulk_inferrer_pb2.OutputColumnsSpec:
    """Returns the signature to call, and the columns to write. Labels come best first."""
    # BulkInferrer reads lists of strings from Classify signatures, but no string per row from Predict signatures.
    if task == "token_classification":
        names = ("entities", "labels", "probabilities", "starts", "ends")
        columns = [bulk_inferrer_pb2.PredictOutputCol(output_key=name, output_column=name) for name in names]
        return bulk_inferrer_pb2.OutputColumnsSpec(
            signature_name=SIGNATURE, predict_output=bulk_inferrer_pb2.PredictOutput(output_columns=columns)
        )
    if task == "regression":
        return bulk_inferrer_pb2.OutputColumnsSpec(
            signature_name="regress", regress_output=bulk_inferrer_pb2.RegressOutput(value_column="prediction")
        )
    return bulk_inferrer_pb2.OutputColumnsSpec(
        signature_name="classify",
        classify_output=bulk_inferrer_pb2.ClassifyOutput(label_column="labels", score_column="probabilities"),
    )
