"""Both pipelines with all files in a bucket: data, models, vocabulary, config, artifacts, pushed models and states."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers the ops of the exported tokenizer)

from kerasbert import checkpoints
from kerasbert.errors import BadInputError
from kerasbert_pipelines import fine_tune, pretrain
from kerasbert_pipelines.local.run_local import ComponentFailedError, run
from kerasbert_pipelines.settings import FineTuneSettings, PretrainSettings
from kerasbert_tfx.components.model_pusher import push
from kerasbert_tfx.records.fingerprints import fingerprint
from kerasbert_tfx.records.pushed_versions import newest_version
from kerasbert_tfx.records.remote_folders import copied_to_local

from .bucket_filesystem import objects
from .conftest import documents, write_documents
from .labelled_tables import topic_rows, write_table

TINY = {"batch_size": 8, "learning_rate": 5e-3, "dropout": 0.0, "sequence_length": 24, "show_progress": False}


def upload(source: Path, address: str) -> str:
    tf.io.gfile.copy(str(source), address)
    return address


@pytest.fixture
def pretrain_settings(bucket: str, tmp_path: Path, tiny_config: Path, preprocessing: Path) -> PretrainSettings:
    upload(write_documents(tmp_path / "a.txt", documents(80)), f"{bucket}/texts/deep/a.txt")
    return PretrainSettings(
        **TINY,
        texts=f"{bucket}/texts",
        vocabulary=upload(preprocessing / "vocab.txt", f"{bucket}/vocab.txt"),
        model=upload(tiny_config, f"{bucket}/config.json"),
        pipeline_root=f"{bucket}/root",
        metadata_path=str(tmp_path / "metadata.sqlite"),
        held_out_share=0.2,
        dupe_factor=1,
        steps=12,
        long_share=0.0,
        checkpoint_every=4,
    )


@pytest.fixture
def fine_tune_settings(bucket: str, tmp_path: Path, tiny_config: Path, preprocessing: Path) -> FineTuneSettings:
    upload(write_table(tmp_path / "rows.csv", ("text", "label"), topic_rows(80)), f"{bucket}/rows/rows.csv")
    return FineTuneSettings(
        **TINY,
        data=f"{bucket}/rows",
        vocabulary=upload(preprocessing / "vocab.txt", f"{bucket}/vocab.txt"),
        model=upload(tiny_config, f"{bucket}/config.json"),
        pipeline_root=f"{bucket}/root",
        push_folder=f"{bucket}/served/topics",
        metadata_path=str(tmp_path / "metadata.sqlite"),
        epochs=1,
        infra_validator="no",
    )


@pytest.mark.timeout(600)
def test_pretraining_from_a_bucket_to_a_bucket(pretrain_settings: PretrainSettings, bucket: str) -> None:
    summary = run(pretrain.create_pipeline, pretrain_settings)
    assert set(summary.states.values()) == {"done"}
    assert summary.pushed_to == newest_version(pretrain_settings.push_folder)
    with copied_to_local(summary.pushed_to) as pushed:
        loaded = checkpoints.load(pushed)
    assert loaded.text_to_inputs is not None
    assert json.loads(tf.io.gfile.GFile(f"{bucket}/root/summary.json").read())["blessed"] is True
    assert not [name for name in objects(f"{bucket}/root/Trainer/unfinished/") if not name.endswith("/")]
    assert set(run(pretrain.create_pipeline, pretrain_settings).states.values()) == {"cached"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fine_tuning_from_a_bucket_to_a_bucket(
    fine_tune_settings: FineTuneSettings, bucket: str, tmp_path: Path
) -> None:
    settings = fine_tune_settings
    first = run(fine_tune.create_pipeline, settings)
    assert set(first.states.values()) == {"done"}
    assert first.pushed_to == newest_version(settings.push_folder)
    texts = ["the dog and the cat.", "bread"]
    served = tf.saved_model.load(first.pushed_to).signatures["serving_default"](text=tf.constant(texts))
    with copied_to_local(f"{first['Trainer'].outputs['model_run']}/model") as kept:
        trained = checkpoints.load(kept)
    logits = trained.model(trained.text_to_inputs(texts), training=False)
    np.testing.assert_allclose(served["logits"], logits, atol=1e-5)

    # A changed row is detected, and the next candidate is compared with the pushed model.
    upload(write_table(tmp_path / "more.csv", ("text", "label"), topic_rows(20, seed=9)), f"{bucket}/rows/more.csv")
    second = run(fine_tune.create_pipeline, dataclasses.replace(settings, max_metric_decrease=1.0))
    assert second["LabelledExampleGen"].state == "done"
    assert second["ComparingEvaluator"].baseline == first.pushed_to
    assert "baseline_accuracy" in second["ComparingEvaluator"].metrics


@pytest.mark.parametrize("name", ["vocabulary", "model"])
def test_a_file_that_is_missing_in_the_bucket_is_named(
    fine_tune_settings: FineTuneSettings, bucket: str, name: str
) -> None:
    from tfx.components.trainer.fn_args_utils import FnArgs

    from kerasbert_tfx.modules.fine_tuning import _local_inputs

    values = {"vocabulary": fine_tune_settings.vocabulary, "model": fine_tune_settings.model, name: f"{bucket}/no"}
    arguments = FnArgs(custom_config={"settings": values, "starts_from_model": False})
    with pytest.raises(BadInputError, match=f"`{name}` must be a file.*{name}='{bucket}/no'"), _local_inputs(arguments):
        pass


def test_errors_about_rows_name_the_address_in_the_bucket(fine_tune_settings: FineTuneSettings, bucket: str) -> None:
    with tf.io.gfile.GFile(f"{bucket}/rows/rows.csv", "w") as file:
        file.write("text,label\nx,y\nz,\n")
    with pytest.raises(ComponentFailedError, match=f"no label in line 3 of '{bucket}/rows/rows.csv'"):
        run(fine_tune.create_pipeline, fine_tune_settings)


def test_the_metadata_of_a_local_run_must_be_on_this_machine(fine_tune_settings: FineTuneSettings, bucket: str) -> None:
    settings = dataclasses.replace(fine_tune_settings, metadata_path=f"{bucket}/metadata.sqlite")
    with pytest.raises(BadInputError, match="Set `metadata_path` to a local file"):
        run(fine_tune.create_pipeline, settings)


# === Pushing ===


def saved_model(folder: Path, content: str) -> str:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text("index")
    return str(folder)


def test_a_version_is_pushed_once_and_its_saved_model_file_last(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = saved_model(tmp_path / "model", "first")
    copied = []
    copy = tf.io.gfile.copy

    def noted(source: str, target: str, overwrite: bool = False) -> None:
        copied.append(target)
        copy(source, target, overwrite)

    monkeypatch.setattr(tf.io.gfile, "copy", noted)
    version = push(model, f"{bucket}/served")
    assert copied[-1] == f"{version}/saved_model.pb"
    assert fingerprint(version) == fingerprint(model)
    assert push(model, f"{bucket}/served") == version
    newer = push(saved_model(tmp_path / "other", "second"), f"{bucket}/served")
    assert int(newer.rpartition("/")[2]) > int(version.rpartition("/")[2])
    assert newest_version(f"{bucket}/served") == newer


def test_a_failed_push_leaves_no_partial_version_in_the_bucket(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(tf.errors.PermissionDeniedError):
        push(saved_model(tmp_path / "model", "first"), "bucket://read-only/served")
    assert objects() == []
