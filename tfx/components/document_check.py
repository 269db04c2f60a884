"""Stops the run if the documents are not as expected, before a model is trained on them.

TFX's ExampleValidator only reports anomalies and lets the run continue. This component raises one clear error for them,
and for scripts that the documents of the last accepted run did not have.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, JsonValue, Schema

from kerasbert.errors import BadInputError
from kerasbert_tfx.records.schema_checks import (
    read_accepted,
    read_anomalies,
    read_schema,
    shortened,
    summary_of,
    write_accepted,
)


@component
def DocumentCheck(  # noqa: N802 (TFX components are named like classes)
    anomalies: InputArtifact[ExampleAnomalies],
    schema: InputArtifact[Schema],
    accepted: OutputArtifact[JsonValue],
    schema_source: Parameter[str],
    last_accepted: Parameter[str],
    accept_new_schema: Parameter[bool],
) -> None:
    """Passes, or raises an error that describes the problem with the documents.

    Args:
        anomalies: The output of ExampleValidator.
        schema: The schema that the documents must have.
        accepted: The output with a summary of the schema that passed.
        schema_source: Where the schema comes from, for messages.
        last_accepted: The file with the summary of the last accepted schema. It is replaced, and need not exist.
        accept_new_schema: Whether a schema with features or scripts that the last one did not have passes.
    """
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        check_anomalies(split, read_anomalies(anomalies, split), schema_source)
    summary = summary_of(read_schema(schema))
    before = read_accepted(last_accepted)
    if before is not None and not accept_new_schema:
        check_nothing_new(before, summary)
    accepted.write(summary)
    write_accepted(last_accepted, summary)


def check_nothing_new(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Checks that a schema has nothing that the last one did not have. Missing scripts are allowed.

    Args:
        before: Feature -> its `type` and `values`, as `summary_of` returns them, of the last run.
        now: The same of this run.

    Raises:
        BadInputError: If there is something new. The message lists the differences.
    """
    found = []
    for name, feature in sorted(now.items()):
        known = before.get(name)
        if known is None:
            found.append(f"'{name}' is new")
        elif known["type"] != feature["type"]:
            found.append(f"'{name}' was {known['type']} and is {feature['type']}")
        elif new := sorted(set(feature["values"]) - set(known["values"])):
            found.append(f"'{name}' has new values: {', '.join(new)}")
    if found:
        raise BadInputError(
            f"The documents must have the schema of the last run that passed. Received: {'; '.join(found)}. "
            "Correct the texts, or set `accept_new_schema: true` for one run."
        )


def check_anomalies(split: str, anomalies: Sequence[str], schema: str) -> None:
    """Raises `BadInputError` if documents do not meet the schema."""
    if anomalies:
        raise BadInputError(
            f"Documents must meet the schema of {schema}. Received in the split '{split}': "
            f"{shortened(anomalies, ' ')} Correct the texts, or the schema if it is out of date."
        )
