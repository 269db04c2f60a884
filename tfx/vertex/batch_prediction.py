"""Predicts a table in a batch job of Vertex AI, with a registered version: rows -> instances -> predictions."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from kerasbert.data import ReadReport, TableFormat, read_texts
from kerasbert.errors import BadInputError
from kerasbert_tfx.records.remote_folders import copied_to_local
from kerasbert_tfx.vertex.client import Vertex, errors_of, machine, message, wait_for_job
from kerasbert_tfx.vertex.model_registry import RegisteredVersion
from kerasbert_tfx.vertex.vertex_settings import VertexSettings, bucket_address

_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class BatchTable:
    """How the table of a batch job is read.

    Attributes:
        text_column: The column of the texts. None reads plain text, one text per line.
        pair_column: The column of the second texts, which Vertex AI's predictions do not take.
        table_format: Delimiter, encoding and header.
    """

    text_column: str | None = "text"
    pair_column: str | None = None
    table_format: TableFormat = field(default_factory=TableFormat)


@dataclass(frozen=True)
class Predictions:
    """What a batch job wrote.

    Attributes:
        job: The job's full name.
        folder: The folder with files `prediction.results-*`: a JSON object with `instance` and `prediction` per line.
        succeeded: Number of predicted rows.
        failed: Number of rows that could not be predicted.
    """

    job: str
    folder: str
    succeeded: int
    failed: int


def check_answers_one_text(pushed: str, table: BatchTable) -> None:
    """Checks that a batch job can feed a model.

    Raises:
        BadInputError: The model's `serving_default` signature takes something else than one text.
    """
    if table.pair_column is not None:
        raise BadInputError(
            "Batch prediction on Vertex AI calls `serving_default`, which takes one text. Received: "
            f"pair_column={table.pair_column!r}. Use `bulk_inference` for pairs, or remove `batch_input`."
        )
    saved_model = saved_model_pb2.SavedModel()
    with tf.io.gfile.GFile(f"{pushed}/saved_model.pb", "rb") as file:
        saved_model.ParseFromString(file.read())
    inputs = sorted(saved_model.meta_graphs[0].signature_def[_SIGNATURE].inputs)
    if len(inputs) != 1:
        raise BadInputError(
            f"Batch prediction needs a model whose `{_SIGNATURE}` signature takes one text. Received: '{pushed}', "
            f"which takes {', '.join(inputs) or 'nothing'}. Remove `batch_input`."
        )


def predict_batch(
    version: RegisteredVersion, settings: VertexSettings, table: BatchTable, place: Vertex, pause: float = 30.0
) -> Predictions:
    """Runs a batch job and waits for it.

    Args:
        version: The version that predicts.
        settings: Input, output and machines. The job's machines are its own: nothing needs to be deployed.
        table: How to read the input.
        place: Project and region.
        pause: Seconds between two looks at the job.

    Raises:
        BadInputError: The table cannot be read, or the job is refused or fails.
    """
    output = bucket_address(str(settings.batch_output))
    begun = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    # Two jobs may begin in the same second.
    name = f"{version.name.rpartition('/')[2].replace('@', '-')}-{begun}-{uuid.uuid4().hex[:8]}"
    instances = f"{output}/instances/{name}.jsonl"
    _write_instances(str(settings.batch_input), table, instances)
    spec = machine(settings.machine_type, settings.accelerator, settings.accelerator_count)
    job = message(
        "BatchPredictionJob",
        display_name=name,
        model=version.name,
        input_config={"instances_format": "jsonl", "gcs_source": {"uris": [instances]}},
        output_config={"predictions_format": "jsonl", "gcs_destination": {"output_uri_prefix": output}},
        dedicated_resources=message(
            "BatchDedicatedResources",
            machine_spec=spec,
            starting_replica_count=settings.min_replicas,
            max_replica_count=settings.max_replicas,
        ),
        service_account=settings.serving_account,
        labels=settings.labels,
    )
    jobs = place.service("JobService")
    with errors_of(
        "predict the batch", f"{version.name} is registered: fix the problem that it names, and push again."
    ):
        started = jobs.create_batch_prediction_job(request={"parent": place.parent, "batch_prediction_job": job})
        ended = wait_for_job(
            lambda: jobs.get_batch_prediction_job(request={"name": started.name}), "batch prediction job", pause
        )
    counts = ended.completion_stats
    folder = ended.output_info.gcs_output_directory
    return Predictions(ended.name, folder, int(counts.successful_count), int(counts.failed_count))


def _write_instances(source: str, table: BatchTable, target: str) -> None:
    """Writes one JSON string per row."""
    with copied_to_local(source) as local:
        if not (local.exists() or any(character in source for character in "*?[")):
            raise BadInputError(
                f"`batch_input` must exist. Received: batch_input='{source}', which does not. Check the address."
            )
        rows = read_texts(str(local), table.text_column, None, ReadReport(), table.table_format)
    tf.io.gfile.makedirs(target.rpartition("/")[0])
    with tf.io.gfile.GFile(target, "w") as file:
        for line in _lines(rows.texts):
            file.write(line)


def _lines(texts: Any) -> Iterator[str]:
    for text in texts:
        # Vertex AI splits the file at line breaks, which JSON escapes, and U+2028 would be one for some readers.
        yield json.dumps(text) + "\n"
