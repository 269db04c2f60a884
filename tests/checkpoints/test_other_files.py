"""Files that are not what their name says, and models of other formats, are named with a fix that works."""

import json
import shutil
from pathlib import Path

import pytest

from kerasbert.checkpoints import load, load_backbone, save
from kerasbert.errors import BadInputError

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 440449768\n"
HTML = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
CONTENTS = {
    "LFS": (LFS, "Received: a Git LFS pointer.*Run `git lfs pull`"),
    "HTML": (HTML, "Received: an HTML page.*Download the file itself"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "Received: an XML document"),
    "Hub": (b"Entry not found", "Received: the message 'Entry not found' of a failed download"),
    "empty": (b"", "Received: an empty file.*Download the file itself"),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "Received: a GGUF file.*model.safetensors or pytorch_model.bin"),
    "gzip": (b"\x1f\x8b\x08\x00", "Received: a gzip archive. Unpack it"),
}
PLACES = {
    "hugging_face": ("model.safetensors", "config.json", "tokenizer_config.json"),
    "google_tf1": ("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001", "bert_config.json"),
}


@pytest.mark.parametrize(
    ("format", "place"), [(format, place) for format, places in PLACES.items() for place in places]
)
@pytest.mark.parametrize("case", CONTENTS)
def test_a_file_that_is_something_else_is_recognized(case, format, place, saved):
    folder = saved(preprocessing=True, format=format)
    (folder / "preprocessing.json").unlink()
    real = (folder / place).read_bytes() if (folder / place).exists() else b"{}"
    content, message = CONTENTS[case]
    (folder / place).write_bytes(content)
    with pytest.raises(BadInputError, match=rf"{place}: .*{message}"):
        load(folder)
    (folder / place).write_bytes(real)  # what each fix amounts to
    load(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tf_model.h5"])
@pytest.mark.parametrize("case", CONTENTS)
def test_weights_of_other_formats_are_recognized(name, case, saved):
    folder = saved()
    (folder / "model.safetensors").unlink()
    content, message = CONTENTS[case]
    (folder / name).write_bytes(content)
    with pytest.raises(BadInputError, match=rf"{name}: .*{message}"):
        load(folder)


FORMATS = {
    "adapter_model.safetensors": r"an adapter \(LoRA, PEFT\).*for bert-base-uncased.*merge_and_unload",
    "model.q8_0.gguf": "a GGUF file .*Download the model's model.safetensors",
    "flax_model.msgpack": "a Flax checkpoint .*from_flax=True",
    "rust_model.ot": "a rust-bert checkpoint .*Download the model's model.safetensors",
    "onnx/model.onnx": r"an ONNX model \(onnx/model.onnx\). Download the model's model.safetensors",
    "openvino/openvino_model.xml": "an OpenVINO model .*Download the model's model.safetensors",
    "saved_model.pb": "an exported SavedModel .*`kerasbert serve`",
    "model.tflite": "a TensorFlow Lite model",
    "coreml/model.mlpackage": "a Core ML model",
    "bert.keras": r"a Keras model file .*keras\.saving\.load_model",
}


@pytest.mark.parametrize("name", FORMATS)
def test_models_of_other_formats_are_named_and_the_published_weights_load(name, saved, tmp_path):
    folder = saved()
    weights = (folder / "model.safetensors").rename(tmp_path / "published")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"\x00\x01")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "bert-base-uncased"}))
    if "adapter" not in name:
        (folder / "adapter_config.json").unlink()
    for load_it in (load, load_backbone):
        with pytest.raises(BadInputError, match=f"must be in a format that kerasbert reads. Received: {FORMATS[name]}"):
            load_it(folder)
    shutil.copy(weights, folder / "model.safetensors")
    load(folder)


def test_a_file_itself_is_recognized_too(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF\x03")
    (tmp_path / "weights").write_bytes(LFS)
    with pytest.raises(BadInputError, match="a GGUF file"):
        load(tmp_path / "model.gguf")
    with pytest.raises(BadInputError, match="a Git LFS pointer"):
        load(tmp_path / "weights")


def test_weights_under_another_name_load_after_the_fix(saved):
    folder = saved()
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    with pytest.raises(BadInputError, match=r"\(weights\.safetensors\)\. Rename the file to model\.safetensors"):
        load(folder)
    (folder / "weights.safetensors").rename(folder / "model.safetensors")
    load(folder)


def test_shards_without_an_index_ask_for_it(saved):
    folder = saved()
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    with pytest.raises(BadInputError, match=r"must come with their index, e\.g\. model\.safetensors\.index\.json"):
        load(folder)
    from safetensors import safe_open

    with safe_open(folder / "model-00001-of-00001.safetensors", "np") as file:
        weight_map = dict.fromkeys(file.keys(), "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    load(folder)


def test_a_missing_config_is_reported(saved):
    folder = saved()
    config = (folder / "config.json").read_bytes()
    (folder / "config.json").unlink()
    with pytest.raises(BadInputError, match=r"config\.json: the file must exist.*where the model is published"):
        load(folder)
    (folder / "config.json").write_bytes(config)
    load(folder)


def test_a_path_without_a_checkpoint_is_refused(tmp_path):
    for path, received in ((tmp_path / "nothing", "a path that does not exist"), (tmp_path, "an empty folder")):
        with pytest.raises(BadInputError, match=f"must be a folder with a checkpoint.*Received: {received}"):
            load(path)


def test_a_step_of_sentence_transformers_must_be_inside_the_folder(saved, make_model, tmp_path):
    folder = saved("projected sentences")
    save(make_model("backbone"), tmp_path / "elsewhere")
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    for path in ("../elsewhere", str(tmp_path / "elsewhere"), "linked", "1_Pooling/../../elsewhere"):
        for step in (0, 2):
            changed = [{**module, "path": path} if module["idx"] == step else module for module in modules]
            (folder / "modules.json").write_text(json.dumps(changed))
            with pytest.raises(BadInputError, match=r"modules\.json: each `path` must be inside the folder"):
                load(folder)
            with pytest.raises(BadInputError, match=r"modules\.json: each `path` must be inside the folder"):
                load_backbone(folder)
    (folder / "modules.json").write_text(json.dumps(modules))
    for file in list(folder.rglob("*.json")):  # as the cache of the Hugging Face Hub has every file
        blob = file.rename(tmp_path / f"blob {file.parent.name} {file.name}")
        file.symlink_to(blob)
    assert load(folder).source_format == "sentence_transformers"
    assert Path(folder / "modules.json").is_symlink()
