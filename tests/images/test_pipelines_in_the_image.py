"""Pipelines are compiled in the image, and all their steps run in it, as its user and without a network."""

import json
import subprocess
import time

import pytest
import yaml

from .conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

TINY = {"batch_size": 8, "learning_rate": 5e-3, "dropout": 0.0, "checkpoint_every": 10, "sequence_length": 24}
MODEL = {"vocab_size": 1, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
TESTS = [f"{ROOT}/tests/{name}:/tests/{name}:ro" for name in ("images", "orchestration")]


@pytest.fixture
def places(tmp_path):
    """Folders of this machine that the containers mount at /files, /gcs and /minio."""
    places = {name: tmp_path / name for name in ("files", "gcs", "minio")}
    for place in places.values():
        place.mkdir()
    return places


@pytest.fixture
def run(pipeline_container, places):
    """Runs a command in the image, whose user may write to the mounted folders only."""

    def run(*command):
        subprocess.run(["chown", "-R", "1000:1000", *places.values()], check=True)
        volumes = [f"{place}:/{name}" for name, place in places.items()]
        return pipeline_container.run(*command, volumes=[*volumes, *TESTS])

    return run


@pytest.fixture
def run_pipeline(run, places, show):
    """`run_pipeline(kind, target, **settings)`: compiles a pipeline, runs its steps, and returns their names."""

    def run_pipeline(kind, target, **settings):
        values = {"image": "example.com/image:cpu", "show_progress": False, **TINY, **settings}
        (places["files"] / "settings.yaml").write_text(yaml.safe_dump(values))
        file = "/files/pipeline.json" if target == "vertex" else "/files/pipeline.yaml"
        command = ("compile", kind, "--config", "/files/settings.yaml", "--target", target, "--output", file)
        run("kerasbert", "pipeline", *command)
        start = time.monotonic()
        tasks = json.loads(run("python", "/tests/images/steps_in_image.py", target, file).splitlines()[-1])
        show(f"{kind} for {target}: {len(tasks)} steps in {time.monotonic() - start:.0f} s")
        return set(tasks)

    return run_pipeline


def write_model(folder):
    """Writes the config of a very small BERT."""
    (folder / "config.json").write_text(json.dumps({**MODEL, "max_position_embeddings": 64, "type_vocab_size": 2}))


def test_pretraining_compiled_for_kubeflow(run_pipeline, run, places):
    from ..orchestration.conftest import documents, write_documents

    write_documents(places["files"] / "texts" / "a.txt", documents(150))
    write_model(places["files"])
    tasks = run_pipeline(
        *("pretrain", "kubeflow"),
        texts="/files/texts",
        model="/files/config.json",
        vocabulary_size=100,
        dupe_factor=2,
        held_out_share=0.2,
        steps=20,
        long_sequence_length=48,
        pipeline_root="minio://mlpipeline/v2/artifacts",
        push_folder="/files/pushed",
    )
    assert {"InputCheck", "DocumentExamples", "PretrainingInstances", "Trainer", "ModelPusher"} <= tasks
    code = """
import glob
from kerasbert import checkpoints
(folder,) = glob.glob("/files/pushed/[0-9]*")
print(checkpoints.load(folder).text_to_inputs is not None)
"""
    assert run("python", "-c", code).splitlines()[-1] == "True"


def test_fine_tuning_compiled_for_vertex(run_pipeline, run, places):
    from ..orchestration.conftest import WORDS
    from ..orchestration.labelled_tables import topic_rows, write_table

    bucket = places["gcs"] / "bucket"
    write_table(bucket / "rows" / "rows.csv", ("text", "label"), topic_rows(200))
    words = sorted(word for topic in WORDS.values() for word in topic)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "and", ".", *words]
    (bucket / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    write_model(bucket)
    tasks = run_pipeline(
        *("fine-tune", "vertex"),
        data="gs://bucket/rows",
        vocabulary="gs://bucket/vocab.txt",
        model="gs://bucket/config.json",
        epochs=6,
        pipeline_root="gs://bucket/root",
        push_folder="gs://bucket/pushed",
    )
    assert {"LabelledExampleGen", "DataCheck", "Trainer", "ComparingEvaluator", "SkewCheck", "ModelPusher"} <= tasks
    texts = {"the dog and the cat.": "animals", "the saw and the hammer.": "tools", "the soup and the bread.": "food"}
    code = f"""
import glob
import tensorflow as tf, tensorflow_text
(folder,) = glob.glob("/gcs/bucket/pushed/[0-9]*")
served = tf.saved_model.load(folder).signatures["serving_default"]
print(b" ".join(served(text=tf.constant({list(texts)}))["label"].numpy()).decode())
"""
    assert run("python", "-c", code).splitlines()[-1].split() == list(texts.values())
