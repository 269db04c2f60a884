"""The data steps of the pretraining pipeline as functions, with given arguments for Beam."""

from collections.abc import Callable, Mapping
from pathlib import Path

import apache_beam as beam
import tensorflow_data_validation as tfdv
from apache_beam.options.pipeline_options import PipelineOptions
from tfx.components.statistics_gen.executor import Executor
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples, ExampleStatistics

from kerasbert_tfx.records.document_making import write_document_examples
from kerasbert_tfx.records.document_records import SPLITS, STATISTICS_FEATURES, read_counts
from kerasbert_tfx.records.instance_making import make_instances


def data_steps(
    texts: Path,
    preprocessing: Path,
    output: Path,
    beam_arguments: list[str],
    lengths: Mapping[str, int],
    dupe_factor: int,
    part_bytes: int,
) -> dict[str, Callable[[], None]]:
    """Returns name -> step. Each reads what the one before it wrote.

    Args:
        texts: The folder with the text.
        preprocessing: The folder that `TextToInputs.save` wrote.
        output: The folder to write to, with a sub-folder for each step.
        beam_arguments: Arguments for Beam.
        lengths: Phase -> maximum number of tokens in an input.
        dupe_factor: Number of passes over each document.
        part_bytes: The amount of text in one range, and in one bucket.
    """
    documents, instances = str(output / "documents"), str(output / "instances")

    def pipeline() -> beam.Pipeline:
        return beam.Pipeline(options=PipelineOptions(beam_arguments))

    def make_documents() -> None:
        write_document_examples(pipeline(), documents, str(texts), 0.05, range_bytes=part_bytes)

    def make_pairs() -> None:
        counts, _ = read_counts(documents)
        options = {"lengths": lengths, "dupe_factor": dupe_factor, "bucket_characters": part_bytes}
        make_instances(pipeline(), documents, counts, str(preprocessing), instances, options)

    return {
        "documents": make_documents,
        "statistics": lambda: make_statistics(documents, output, beam_arguments),
        "instances": make_pairs,
    }


def make_statistics(documents: str, output: Path, beam_arguments: list[str]) -> None:
    """Runs TFX's StatisticsGen as the pipeline does."""
    examples, statistics = Examples(), ExampleStatistics()
    examples.uri, statistics.uri = documents, str(output / "statistics")
    examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
    examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(examples, "tfrecords_gzip")
    options = tfdv.StatsOptions(feature_allowlist=STATISTICS_FEATURES).to_json()
    context = Executor.Context(beam_pipeline_args=beam_arguments, tmp_dir=str(output / "temporary"), unique_id="1")
    Executor(context).Do({"examples": [examples]}, {"statistics": [statistics]}, {"stats_options_json": options})
