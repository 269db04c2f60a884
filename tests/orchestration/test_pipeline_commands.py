"""`kerasbert pipeline` reports a failure on one line with the component's name, and compiles pipelines to files."""

from pathlib import Path

import pytest

from kerasbert.cli import main
from kerasbert_pipelines.vertex_and_kubeflow.compile import run_parameters

from .conftest import Command


@pytest.mark.parametrize(
    ("kind", "name", "component"),
    [("pretrain", "texts", "DocumentExamples"), ("fine-tune", "data", "LabelledExampleGen")],
)
def test_bad_input_gives_one_line_with_the_components_name(
    command: Command, tmp_path: Path, kind: str, name: str, component: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pushed" / "1").mkdir(parents=True)
    (tmp_path / "pushed" / "1" / "model").write_text("served")
    settings = {
        name: tmp_path / "empty",
        "pipeline_root": tmp_path / "root",
        "push_folder": tmp_path / "pushed",
        "show_progress": "false",
        **({"vocabulary": tmp_path / "vocab.txt"} if kind == "fine-tune" else {}),
    }
    code, out, errors = command("run", kind, *(f"--set={key}={value}" for key, value in settings.items()))
    assert code == 1
    assert out == ""
    (line,) = errors
    assert line.startswith(f"kerasbert: {component}: ")
    assert str(tmp_path / "empty") in line
    assert [path.name for path in (tmp_path / "pushed").rglob("*")] == ["1", "model"]


def test_an_unknown_setting_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("dta: rows.csv\n")
    code, _, (line,) = command("run", "fine-tune", "--config", tmp_path / "c.yaml")
    assert code == 1
    assert f"`dta` in '{tmp_path / 'c.yaml'}'. Did you mean `data`?" in line


def test_a_pipeline_is_compiled_and_cannot_be_submitted_without_a_project(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for variable in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_REGION"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "c.yaml").write_text(
        "data: gs://bucket/rows\nvocabulary: /models/vocab.txt\nimage: example.com/image\npipeline_root: gs://bucket/root\n"
    )
    arguments = [
        "compile",
        "fine-tune",
        "-c",
        tmp_path / "c.yaml",
        "--target",
        "vertex",
        "-o",
        tmp_path / "p.json",
    ]
    main(["pipeline", *map(str, arguments)])
    out, err = capfd.readouterr()
    assert out.splitlines()[0] == f"Pipeline: {tmp_path / 'p.json'}"
    assert ", ".join(run_parameters(tmp_path / "p.json")) in out
    assert "the image must contain it or the cluster must mount it: vocabulary=/models/vocab.txt" in err
    code, _, (line,) = command("submit", tmp_path / "p.json")
    assert code == 1
    assert "needs a project and a region" in line
    code, _, (line,) = command("submit", tmp_path / "nowhere.json", "--project", "a", "--region", "b")
    assert code == 1
    assert "nowhere.json" in line


@pytest.mark.parametrize("place", ["file/p.json", "folder.json"])
def test_a_place_to_which_nothing_can_be_written_is_one_line(command: Command, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.json").mkdir()
    settings = ["--set=data=gs://bucket/rows", "--set=vocabulary=/models/vocab.txt", "--set=image=example.com/image"]
    options = ["--target", "vertex", "--set=pipeline_root=gs://bucket/root", "-o", tmp_path / place]
    code, out, (line,) = command("compile", "fine-tune", *settings, *options)
    assert (code, out) == (1, "")
    assert place.partition("/")[0] in line
    assert {path.name for path in tmp_path.rglob("*")} == {"file", "folder.json"}


@pytest.mark.parametrize("place", ["file", "file/demo"])
def test_the_demo_refuses_a_place_that_is_no_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit) as leaving:
        main(["demo", "--output", str(tmp_path / place)])
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("kerasbert: ")]
    assert leaving.value.code == 1
    assert str(tmp_path / "file") in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
