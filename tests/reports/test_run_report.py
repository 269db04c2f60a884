"""A run's folder becomes one page. Missing data is left out, damaged files are named."""

import json
import shutil

import pytest

from kerasbert.errors import BadInputError
from kerasbert.reports import Report, add_run, read_run, write_run_report

HEADINGS = [
    "Evaluation",
    "Comparison",
    "Confusion matrix",
    "Training",
    "Answers of the served model",
    "Attention",
    "Lengths of the texts",
    "Vocabulary",
    "Settings",
]


def test_the_page_contains_everything_in_the_run(run_dir, read_page):
    path = write_run_report(run_dir)
    assert path == run_dir / "report.html"
    page = path.read_text(encoding="utf-8")
    assert len(page.encode()) < 500_000
    seen = read_page(page)
    for heading in HEADINGS:
        assert seen.texts.count(heading) == 2, f"{heading} is in the table of contents and above its section"
    metrics = ["84.3%", "81.2%", "0.7123", "0.91234", "5e-5", "model.hidden_act", "gelu_tanh", "##s", "8,000", "90.0%"]
    for text in [
        *metrics,
        "0.15%",
        "117 of 127 texts are on the diagonal (92.1%).",
        "asyncio",
        "One seed.",
        "Majority class",
    ]:
        assert text in seen.text
    assert "Measured on the test split." in seen.texts
    # the matrix, 3 curves, a mean and 2 heads of 2 layers, the lengths, 3 of the vocabulary
    assert seen.tags.count("svg") == 14


def test_the_same_run_gives_the_same_bytes(run_dir, tmp_path):
    first = write_run_report(run_dir, tmp_path / "first.html")
    second = write_run_report(run_dir, tmp_path / "deeper" / "second.html")
    assert first.read_bytes() == second.read_bytes()


def test_only_the_page_is_left_in_the_folder(run_dir):
    before = {file.name for file in run_dir.iterdir()}
    write_run_report(run_dir)
    assert {file.name for file in run_dir.iterdir()} == before | {"report.html"}


@pytest.mark.parametrize(
    "kept", [["settings.json"], ["history.jsonl"], ["evaluation.json"], ["history.jsonl", "settings.json"]]
)
def test_missing_files_are_left_out(run_dir, read_page, kept):
    for file in run_dir.iterdir():
        if file.name not in kept:
            file.unlink()
    seen = read_page(write_run_report(run_dir).read_text(encoding="utf-8"))
    assert ("Settings" in seen.texts) == ("settings.json" in kept)
    assert ("Training" in seen.texts) == ("history.jsonl" in kept)
    assert ("Confusion matrix" in seen.texts) == ("evaluation.json" in kept)


