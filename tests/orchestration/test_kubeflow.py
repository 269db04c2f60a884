"""Compiled pipelines run on open-source Kubeflow Pipelines, in an emulation of its driver and launcher."""

import csv
import json
import os
import uuid
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.types.standard_artifacts import Model

from kerasbert import checkpoints
from kerasbert.errors import BadInputError
from kerasbert_pipelines.settings import ComponentResources
from kerasbert_pipelines.vertex_and_kubeflow import kubeflow_input_check, kubeflow_spec
from kerasbert_pipelines.vertex_and_kubeflow.compile import compiled_job
from kerasbert_pipelines.vertex_and_kubeflow.kubeflow_step import (
    corrected_output,
    prepared_input,
    remove_folder_objects,
)
from kerasbert_tfx.components.model_import import ModelImportExecutor
from kerasbert_tfx.records.pushed_versions import newest_version, pushed_versions
from kerasbert_tfx.records.remote_folders import copied_to_local

from .bucket_filesystem import objects
from .compiled_settings import FACTORIES, write_rows
from .kubeflow_backend import Backend, BackendError, ObjectStore

FINGERPRINT = kubeflow_spec.FINGERPRINT_PREFIX
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the launcher's folders are in /, where only root may write")


@pytest.fixture
def make_spec(make_settings):
    """`make_spec(kind, **values)`: a pipeline compiled for Kubeflow."""

    def make(kind, **values):
        return compiled_job(FACTORIES[kind], make_settings(kind, **values), "kubeflow")["pipelineSpec"]

    return make


def parameters_of(spec, task):
    return spec["root"]["dag"]["tasks"][task].get("inputs", {}).get("parameters", {})


def readers_of(spec, setting):
    """Returns the tasks that run again when the files of a setting change."""
    tasks = spec["root"]["dag"]["tasks"]
    return {name for name in tasks if FINGERPRINT + setting in parameters_of(spec, name)}


# === The compiled file ===


@pytest.mark.parametrize("kind", FACTORIES)
def test_every_step_starts_with_our_entry_point(kind, make_spec):
    spec = make_spec(kind, **({"start_from": "gs://b/m"} if kind == "fine-tune" else {}))
    for name, task in spec["root"]["dag"]["tasks"].items():
        component = spec["components"][task["componentRef"]["name"]]
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        assert container["command"][2].rpartition(".")[2] in ("kubeflow_step", "kubeflow_input_check"), name
        assert "lifecycle" not in container, "the backend never runs it"
        declared = component.get("inputDefinitions", {}).get("parameters", {})
        assert parameters_of(spec, name).keys() <= declared.keys(), name
        for value in parameters_of(spec, name).values():
            assert "{{$" not in str(value.get("runtimeValue")), "the backend would fill it without escaping"


def test_changed_input_reaches_the_steps_that_read_it(make_spec):
    values = {"bulk_inference": "gs://b/rows/bare.csv", "schema": "gs://b/schema.pbtxt", "data": "gs://b/rows/*.csv"}
    spec = make_spec("fine-tune", start_from="gs://b/m/1", **values)
    assert readers_of(spec, "data") == {"LabelledExampleGen"}
    assert readers_of(spec, "bulk_inference") == {"BulkExampleGen"}
    assert readers_of(spec, "start_from") == {"StartModel"}
    assert readers_of(spec, "schema") == {"SchemaImport"}
    spec = make_spec("fine-tune", vocabulary="gs://b/vocab.txt", model="gs://b/config.json", tune=True)
    assert readers_of(spec, "vocabulary") == readers_of(spec, "model") == {"Trainer", "Tuner"}
    spec = make_spec("pretrain", vocabulary="gs://b/vocab.txt", texts="gs://b/texts")
    assert readers_of(spec, "texts") == {"DocumentExamples"}
    assert readers_of(spec, "vocabulary") == {"PreprocessingMaker"}
    check = spec["root"]["dag"]["tasks"][kubeflow_spec.INPUT_CHECK]
    assert check["cachingOptions"] == {}
    assert check["inputs"]["parameters"]["texts"] == {"componentInputParameter": "texts"}


def test_resources_are_those_of_kubernetes_and_steps_are_retried(make_spec):
    trainer = ComponentResources(cpu=4, memory="16Gi", accelerator="NVIDIA_TESLA_T4", accelerator_count=2, retries=3)
    spec = make_spec("fine-tune", resources={"Trainer": trainer})
    resources = spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]["resources"]
    assert resources == {
        "cpuLimit": 4.0,
        "memoryLimit": 17.179869184,
        "accelerator": {"type": "nvidia.com/gpu", "count": "2"},
    }
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["Trainer"]["retryPolicy"]["maxRetryCount"] == 3
    assert all("retryPolicy" not in task for name, task in tasks.items() if name != "Trainer")


