"""Makes pretraining instances from documents on Beam. How they are made: see `records/instance_making.py`.

The artifact contains a copy of its vocabulary, without which token ids have no meaning.
"""

import json

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.dsl.component.experimental.annotations import (
    BeamComponentParameter,
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples
from tfx.utils import io_utils

from kerasbert_tfx.records.document_records import SPLITS, read_counts
from kerasbert_tfx.records.instance_making import PREPROCESSING_FOLDER, make_instances


@component(use_beam=True)
def PretrainingInstances(  # noqa: N802 (TFX components are named like classes)
    examples: InputArtifact[Examples],
    preprocessing: InputArtifact[File],
    instances: OutputArtifact[Examples],
    options: Parameter[str],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Writes `Split-<split>/<phase>/pairs-*.tfrecord` and `preprocessing/`.

    Args:
        examples: Documents, in the format of `records/document_records.py`.
        preprocessing: The folder that `TextToInputs.save` wrote.
        instances: The output artifact.
        options: The fields of `InstanceSettings`, as a JSON object.
        beam_pipeline: Supplied by TFX.
    """
    instances.split_names = artifact_utils.encode_split_names(list(SPLITS))
    examples_utils.set_payload_format(instances, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    folder = f"{instances.uri}/{PREPROCESSING_FOLDER}"
    io_utils.copy_dir(preprocessing.uri, folder)
    counts, _ = read_counts(examples.uri)
    make_instances(beam_pipeline, examples.uri, counts, folder, instances.uri, json.loads(options))