@pytest.mark.parametrize(
    "name", ["metrics", "confusion_matrix", "comparison", "lengths", "vocabulary", "attention", "answers"]
)
def test_an_evaluation_without_one_part(run_dir, evaluation, name):
    evaluation = {key: evaluation[key] if key != name else None for key in ("labels", "metrics", "answers", name)}
    (run_dir / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    (run_dir / "history.jsonl").unlink()
    report = Report("run")
    add_run(report, read_run(run_dir))
    others = {"metrics": "Evaluation", "answers": "Answers of the served model"}
    assert [part.title for part in report.sections] == [
        *(title for key, title in others.items() if key != name),
        "Settings",
    ]


def test_metrics_per_label_are_shown_once(run_dir, evaluation, read_page):
    (run_dir / "history.jsonl").unlink()
    per_label = {label: {"precision": 0.5, "support": 3} for label in evaluation["labels"]}
    result = {"metrics": {"accuracy": 0.5, "per_label": per_label}, "labels": evaluation["labels"]}
    for matrix, summary in (
        (None, "Per label"),
        (evaluation["confusion_matrix"], "Precision and recall of each of the 3 labels"),
    ):
        (run_dir / "evaluation.json").write_text(json.dumps({**result, "confusion_matrix": matrix}), encoding="utf-8")
        seen = read_page(write_run_report(run_dir).read_text(encoding="utf-8"))
        assert seen.tags.count("summary") == 1
        assert summary in seen.texts


def test_an_empty_history_and_empty_objects_are_valid(tmp_path, read_page):
    (tmp_path / "history.jsonl").write_text("\n\n", encoding="utf-8")
    (tmp_path / "evaluation.json").write_text("{}", encoding="utf-8")
    seen = read_page(write_run_report(tmp_path, title="Nothing yet").read_text(encoding="utf-8"))
    assert "There is nothing to show yet." in seen.texts
    assert "Nothing yet" in seen.texts


def test_two_runs_on_one_page(run_dir, read_page):
    report = Report("Pretraining and fine-tuning", subtitle="two runs", created="2024-05-01")
    for heading in ("Pretraining", "Fine-tuning"):
        add_run(report, read_run(run_dir), heading=heading)
    seen = read_page(report.to_html())
    assert seen.texts.count("Confusion matrix") == 4
    assert {"Pretraining", "Fine-tuning", "two runs"} <= set(seen.texts)
    assert seen.texts[-1].endswith(", 2024-05-01")
    sections = [value for value in seen.values("id") if value.startswith("section-")]
    assert len(sections) == len(set(sections)) == 2 * len(HEADINGS) + 2
    assert [f"#{name}" for name in sections] == [value for value in seen.values("href") if value.startswith("#section")]


# === Bad input ===


def test_a_path_that_is_not_a_run_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"must be a folder.*missing.*Use the folder"):
        write_run_report(tmp_path / "nowhere")
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(BadInputError, match=r"must be a folder.*a file"):
        write_run_report(file)
    with pytest.raises(BadInputError, match=r"settings\.json, history\.jsonl or evaluation\.json.*which contains none"):
        write_run_report(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"phase": "short", "step": 3, "lo', "Unterminated string"),
        ('{"phase": "short", "step": 3', "delimiter"),
        ("[1, 2]", "must contain JSON objects"),
        ("null", "must contain JSON objects"),
        ('{"phase": "short", "loss": 2.5}', "`step` must be a whole number"),
        ('{"step": "three"}', "`step` must be a whole number"),
        ('{"step": -1}', "`step` must be a whole number"),
        ('{"step": true}', "`step` must be a whole number"),
        ('{"step": NaN}', "`step` must be a whole number"),
        ('{"step": 1' + "0" * 400 + "}", "401 digits is too large"),
        ("[" * 100_000, "must be JSON"),
    ],
)
def test_a_damaged_line_of_the_history_is_named(run_dir, line, problem):
    history = run_dir / "history.jsonl"
    lines = history.read_text(encoding="utf-8").splitlines()
    history.write_text("\n".join([*lines[:4], line]), encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        write_run_report(run_dir)
    message = str(caught.value)
    assert problem in message
    assert "history.jsonl', line 5" in message
    assert len(message) < 700
    assert "\n" not in message
    assert not (run_dir / "report.html").exists()


@pytest.mark.parametrize("name", ["settings.json", "history.jsonl", "evaluation.json"])
def test_a_file_that_is_not_text_or_not_a_file_is_refused(run_dir, name):
    (run_dir / name).write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(BadInputError, match=f"must be UTF-8.*{name}"):
        write_run_report(run_dir)
    (run_dir / name).unlink()
    (run_dir / name).mkdir()
    with pytest.raises(BadInputError, match=f"must be readable.*{name}"):
        write_run_report(run_dir)


@pytest.mark.parametrize("name", ["settings.json", "evaluation.json"])
def test_a_truncated_object_is_named_with_its_line(run_dir, name):
    text = json.dumps(json.loads((run_dir / name).read_text(encoding="utf-8")), indent=1)
    (run_dir / name).write_text(text[:40], encoding="utf-8")
    with pytest.raises(BadInputError, match=rf"must be JSON.*{name}', line \d+, column \d+.*cut off or damaged"):
        write_run_report(run_dir)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("split", 3, "`split` must be a string"),
        ("metrics", [0.9], "`metrics` must be an object"),
        ("confusion_matrix", "40 2", "`confusion_matrix` must be a list"),
        ("confusion_matrix", [[1, 2], [3]], "all of the same length"),
        ("confusion_matrix", [[1, 2], [3, 4]], "one row and one column for each label"),
        ("confusion_matrix", [[1, 2, 3]], "one row and one column for each label"),
        ("confusion_matrix", [[0.5, 0, 0], [0, 1, 0], [0, 0, 1]], "must contain counts"),
        ("confusion_matrix", [[-1, 0, 0], [0, 1, 0], [0, 0, 1]], "must contain counts"),
        ("labels", None, "must come with `labels`"),
        ("comparison", {"columns": ["Model"]}, "`comparison` must contain a list `rows`"),
        ("comparison", {"columns": ["Model"], "rows": [[1, 2]]}, "one value per column"),
        ("comparison", {"columns": ["Model"], "rows": ["x"]}, "a list or mapping for each row"),
        ("lengths", {"train": ["x"]}, "must be numbers of tokens"),
        ("lengths", {"train": [-4]}, "whole numbers of at least 0"),
        ("sequence_length", 0, "`limit` must be an integer of at least 1"),
        ("vocabulary", {"size": -1}, "`size` must be a count"),
        ("vocabulary", {"coverage": [[0, 0.5]]}, "`coverage` must be pairs"),
        ("vocabulary", {"frequent_pieces": ["the"]}, "`frequent_pieces` must be pairs"),
        ("vocabulary", {"pieces_by_length": {"word starts": [3]}}, "`pieces_by_length` must map"),
        ("attention", {"pieces": ["a"]}, "must contain a list `attention`"),
        ("attention", {"pieces": ["a"], "attention": [[[0.5, 0.5]]]}, "where T is the number of pieces"),
        ("attention", {"pieces": ["a"], "attention": [[[7.0]]]}, "probabilities from 0 to 1"),
        ("answers", [{"label": "io"}], "a mapping with a `text`"),
        ("answers", [{"text": "a", "rest": {"label": "io"}}], "number from 0 to 1"),
    ],
)
def test_an_evaluation_that_cannot_be_shown_is_named(run_dir, evaluation, name, value, problem):
    evaluation = {key: evaluation[key] for key in ("labels", "confusion_matrix", "lengths") if key in (name, "labels")}
    if name in ("labels", "sequence_length"):
        evaluation |= {"confusion_matrix": [[1]]} if name == "labels" else {"lengths": {"train": [3]}}
    evaluation[name] = value
    (run_dir / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        write_run_report(run_dir)
    assert problem in str(caught.value)
    assert "evaluation.json" in str(caught.value)
    assert not (run_dir / "report.html").exists()


def test_a_page_that_cannot_be_written_leaves_the_old_one(run_dir, monkeypatch):
    path = write_run_report(run_dir)
    before = path.read_bytes()
    shutil.copy(run_dir / "settings.json", run_dir / "evaluation.json")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kerasbert.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_run_report(run_dir)
    assert path.read_bytes() == before
    assert {file.name for file in run_dir.iterdir()} == {
        "settings.json",
        "history.jsonl",
        "evaluation.json",
        "report.html",
    }
