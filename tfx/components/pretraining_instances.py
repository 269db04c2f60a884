"""Makes pretraining instances of documents, with Beam.

How they are made is given by a dotted path, as TFX's Trainer is given its `run_fn`: see
`kerasbert_tfx.records.instance_making.make_instances`. The artifact carries its vocabulary, without which token
ids mean nothing.
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
from tfx.utils import import_utils, io_utils

from kerasbert_tfx.records.document_records import SPLITS, read_counts
from kerasbert_tfx.records.remote_folders import copied_to_local

PREPROCESSING_FOLDER = "preprocessing"


@component(use_beam=True)
def PretrainingInstances(  # noqa: N802 (TFX components are named like classes)
    examples: InputArtifact[Examples],
    preprocessing: InputArtifact[File],
    instances: OutputArtifact[Examples],
    make_fn: Parameter[str],
    options: Parameter[str],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Writes `Split-<split>/<phase>/pairs-*.tfrecord` and `preprocessing/`.

    Args:
        examples: documents (see document_records.py).
        preprocessing: what `TextToInputs.save` wrote.
        instances: what is written.
        make_fn: the dotted path of a function that takes a Beam pipeline, the documents' folder and counts, the
            preprocessing's folder, the folder to write to, and the options.
        options: JSON object.
        beam_pipeline: given by TFX.
    """
    module, _, function = make_fn.rpartition(".")
    make = import_utils.import_func_from_module(module, function)
    instances.split_names = artifact_utils.encode_split_names(list(SPLITS))
    examples_utils.set_payload_format(instances, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    io_utils.copy_dir(preprocessing.uri, f"{instances.uri}/{PREPROCESSING_FOLDER}")
    counts, _ = read_counts(examples.uri)
    with copied_to_local(preprocessing.uri) as folder:
        make(beam_pipeline, examples.uri, counts, str(folder), instances.uri, json.loads(options))
