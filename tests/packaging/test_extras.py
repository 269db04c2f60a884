"""The requirements of both distributions name what their sources import, and nothing else."""

import configparser
import sys

import pytest

from .commands import ROOT
from .imported_distributions import imported, requirements

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Not imported by name, and why they are required all the same.
WITHOUT_IMPORT = {
    "tensorboard": "users look at the event files of a training with it",
    "httptools": "uvicorn's HTTP parser, which the server uses by name",
    "dill": "Beam pickles with it",
    "kfp": "TFX's Kubeflow runner imports it; the extra tfx[kfp] is empty on Python 3.12 and newer",
    "keras-nlp": "brings keras-hub, which is imported by name to load a preset",
    "scipy": "Keras' exporter to OpenVINO imports it",
    "kerasbert-client": "the server's own package, in the other distribution",
}
# The files that an extra is for.
FILES = {
    "report": ["kerasbert/reports/**/*.py"],
    "serving": ["serving/server/**/*.py"],
    "tfx": ["tfx/**/*.py", "pipelines/**/*.py"],
    "demo": ["kerasbert/data/quality/linear_classifier.py"],
    "data-check": ["kerasbert/data/quality/**/*.py"],
    "jax": ["kerasbert/training/**/*.py"],
    "keras-nlp": ["kerasbert/checkpoints/formats/keras_hub.py"],
    "onnx": ["kerasbert/export/formats/onnx.py"],
    "openvino": ["kerasbert/export/formats/openvino.py"],
    "litert": ["kerasbert/export/formats/litert.py"],
}
FOR_DEVELOPERS = {"test", "docs", "dev"}


@pytest.fixture(scope="module")
def declared():
    """The required distributions of kerasbert by extra; "" for those without an extra."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = {name: requirements(lines) for name, lines in setup["options.extras_require"].items()}
    return {"": requirements(setup["options"]["install_requires"]), **extras}


@pytest.fixture(scope="module")
def client():
    """The settings of kerasbert-client."""
    return tomllib.loads((ROOT / "serving" / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_extra_is_looked_at(declared):
    assert declared.keys() - FOR_DEVELOPERS - {""} == FILES.keys()


@pytest.mark.parametrize("extra", FILES)
def test_an_extra_names_what_its_files_import_and_nothing_else(declared, extra):
    used = imported(*FILES[extra])
    assert used - declared[""] - declared[extra] == set(), "imported, and not required"
    assert declared[extra] - used - WITHOUT_IMPORT.keys() == set(), "required, and not imported"


def test_the_library_needs_no_extra_elsewhere(declared):
    used = imported("kerasbert/**/*.py")
    extras = ("report", "demo", "data-check", "jax", "onnx", "openvino", "litert")
    with_extras = declared[""].union(*(declared[extra] for extra in extras))
    assert used - with_extras == set(), "imported, and not required"
    everything = used | imported("tfx/**/*.py", "pipelines/**/*.py", "serving/server/**/*.py")
    assert declared[""] - everything - WITHOUT_IMPORT.keys() == set(), "required, and not imported"


def test_the_client_requires_what_it_imports_and_nothing_else(client):
    assert imported("serving/clients/**/*.py", "serving/protos/*.py") == requirements(client["dependencies"])
    plot = requirements(client["optional-dependencies"]["plot"])
    assert imported("serving/load_test/*.py") <= requirements(client["dependencies"]) | plot
    assert imported("serving/load_test/plot.py") == plot | {"numpy"}


def test_both_distributions_have_one_version_and_fit_together(client):
    import re

    version = re.search(r'"(.*)"', (ROOT / "kerasbert" / "version.py").read_text(encoding="utf-8").split("=")[1])[1]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert client["version"] == version, "serving/pyproject.toml and kerasbert/version.py"
    assert f"kerasbert-client=={version}" in setup["options.extras_require"]["serving"].splitlines()
    assert client["requires-python"] == setup["options"]["python_requires"]