def test_steps_keep_the_addresses_if_beam_runs_on_other_machines(make_spec):
    """Its workers cannot read the launcher's local copies."""
    spec = make_spec("pretrain", beam_pipeline_args=["--runner=DataflowRunner", "--project=p"])
    for name, executor in spec["deploymentSpec"]["executors"].items():
        assert ("--keep_addresses" in executor["container"]["args"]) == (name != "InputCheck_executor"), name


# === The entry point ===

GIVEN = {
    "inputs": {
        "parameterValues": {
            "config": '{"text": "${pipelinechannel--texts}", "epochs": ${pipelinechannel--epochs}}',
            "old": "{{$.inputs.parameters['pipelinechannel--rate']}}",
            "pipelinechannel--texts": 'a"b\\c',
            "pipelinechannel--epochs": 3.0,
            "pipelinechannel--rate": 1,
            "fingerprint--texts": "f",
        },
        "artifacts": {"examples": {"artifacts": [{"name": "7", "type": {"instanceSchema": ""}, "uri": "s3://b/e"}]}},
    },
    "outputs": {
        "artifacts": {
            "model": {"artifacts": [{"uri": "minio://b/r/model", "type": {"instanceSchema": "title: tfx.Model"}}]},
            "executor-logs": {"artifacts": [{"uri": "minio://b/r/executor-logs", "type": {"schemaTitle": "x"}}]},
        },
        "outputFile": "/tmp/kfp_outputs/output_metadata.json",
    },
}
SPEC = {
    "artifacts": {"examples": {"artifactType": {"instanceSchema": "title: tfx.Examples"}}},
    "parameters": {
        "pipelinechannel--epochs": {"parameterType": "NUMBER_INTEGER"},
        "pipelinechannel--rate": {"parameterType": "NUMBER_DOUBLE"},
    },
}


def test_an_executor_input_is_completed():
    prepared = prepared_input(GIVEN, SPEC, ["model"], keep_addresses=False)
    values = prepared["inputs"]["parameterValues"]
    assert json.loads(values.pop("config")) == {"text": 'a"b\\c', "epochs": 3}
    assert values == {"old": "1"}
    (examples,) = prepared["inputs"]["artifacts"]["examples"]["artifacts"]
    assert examples == {"name": "7", "type": {"instanceSchema": "title: tfx.Examples"}, "uri": "/s3/b/e"}
    assert [*prepared["outputs"]["artifacts"]] == ["model"]
    assert prepared["outputs"]["artifacts"]["model"]["artifacts"][0]["uri"] == "/minio/b/r/model"
    kept = prepared_input(GIVEN, SPEC, ["model"], keep_addresses=True)
    assert kept["inputs"]["artifacts"]["examples"]["artifacts"][0]["uri"] == "s3://b/e"


def test_an_executor_output_has_addresses_and_no_null():
    written = {"artifacts": {"model": {"artifacts": [{"uri": "/minio/b/r/model", "metadata": {"a": None, "b": 1}}]}}}
    (model,) = corrected_output(written, {"model": "minio://b/r/model"})["artifacts"]["model"]["artifacts"]
    assert model == {"uri": "minio://b/r/model", "metadata": {"b": 1}}


def test_a_missing_input_is_one_clear_line(tmp_path, capsys):
    given = {
        "inputs": {"parameterValues": {"start_from": "/nowhere"}},
        "outputs": {"outputFile": f"{tmp_path}/out.json"},
    }
    with pytest.raises(SystemExit, match=r"^InputCheck: `start_from` must name files .*'/nowhere' \(no file\)"):
        kubeflow_input_check.main(["--executor_input", json.dumps(given)])
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("address", ["m", "m/", "m/bert.ckpt", "m/config.json"])
def test_the_model_to_start_from_is_copied(address, bucket, tmp_path):
    """A folder, a file or a checkpoint's prefix in a bucket, where an empty object stands for the folder itself."""
    tf.io.gfile.makedirs(f"{bucket}/m")
    names = ["bert.ckpt.index", "bert.ckpt.data-00000-of-00001", "config.json", "in/vocab.txt"]
    for name in names:
        with tf.io.gfile.GFile(f"{bucket}/m/{name}", "w") as file:
            file.write(name)
    result = Model()
    result.uri = str(tmp_path / "result")
    executor = ModelImportExecutor()
    executor.Do({}, {"result": [result]}, {"artifact_uri": f"{bucket}/{address}", "output_key": "result"})
    copied = {file.relative_to(result.uri).as_posix(): file.read_text() for file in Path(result.uri).rglob("*.*")}
    part = address.partition("/")[2]
    assert copied == {name: name for name in names if name == part or name.startswith(f"{part}." if part else "")}
    with pytest.raises(
        BadInputError, match=r"`start_from` must be a model that exists\. Received: start_from='/nowhere'"
    ):
        executor.Do({}, {"result": [result]}, {"artifact_uri": "/nowhere", "output_key": "result"})


