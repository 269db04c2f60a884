"""Stops the run when the documents are not what the schema says, before anything is trained on them.

TFX's ExampleValidator only reports anomalies and lets the run go on. This turns them into one clear line.
"""

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, JsonValue

from kerasbert.errors import BadInputError

_MOST_IN_A_MESSAGE = 3


@component
def DocumentCheck(  # noqa: N802 (TFX components are named like classes)
    anomalies: InputArtifact[ExampleAnomalies],
    passed: OutputArtifact[JsonValue],
    schema: Parameter[str],
) -> None:
    """Passes, or raises what is wrong with the documents.

    Args:
        anomalies: what ExampleValidator found.
        passed: the splits that were looked at.
        schema: where the schema comes from, in words.
    """
    splits = artifact_utils.decode_split_names(anomalies.split_names)
    for split in splits:
        found = anomalies_pb2.Anomalies()
        uri = artifact_utils.get_split_uri([anomalies], split)
        with fileio.open(f"{uri}/{DEFAULT_FILE_NAME}", "rb") as file:
            found.ParseFromString(file.read())
        check_anomalies(split, found, schema)
    passed.write(splits)


def check_anomalies(split: str, anomalies: anomalies_pb2.Anomalies, schema: str) -> None:
    """Refuses documents that do not meet the schema.

    Raises:
        BadInputError: with the first anomalies.
    """
    found = [f"'{name}': {info.description}" for name, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        found.append(anomalies.dataset_anomaly_info.description)
    if found:
        more = f" and {len(found) - _MOST_IN_A_MESSAGE} more." if len(found) > _MOST_IN_A_MESSAGE else ""
        raise BadInputError(
            f"Documents must meet the schema of {schema}. Received in the split '{split}': "
            f"{' '.join(found[:_MOST_IN_A_MESSAGE])}{more} Correct the texts, or the schema if it is out of date."
        )
