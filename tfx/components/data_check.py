"""Stops the run when the rows are not what they should be, before anything is trained on them.

TFX's ExampleValidator only reports anomalies and lets the run go on. This component turns them, and any difference to
the rows that passed last, into one clear line.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics, JsonValue, Schema
from tfx.utils import io_utils

from kerasbert.errors import BadInputError
from kerasbert_tfx.components.labelled_schema_gen import label_counts

_MOST_IN_A_MESSAGE = 5


@component
def DataCheck(  # noqa: N802 (TFX components are named like classes)
    statistics: InputArtifact[ExampleStatistics],
    schema: InputArtifact[Schema],
    anomalies: InputArtifact[ExampleAnomalies],
    accepted: OutputArtifact[JsonValue],
    last_accepted: Parameter[str],
    label: Parameter[str],
    accept_new_schema: Parameter[bool],
) -> None:
    """Passes, or raises what is wrong with the rows.

    Args:
        statistics: of all splits.
        schema: what the rows must be.
        anomalies: what ExampleValidator found.
        accepted: what passed: the schema in short.
        last_accepted: the file that holds what passed last, and from now on this. It need not exist.
        label: the label column.
        accept_new_schema: whether a schema that differs from the last one passes.
    """
    splits = artifact_utils.decode_split_names(statistics.split_names)
    declared = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))
    known = labels_of(declared, label)
    for split in splits:
        dataset = stats_artifact_utils.load_statistics(statistics, split).proto().datasets[0]
        check_rows(split, int(dataset.num_examples))
        if known:
            check_labels(split, label, known, label_counts(label, dataset))
        found = anomalies_pb2.Anomalies()
        uri = artifact_utils.get_split_uri([anomalies], split)
        found.ParseFromString(fileio.open(f"{uri}/{DEFAULT_FILE_NAME}", "rb").read())
        check_anomalies(split, found)
    summary = summary_of(declared)
    if not accept_new_schema and fileio.exists(last_accepted):
        check_same(json.loads(fileio.open(last_accepted, "rb").read()), summary)
    accepted.write(summary)
    fileio.makedirs(os.path.dirname(last_accepted))
    io_utils.write_string_file(last_accepted, json.dumps(summary, indent=2))


def check_rows(split: str, count: int) -> None:
    """Refuses a split without rows."""
    if not count:
        raise BadInputError(
            f"Each split must have rows. Received: none in {split!r}. Give more rows, or that split a larger share."
        )


def check_labels(split: str, label: str, known: Sequence[str], counts: Mapping[str, int]) -> None:
    """Refuses labels that training does not know."""
    unseen = sorted(set(counts) - set(known))
    if unseen:
        listed = ", ".join(f"{name!r} ({counts[name]} rows)" for name in unseen[:_MOST_IN_A_MESSAGE])
        raise BadInputError(
            f"A label must be one of those in training. Received: {listed}{_more(unseen)} in column {label!r} of the "
            f"{split!r} split. Known labels: {', '.join(map(repr, known[:_MOST_IN_A_MESSAGE]))}{_more(known)}. "
            "Correct the label, or add such rows until training has some."
        )


def check_anomalies(split: str, anomalies: anomalies_pb2.Anomalies) -> None:
    """Refuses rows that do not meet the schema."""
    found = [f"column {name!r}: {info.description}" for name, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        found.append(anomalies.dataset_anomaly_info.description)
    if found:
        raise BadInputError(
            f"The rows must meet the schema. Received in the {split!r} split: "
            f"{' '.join(found[:_MOST_IN_A_MESSAGE])}{_more(found)} Correct the rows or the schema."
        )


def labels_of(schema: schema_pb2.Schema, label: str) -> list[str]:
    """The labels that a schema lists, if it lists any."""
    for feature in schema.feature:
        if feature.name == label and feature.HasField("string_domain"):
            return list(feature.string_domain.value)
        if feature.name == label and feature.HasField("domain"):
            return list(tfdv.get_domain(schema, label).value)
    return []


def summary_of(schema: schema_pb2.Schema) -> dict[str, Any]:
    """Column -> its type and the values it may have, as JSON can hold them."""
    return {
        feature.name: {
            "type": schema_pb2.FeatureType.Name(feature.type),
            "values": sorted(labels_of(schema, feature.name)),
        }
        for feature in schema.feature
    }


def check_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses a schema that differs from the last one that passed.

    Raises:
        BadInputError: with each difference.
    """
    differences = [f"column {name!r} is new" for name in sorted(set(now) - set(before))]
    differences += [f"column {name!r} is gone" for name in sorted(set(before) - set(now))]
    for name in sorted(set(now) & set(before)):
        if before[name]["type"] != now[name]["type"]:
            differences.append(f"column {name!r} was {before[name]['type']} and is {now[name]['type']}")
        for word, values in (
            ("new", sorted(set(now[name]["values"]) - set(before[name]["values"]))),
            ("gone", sorted(set(before[name]["values"]) - set(now[name]["values"]))),
        ):
            if values:
                listed = ", ".join(json.dumps(value) for value in values[:_MOST_IN_A_MESSAGE])
                differences.append(f"in column {name!r} these values are {word}: {listed}{_more(values)}")
    if differences:
        raise BadInputError(
            f"The schema must be that of the last run that passed. Received: {'; '.join(differences)}. "
            "Correct the rows, or set `accept_new_schema: true` for one run."
        )


def _more(values: Sequence[Any]) -> str:
    left = len(values) - _MOST_IN_A_MESSAGE
    return f" and {left} more" if left > 0 else ""
