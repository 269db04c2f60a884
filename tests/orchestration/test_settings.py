"""Settings come from flags, a file and the environment, and an error names the invalid setting and its source."""

import dataclasses
from pathlib import Path

import pytest

from kerasbert.errors import BadInputError
from kerasbert.settings import FineTuningSettings, PretrainingSettings, QuestionSettings, settings_of
from kerasbert_pipelines.fine_tune import create_pipeline
from kerasbert_pipelines.settings import FineTuneSettings, PretrainSettings, read_settings


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KERASBERT_PIPELINE_ROOT", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_REGION"):
        monkeypatch.delenv(name, raising=False)


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def test_flags_override_the_file_and_the_file_overrides_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERASBERT_PIPELINE_ROOT", "from-environment")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "environment-project")
    monkeypatch.setenv("GOOGLE_CLOUD_REGION", "environment-region")
    path = write(tmp_path, "project: file-project\nregion: file-region\nsteps: 7\n")
    settings = read_settings("pretrain", path, {"region": "flag-region"})
    assert (settings.pipeline_root, settings.project, settings.region) == (
        "from-environment",
        "file-project",
        "flag-region",
    )
    assert settings.steps == 7
    assert settings.batch_size == PretrainSettings().batch_size


def test_paths_are_derived_from_the_root_unless_given() -> None:
    settings = read_settings("fine-tune", None, {"pipeline_root": "here", "push_folder": "there"})
    assert settings.pipeline_name == "kerasbert-fine-tune"
    assert settings.metadata_path == "here/metadata.sqlite"
    assert settings.push_folder == "there"


def test_pipelines_that_share_a_root_have_their_own_push_folder_and_metadata() -> None:
    settings = [read_settings(kind, None, {"pipeline_root": "here"}) for kind in ("pretrain", "fine-tune")]
    assert len({one.push_folder for one in settings}) == 2
    assert len({one.accepted_schema for one in settings}) == 2


def test_values_are_converted_to_their_types(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "learning_rate: 1e-3\nlong_share: 0\nbeam_pipeline_args: [--runner=DataflowRunner]\nresources:\n"
        "  Trainer: {cpu: 8, memory: 30G, accelerator: NVIDIA_TESLA_T4, workers: 2}\n",
    )
    settings = read_settings("pretrain", path)
    assert settings.learning_rate == 1e-3
    assert isinstance(settings.long_share, float)
    assert settings.beam_pipeline_args == ("--runner=DataflowRunner",)
    assert settings.resources_of("Trainer").cpu == 8.0
    assert settings.resources_of("Trainer").workers == 2
    assert settings.resources_of("Pusher").accelerator is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("stepz: 3", ["`stepz`", "settings.yaml", "Did you mean `steps`?"]),
        ("steps: many", ["`steps` must be a whole number", "steps='many'", "settings.yaml"]),
        ("steps: 1.5", ["`steps` must be a whole number"]),
        ("steps: true", ["`steps` must be a whole number"]),
        ("steps: 1970-01-01", ["`steps` must be a whole number"]),
        ("lower_case: 2", ["`lower_case` must be true or false"]),
        ("lower_case: maybe", ["`lower_case` must be true or false", "For example, `lower_case: True`."]),
        ("text_column: yes", ["`text_column` must be text"]),
        ("masking: never", ["`masking` must be one of dynamic, static"]),
        ("resources: 3", ["`resources` must be a mapping"]),
        ("resources: {Trainer: {cpus: 3}}", ["`resources.Trainer.cpus`", "`resources.Trainer.cpu`"]),
        ("resources: {Trainer: {memory: lots}}", ["`memory` must be a number with"]),
        ("resources: {Trainer: {workers: 0}}", ["`resources.Trainer.workers` must be a whole number, at least 1"]),
        ("resources: {Trainer: {cpu: .nan}}", ["`resources.Trainer.cpu` must be a finite number, greater than 0"]),
        ("pipeline_name: Capital", ["`pipeline_name` must be lower-case letters"]),
        ("steps: 1\nsteps: 2", ["`steps` occurs twice", "settings.yaml"]),
        ("- steps", ["one `setting: value` per line", "a list"]),
        ("steps: [", ["must be YAML", "settings.yaml"]),
        ("? [a, b]\n: 1", ["a name must be text", "line 1", "settings.yaml"]),
        ("texts: 2024-13-45", ["must be YAML", "month must be in 1..12"]),
        ("<<: 3", ["must be YAML", "expected a mapping"]),
    ],
)
def test_invalid_settings_are_named(tmp_path: Path, text: str, found: list[str]) -> None:
    with pytest.raises(BadInputError) as refused:
        read_settings("pretrain", write(tmp_path, text))
    for words in found:
        assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "wrong", "rule"),
    [
        ("steps", ("0", "99999999999999999999"), "a whole number, at least 1 and at most 2147483647"),
        ("batch_size", ("-3",), "a whole number, at least 1"),
        ("validate_every", ("0",), "a whole number, at least 1"),
        ("sequence_length", ("7",), "a whole number, at least 8"),
        ("vocabulary_size", ("6",), "a whole number, at least 7"),
        ("seed", ("-5", "4294967296"), "a whole number, at least 0 and at most 4294967295"),
        ("learning_rate", (".nan", ".inf", "0", "-1e-4"), "a finite number, greater than 0"),
        ("learning_rate", ("1" + "0" * 400,), "a finite number"),
        ("weight_decay", ("-0.1", ".nan"), "a finite number, at least 0"),
        ("dropout", ("1", "-0.1"), "a finite number, at least 0 and less than 1"),
        ("held_out_share", ("0", "1"), "a finite number, greater than 0 and less than 1"),
        ("masked_lm_rate", ("0", "1.5"), "a finite number, greater than 0 and at most 1"),
        ("long_share", ("-0.1", "1.1", ".nan"), "a finite number, at least 0 and at most 1"),
        ("range_megabytes", ("0",), "a finite number, at least 0.001"),
        ("max_loss_increase", (".nan",), "a finite number"),
    ],
)
def test_numbers_out_of_range_are_named_with_their_source(
    tmp_path: Path, name: str, wrong: tuple[str, ...], rule: str
) -> None:
    for value in wrong:
        with pytest.raises(BadInputError, match=f"`{name}` must be {rule}.* Received: {name}=.*settings.yaml"):
            read_settings("pretrain", write(tmp_path, f"{name}: {value}"))


