"""The generated pages and schemas are current, complete and correct."""

import json
from pathlib import Path
from typing import Any

import pytest

from kerasbert.cli.reference import generated_files, pipeline_schema, settings_reference
from kerasbert.settings import FineTuningSettings, PretrainingSettings, settings_of
from kerasbert_pipelines.settings import FineTuneSettings, PretrainSettings, read_settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted(generated_files()), ids=str)
def test_a_committed_file_is_current(path: Path) -> None:
    committed = (ROOT / path).read_text(encoding="utf-8")
    assert committed == generated_files()[path], "Run `python -m kerasbert.cli.reference`."


@pytest.mark.parametrize("kind", [FineTuningSettings, PretrainingSettings, FineTuneSettings, PretrainSettings])
def test_the_page_has_every_setting(kind: type) -> None:
    page = settings_reference()
    for name in settings_of(kind):
        assert f"`{name}`" in page


@pytest.mark.parametrize(
    ("settings", "is_valid"),
    [
        ({}, True),
        ({"data": "rows.csv", "epochs": 3, "learning_rate": 1e-4, "infra_validator": "no"}, True),
        ({"problem_type": "regression"}, True),
        ({"resources": {"Trainer": {"cpu": 4, "memory": "16G"}}}, True),
        ({"early_stopping_patience": None}, True),
        ({"epochs": 0}, False),
        ({"epochs": "three"}, False),
        ({"learning_rate": 0}, False),
        ({"dropout": 1}, False),
        ({"label_separator": ""}, False),
        ({"task": "translation"}, False),
        ({"epocs": 3}, False),
        ({"resources": {"Trainer": {"cpus": 4}}}, False),
    ],
)
def test_the_schema_accepts_what_the_pipeline_accepts(settings: dict[str, Any], is_valid: bool) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(pipeline_schema("fine-tune"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(settings) == is_valid
    if is_valid:
        read_settings("fine-tune", None, settings)
    else:
        with pytest.raises(ValueError, match="Received: "):
            read_settings("fine-tune", None, settings)