def test_only_the_empty_objects_of_folders_are_removed(bucket):
    tf.io.gfile.makedirs(f"{bucket}/out/inner/empty")
    for name in ("out/a", "out/inner/b"):
        with tf.io.gfile.GFile(f"{bucket}/{name}", "w") as file:
            file.write(name)
    assert f"{bucket}/out/inner/" in objects()
    remove_folder_objects(f"{bucket}/out")
    assert [name for name in objects() if "/out/" in name] == [
        f"{bucket}/out/a",
        f"{bucket}/out/inner/b",
    ]


# === Both pipelines, end to end ===


@pytest.fixture
def make_backend(tmp_path, monkeypatch):
    """`make_backend(version, scheme)`: a cluster with one empty bucket."""

    def make(version, scheme):
        if scheme == "bucket":  # in place of gs://, which TensorFlow would look for on the network
            monkeypatch.setattr(kubeflow_spec, "STORES", (*kubeflow_spec.STORES, "bucket"))
            store = ObjectStore(tmp_path / "objects")
            return Backend(version, store, "bucket://kept/root")
        store = ObjectStore(tmp_path / "store")
        return Backend(version, store, f"{scheme}://{uuid.uuid4().hex[:8]}/root")

    return make


def cached(run):
    return {name for name, task in run.items() if task.is_cached}


@needs_root
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("version", "scheme"), [("2.5", "minio"), ("2.14", "s3"), ("2.17", "bucket")])
def test_both_pipelines_run_from_text_to_a_served_model(version, scheme, make_spec, make_backend, bucket, tmp_path):
    backend = make_backend(version, scheme)
    # With a bucket that Beam knows, Beam's steps use its addresses. This runner has another name than the local one.
    runner = "--runner=apache_beam.runners.direct.direct_runner.DirectRunner"
    shared = {
        "pipeline_root": backend.pipeline_root,
        "push_folder": f"{bucket}/pushed" if scheme == "bucket" else str(tmp_path / "pushed"),
        "beam_pipeline_args": [runner] if scheme == "bucket" else [],
    }
    spec = make_spec("pretrain", **shared)
    first = backend.run(spec, {"steps": 30})
    assert cached(first) == set()
    assert first.keys() == spec["root"]["dag"]["tasks"].keys()
    pretrained = newest_version(shared["push_folder"])
    with copied_to_local(pretrained) as folder:
        assert checkpoints.load(folder).text_to_inputs is not None
    assert cached(backend.run(spec, {"steps": 30})) == first.keys() - {"InputCheck"}

    bare = tmp_path / "bare.csv"
    bare.write_text("text\nthe dog and the cat.\nthe hammer and the saw.\n")
    served = f"{bucket}/served" if scheme == "bucket" else str(tmp_path / "served")
    values = {"start_from": pretrained, "tune": True, "tuner_trials": 2, "bulk_inference": str(bare)}
    spec = make_spec("fine-tune", **shared, **values)
    parameters = {"epochs": 4, "push_folder": served}
    tuned = backend.run(spec, parameters)
    assert cached(tuned) == set()
    texts = ["the dog and the cat.", "the hammer and the saw and the nail."]
    outputs = tf.saved_model.load(newest_version(served)).signatures["serving_default"](text=tf.constant(texts))
    assert np.isfinite(outputs["logits"]).all()
    assert cached(backend.run(spec, parameters)) == tuned.keys() - {"InputCheck"}

    # A changed row runs everything that depends on the rows again, and nothing else.
    write_rows(tmp_path / "rows" / "rows.csv", 91)
    changed = backend.run(spec, parameters)
    assert cached(changed) == {"BulkExampleGen", "StartModel"}
    assert len(pushed_versions(served)) in (1, 2), "the new model is pushed if it is as good"
    # The launcher would download the empty object of a folder among an artifact's files as a file.
    artifacts = {record["uri"].partition("://")[2] for record in backend.records.values()}
    folders = [name for name in backend.store.keys("") if name.endswith("/")]
    assert not [name for name in folders if any(name.startswith(f"{artifact}/") for artifact in artifacts)]


@needs_root
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_step_that_fails_says_why_and_is_retried(make_spec, make_backend, tmp_path):
    backend = make_backend("2.17", "minio")
    shared = {"pipeline_root": backend.pipeline_root, "push_folder": str(tmp_path / "pushed")}
    spec = make_spec("fine-tune", **shared, resources={"LabelledExampleGen": ComponentResources(retries=1)})
    rows = tmp_path / "rows" / "rows.csv"
    with rows.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], ["the dog", ""]])
    with pytest.raises(BackendError) as error:
        backend.run(spec)
    assert str(error.value).strip().splitlines()[-1].startswith("LabelledExampleGen: ")
    assert backend.attempts == {"InputCheck": 1, "LabelledExampleGen": 2}