@pytest.mark.parametrize("kind", [PretrainSettings, FineTuneSettings, PretrainingSettings, FineTuningSettings])
def test_every_setting_has_a_help_text_and_a_default_that_it_accepts(kind: type) -> None:
    required = {"output": "run"} if "output" in settings_of(kind) else {}
    for name, info in settings_of(kind).items():
        assert info.help.endswith("."), name
        if not info.is_required:
            assert getattr(kind(**{**required, name: info.default}), name) == getattr(kind(**required), name)


@pytest.mark.parametrize(
    ("name", "spellings", "value"),
    [
        ("learning_rate", ("1e-4", "0.0001", ".0001", "1.0e-4", "'1e-4'"), 1e-4),
        ("steps", ("1000", "1_000", "1e3", "1000.0", "'1000'"), 1000),
        ("lower_case", ("no", "No", "off", "false", "FALSE", "0", "'no'", "'off'", "'False'", "n"), False),
        ("whole_word", ("yes", "on", "true", "True", "1", "'yes'", "y"), True),
        ("jit_compile", ("null", "~", ""), None),
        ("project", ("123", "'123'"), "123"),
        ("beam_pipeline_args", ("--a=b", "[--a=b]"), ("--a=b",)),
    ],
)
def test_every_unambiguous_notation_of_a_value_is_accepted(
    tmp_path: Path, name: str, spellings: tuple[str, ...], value: object
) -> None:
    for spelling in spellings:
        found = getattr(read_settings("pretrain", write(tmp_path, f"{name}: {spelling}")), name)
        assert (found, type(found)) == (value, type(value)), spelling


@pytest.mark.parametrize(
    ("spelling", "value"), [("no", "no"), ("off", "no"), ("false", "no"), ("yes", "yes"), ("auto", "auto")]
)
def test_yes_and_no_may_be_written_without_quotes(tmp_path: Path, spelling: str, value: str) -> None:
    assert read_settings("fine-tune", write(tmp_path, f"infra_validator: {spelling}")).infra_validator == value


