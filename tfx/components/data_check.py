"""Stops the run if the rows are not as expected, before a model is trained on them.

TFX's ExampleValidator only reports anomalies and lets the run continue. This component raises one clear error for them,
and for any difference from the last accepted rows.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics, JsonValue, Schema

from kerasbert.errors import BadInputError
from kerasbert_tfx.components.labelled_schema_gen import label_counts
from kerasbert_tfx.records.schema_checks import (
    labels_of,
    read_accepted,
    read_anomalies,
    read_schema,
    shortened,
    summary_of,
    write_accepted,
)


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
    """Passes, or raises an error that describes the problem with the rows.

    Args:
        statistics: The statistics of all splits.
        schema: The schema that the rows must have.
        anomalies: The output of ExampleValidator.
        accepted: The output with a summary of the schema that passed.
        last_accepted: The file with the summary of the last accepted schema. It is replaced, and need not exist.
        label: The label column.
        accept_new_schema: Whether a schema that differs from the last one passes.
    """
    declared = read_schema(schema)
    known = labels_of(declared, label)
    for split in artifact_utils.decode_split_names(statistics.split_names):
        dataset = stats_artifact_utils.load_statistics(statistics, split).proto().datasets[0]
        check_rows(split, int(dataset.num_examples))
        if known:
            check_labels(split, label, known, label_counts(label, dataset))
        check_anomalies(split, read_anomalies(anomalies, split))
    summary = summary_of(declared)
    before = read_accepted(last_accepted)
    if before is not None and not accept_new_schema:
        check_same(before, summary)
    accepted.write(summary)
    write_accepted(last_accepted, summary)


def check_rows(split: str, count: int) -> None:
    """Raises `BadInputError` if a split has no rows."""
    if not count:
        raise BadInputError(
            f"Each split must have rows. Received: no row in {split!r}. Add rows, or give that split a larger share "
            "(`train_share`, `validation_share`, `test_share`)."
        )


def check_labels(split: str, label: str, known: Sequence[str], counts: Mapping[str, int]) -> None:
    """Raises `BadInputError` if a split has labels that training does not know."""
    unseen = sorted(set(counts) - set(known))
    if unseen:
        raise BadInputError(
            "A label must occur in the training rows. Received: "
            f"{shortened([f'{name!r} ({counts[name]} rows)' for name in unseen])} in column {label!r} of the "
            f"{split!r} split. Known labels: {shortened([repr(name) for name in known])}. "
            "Correct the label, or add rows with it until the training rows have some."
        )


def check_anomalies(split: str, anomalies: Sequence[str]) -> None:
    """Raises `BadInputError` if rows do not meet the schema."""
    if anomalies:
        raise BadInputError(
            f"The rows must meet the schema. Received in the {split!r} split: {shortened(anomalies, ' ')} "
            "Correct the rows or the schema."
        )


def check_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Checks that a schema equals the one that passed last.

    Args:
        before: Column -> its `type` and `values`, as `summary_of` returns them, of the last run.
        now: The same of this run.

    Raises:
        BadInputError: If they differ. The message lists the differences.
    """
    differences = [f"column {name!r} is new" for name in sorted(set(now) - set(before))]
    differences += [f"column {name!r} is missing" for name in sorted(set(before) - set(now))]
    for name in sorted(set(now) & set(before)):
        if before[name]["type"] != now[name]["type"]:
            differences.append(f"column {name!r} was {before[name]['type']} and is {now[name]['type']}")
        for word, values in (
            ("new", sorted(set(now[name]["values"]) - set(before[name]["values"]))),
            ("missing", sorted(set(before[name]["values"]) - set(now[name]["values"]))),
        ):
            if values:
                listed = shortened([json.dumps(value, ensure_ascii=False) for value in values])
                differences.append(f"in column {name!r} these values are {word}: {listed}")
    if differences:
        raise BadInputError(
            f"The schema must equal that of the last run that passed. Received: {'; '.join(differences)}. "
            "Correct the rows, or set `accept_new_schema: true` for one run."
        )
