"""Compiled pipelines are valid for their backends, and every step runs as the process that it describes."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import json_format
from kfp import components
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.utils import io_utils

from kerasbert import checkpoints
from kerasbert.errors import BadInputError
from kerasbert_pipelines import fine_tune, pretrain
from kerasbert_pipelines.settings import ComponentResources, FineTuneSettings
from kerasbert_pipelines.vertex_and_kubeflow import compile as compile_module
from kerasbert_pipelines.vertex_and_kubeflow.compile import (
    check_job,
    compile_pipeline,
    compiled_job,
    local_places,
    run_parameters,
)
from kerasbert_pipelines.vertex_and_kubeflow.run_parameters import add_run_parameters
from kerasbert_tfx.records.labelled_records import read_examples
from kerasbert_tfx.records.pushed_versions import newest_version
from kerasbert_tfx.records.remote_folders import copied_to_local

from .compiled_settings import FACTORIES, IMAGE
from .compiled_steps import execute, execute_step


@pytest.mark.parametrize("kind", FACTORIES)
def test_the_json_for_vertex_is_a_pipeline_job(kind, make_settings, tmp_path):
    gpu = IMAGE.replace(":cpu", ":gpu")
    resources = {"Trainer": ComponentResources(cpu=4, memory="16G", accelerator="NVIDIA_TESLA_T4", image=gpu)}
    reader = {"pretrain": "DocumentExamples", "fine-tune": "LabelledExampleGen"}[kind]
    resources |= {reader: ComponentResources(cpu=2, memory="4Gi"), "StatisticsGen": ComponentResources(workers=3)}
    path = tmp_path / "pipeline.json"
    compile_pipeline(FACTORIES[kind], make_settings(kind, resources=resources), "vertex", path)
    job = json_format.Parse(path.read_text(), pipeline_spec_pb2.PipelineJob())
    assert job.runtime_config.gcs_output_directory == "gs://bucket/root"
    spec = json_format.ParseDict(json_format.MessageToDict(job.pipeline_spec), pipeline_spec_pb2.PipelineSpec())
    deployment = json_format.ParseDict(
        json_format.MessageToDict(spec.deployment_spec), pipeline_spec_pb2.PipelineDeploymentConfig()
    )
    containers = {name: executor.container for name, executor in deployment.executors.items()}
    images = {name: container.image for name, container in containers.items() if container.image}
    assert images.pop("Trainer_executor") == gpu
    assert set(images.values()) == {IMAGE}
    trainer = containers["Trainer_executor"].resources
    assert (trainer.cpu_limit, trainer.memory_limit) == (4, 16)
    assert (trainer.accelerator.type, trainer.accelerator.count) == ("NVIDIA_TESLA_T4", 1)
    # TFX does not set the resources of file-based ExampleGens.
    reading = containers[f"{reader}_executor"].resources
    assert (reading.cpu_limit, reading.memory_limit) == (2, pytest.approx(4.294967296))
    assert not containers["StatisticsGen_executor"].HasField("resources")


@pytest.mark.parametrize("kind", FACTORIES)
def test_the_yaml_for_kubeflow_is_a_component(kind, make_settings, tmp_path):
    path = tmp_path / "pipeline.yaml"
    compile_pipeline(FACTORIES[kind], make_settings(kind), "kubeflow", path)
    spec = yaml.safe_load(path.read_text())
    # TFX cannot read Kubeflow's default root.
    assert spec["defaultPipelineRoot"] == "gs://bucket/root"
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        component = components.load_component_from_file(str(path))
    assert component.name == f"kerasbert-{kind}"
    assert set(component.component_spec.inputs) == set(run_parameters(path))


@pytest.mark.parametrize("kind", FACTORIES)
def test_compiling_writes_nothing_but_the_file(kind, make_settings, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = make_settings(kind)
    before = set(tmp_path.rglob("*"))
    compile_pipeline(FACTORIES[kind], settings, "vertex", tmp_path / "pipeline.json")
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "pipeline.json"}


def test_inputs_of_a_run_override_settings(make_settings):
    job = compiled_job(fine_tune.create_pipeline, make_settings("fine-tune"), "vertex")
    definitions = job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]
    assert {name: definition["defaultValue"] for name, definition in definitions.items()} == {
        "batch_size": 8,
        "data": definitions["data"]["defaultValue"],
        "epochs": 2,
        "learning_rate": 5e-3,
        "push_folder": "gs://bucket/root/pushed/kerasbert-fine-tune",
    }
    trainer = job["pipelineSpec"]["root"]["dag"]["tasks"]["Trainer"]["inputs"]["parameters"]
    config = trainer["custom_config"]["runtimeValue"]["constant"]
    assert "\"epochs\": {{$.inputs.parameters['pipelinechannel--epochs']}}" in config
    assert trainer["pipelinechannel--epochs"] == {"componentInputParameter": "epochs"}
    assert "{{$.inputs.parameters" not in trainer["run_fn"]["runtimeValue"]["constant"]


def test_a_value_becomes_an_input_only_under_the_key_of_its_setting():
    settings = FineTuneSettings(epochs=3, batch_size=3, learning_rate=0.5, data="d", push_folder="p")
    constant = '{"epochs": 3, "more_epochs": 3, "seed": 3, "in": {"epochs": 3}, "epochs_text": "3", "list": [3]}'
    task = {"inputs": {"parameters": {"config": {"runtimeValue": {"constant": constant}}}}}
    job = {"pipelineSpec": {"root": {"dag": {"tasks": {"Trainer": task}}}}}
    add_run_parameters(job, settings)
    place = "{{$.inputs.parameters['pipelinechannel--epochs']}}"
    expected = constant.replace('"epochs": 3', f'"epochs": {place}')
    assert task["inputs"]["parameters"]["config"]["runtimeValue"]["constant"] == expected
    assert list(job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]) == ["epochs"]


@pytest.mark.parametrize(
    ("values", "target", "name", "message"),
    [
        ({"image": None}, "vertex", "p.json", r"runs in a container image\. Received: no `image`"),
        ({"pipeline_root": "runs"}, "vertex", "p.json", r"Cloud Storage\. Received: pipeline_root='runs'"),
        ({"pipeline_root": "runs"}, "kubeflow", "p.yaml", r"object store\. Received: pipeline_root='runs'"),
        (
            {"pipeline_root": "minio://a/b"},
            "kubeflow",
            "p.yaml",
            r"push_folder='minio://a/b/pushed/.*a volume that all",
        ),
        (
            {"pipeline_root": "s3://a", "push_folder": "/models", "beam_pipeline_args": ["--runner", "FlinkRunner"]},
            *("kubeflow", "p.yaml", r"Workers of a Beam runner .* pipeline_root='s3://a'"),
        ),
        (
            {"resources": {"Trainer": ComponentResources(accelerator="TPU_V3")}},
            *("kubeflow", "p.yaml", r"a Kubernetes resource\. Received: accelerator='TPU_V3'"),
        ),
        ({"infra_validator": "yes"}, "vertex", "p.json", "the pipeline is for a cluster"),
        ({}, "vertex", "p.yaml", r"written to a \.json file"),
        ({"resources": {"Traner": ComponentResources(cpu=1)}}, "vertex", "p.json", "Traner"),
    ],
)
def test_settings_that_a_backend_cannot_use_are_rejected_and_nothing_is_written(
    make_settings, tmp_path, values, target, name, message
):
    with pytest.raises(BadInputError, match=message):
        compile_pipeline(fine_tune.create_pipeline, make_settings("fine-tune", **values), target, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_step_that_no_backend_can_run_is_rejected(make_settings):
    job = compiled_job(fine_tune.create_pipeline, make_settings("fine-tune"), "kubeflow")
    job["pipelineSpec"]["deploymentSpec"]["executors"]["Trainer_executor"] = {"resolver": {}}
    with pytest.raises(ValueError, match="'Trainer', a resolver"):
        check_job(job, "kubeflow")


def test_files_that_are_not_in_a_bucket_are_listed(make_settings):
    settings = make_settings("fine-tune", data="gs://bucket/rows", start_from="/gcs/bucket/model", model="bert-tiny")
    assert local_places(settings) == {}
    settings = make_settings("fine-tune", start_from="runs/model", schema="/etc/schema.pbtxt", push_folder="gs://b/p")
    assert set(local_places(settings)) == {"data", "start_from", "schema", "model"}


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_every_step_of_both_pipelines_runs_on_vertex_with_all_files_in_a_bucket(
    make_settings, bucket, tmp_path, tiny_config, monkeypatch
):
    monkeypatch.setattr(compile_module, "_check_settings", lambda settings, target: None)  # the bucket is not gs://
    shared = {"pipeline_root": f"{bucket}/root", "model": uploaded(tiny_config, f"{bucket}/config.json")}
    settings = make_settings("pretrain", **shared, push_folder=f"{bucket}/pushed")
    settings = dataclasses.replace(settings, texts=uploaded(tmp_path / "texts", f"{bucket}/texts"))
    job = compiled_job(pretrain.create_pipeline, settings, "vertex")
    pretrained = execute(job, f"{bucket}/pretraining", {"steps": 30})
    assert set(pretrained) == set(job["pipelineSpec"]["root"]["dag"]["tasks"])
    version = newest_version(f"{bucket}/pushed")
    with copied_to_local(version) as folder:
        assert checkpoints.load(folder).text_to_inputs is not None
    assert trained_with(pretrained)["steps"] == 30

    (tmp_path / "bare.csv").write_text("text\nthe dog and the cat.\nthe hammer and the saw.\n")
    settings = make_settings(
        "fine-tune",
        **shared,
        start_from=version,
        tune=True,
        tuner_trials=2,
        bulk_inference=uploaded(tmp_path / "bare.csv", f"{bucket}/bare.csv"),
    )
    settings = dataclasses.replace(settings, data=uploaded(tmp_path / "rows", f"{bucket}/rows"))
    job = compiled_job(fine_tune.create_pipeline, settings, "vertex")
    parameters = {"epochs": 4, "push_folder": f"{bucket}/served"}
    tuned = execute(job, f"{bucket}/fine-tuning", parameters)
    assert set(tuned) == set(job["pipelineSpec"]["root"]["dag"]["tasks"])
    assert trained_with(tuned)["epochs"] == 4
    best = json.loads(read(f"{tuned['Tuner']['best_hyperparameters']['uri']}/best_hyperparameters.txt"))
    assert best["values"].items() <= trained_with(tuned).items()
    inferred = list(read_examples([f"{tuned['BulkInferrer']['output_examples']['uri']}/Split-unlabelled/*"]))
    assert [example.features.feature["text"].bytes_list.value[0] for example in inferred] == [
        b"the dog and the cat.",
        b"the hammer and the saw.",
    ]
    # The served model returns the answers of the trained model.
    texts = ["the dog and the cat.", "the hammer and the saw and the nail.", "bread"]
    pushed = newest_version(f"{bucket}/served")
    served = tf.saved_model.load(pushed).signatures["serving_default"](text=tf.constant(texts))
    with copied_to_local(f"{tuned['Trainer']['model_run']['uri']}/model") as folder:
        trained = checkpoints.load(folder)
    logits = trained.model(trained.text_to_inputs(texts), training=False)
    np.testing.assert_allclose(served["logits"], logits, atol=1e-5)
    assert served["label"].numpy().tolist() == [trained.labels[best].encode() for best in np.argmax(logits, axis=1)]
    # The next evaluation has a baseline, which is not one of the step's inputs.
    again = execute_step(job, "ComparingEvaluator", tuned, f"{bucket}/evaluation", parameters)
    assert again["blessing"]["metadata"]["baseline_model"] == pushed


def uploaded(path, address):
    """Copies a file or a folder to a bucket."""
    if path.is_dir():
        io_utils.copy_dir(str(path), address)
    else:
        tf.io.gfile.copy(str(path), address)
    return address


def read(address):
    with tf.io.gfile.GFile(address) as file:
        return file.read()


def trained_with(outputs):
    """Returns the settings that the Trainer's process recorded."""
    return json.loads(read(f"{outputs['Trainer']['model_run']['uri']}/settings.json"))["settings"]