def test_the_task_may_be_called_problem_type(tmp_path: Path) -> None:
    assert read_settings("fine-tune", write(tmp_path, "problem_type: regression")).task == "regression"
    assert FineTuningSettings(output="run", problem_type="regression").task == "regression"
    with pytest.raises(BadInputError, match=r"`task` must be one of .* Received: task='x' in '.*settings.yaml'"):
        read_settings("fine-tune", write(tmp_path, "problem_type: x"))


def test_resources_of_the_file_and_of_a_flag_are_merged(tmp_path: Path) -> None:
    path = write(tmp_path, "resources: {Trainer: {cpu: 8, workers: 2}, Evaluator: {cpu: 1}}\n")
    settings = read_settings("pretrain", path, {"resources": {"Trainer": {"cpu": 4}}})
    assert (settings.resources_of("Trainer").cpu, settings.resources_of("Trainer").workers) == (4.0, 2)
    assert settings.resources_of("Evaluator").cpu == 1.0


def test_home_folders_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    path = write(tmp_path, "pipeline_root: ~/runs\ndata: ~/rows.csv\nbulk_inference: gs://bucket/~/rows\n")
    settings = read_settings("fine-tune", path, {"start_from": "~/model", "label_separator": "~"})
    assert settings.pipeline_root == "/home/somebody/runs"
    assert settings.push_folder == "/home/somebody/runs/pushed/kerasbert-fine-tune"
    assert settings.data == "/home/somebody/rows.csv"
    assert settings.start_from == "/home/somebody/model"
    assert settings.bulk_inference == "gs://bucket/~/rows"
    assert settings.label_separator == "~"


def test_yaml_mappings_can_be_merged(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "<<: {steps: 3, seed: 1}\nseed: 2\nresources:\n  Trainer: &big {<<: {workers: 1}, workers: 2, cpu: 4}\n"
        "  PretrainingInstances: {<<: *big, cpu: 8}\n",
    )
    settings = read_settings("pretrain", path)
    assert (settings.steps, settings.seed) == (3, 2)
    resources = settings.resources_of("PretrainingInstances")
    assert (resources.workers, resources.cpu) == (2, 8.0)


def test_a_missing_file_and_an_unknown_pipeline_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"nowhere\.yaml"):
        read_settings("pretrain", tmp_path / "nowhere.yaml")
    with pytest.raises(ValueError, match="pretrain, fine-tune"):
        read_settings("train")


def test_an_invalid_flag_is_named_as_such() -> None:
    with pytest.raises(BadInputError, match=r"steps='x' in the command line\. For example, `--set steps=10000`\."):
        read_settings("pretrain", None, {"steps": "x"})
    with pytest.raises(BadInputError, match=r"`epochs` must be .*, at least 1 .* epochs=0 in the command line"):
        read_settings("fine-tune", None, {"epochs": 0})


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read_settings("pretrain").steps = 3


@pytest.mark.parametrize(
    ("pipeline", "recipe"), [(PretrainSettings, PretrainingSettings), (FineTuneSettings, FineTuningSettings)]
)
def test_settings_that_pipelines_and_recipes_share_are_identical(pipeline: type, recipe: type) -> None:
    ours, theirs = settings_of(pipeline), settings_of(recipe)
    # These settings are paths of data and models, which pipelines handle differently.
    places = {"texts", "start_from", "vocabulary"}
    shared = ours.keys() & theirs.keys() - places
    assert {
        "learning_rate",
        "dropout",
        "seed",
        "optimizer",
        "validate_every" if recipe is PretrainingSettings else "task",
    } <= shared
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
    of_runs = {"output", "restart", "held_out", "train", "validation", "test", *places}
    of_tasks_without_pipeline = {*settings_of(QuestionSettings), "negative_window_share"}
    assert theirs.keys() - ours.keys() <= of_runs | of_tasks_without_pipeline


def test_a_task_of_the_command_only_is_refused_by_the_pipeline() -> None:
    settings = FineTuneSettings(data="rows.json", start_from="bert", task="question_answering")
    with pytest.raises(BadInputError, match="use `kerasbert fine-tune`"):
        create_pipeline(settings)
