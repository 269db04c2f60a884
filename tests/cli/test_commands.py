"""Each command on a user's own files, from text to predictions, and resumed after it has finished."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kerasbert.cli.command_line import SUBCOMMANDS

Command = Callable[..., object]


def test_a_run_folder_contains_every_documented_file(pretrained: Path) -> None:
    names = {path.name for path in pretrained.iterdir()}
    assert {"settings.json", "history.jsonl", "evaluation.json", "checkpoints", "tensorboard", "model", "data"} <= names
    rows = [json.loads(line) for line in (pretrained / "history.jsonl").read_text().splitlines()]
    assert [row["phase"] for row in rows if row["split"] == "validation"] == ["short", "long"]
    settings = json.loads((pretrained / "settings.json").read_text())
    assert settings["settings"]["steps"] == 12
    assert settings["versions"]["tensorflow"]


def test_fine_tuning_learns_the_topics(fine_tuned: Path) -> None:
    evaluation = json.loads((fine_tuned / "evaluation.json").read_text())
    assert evaluation["metrics"]["accuracy"] > 0.9
    assert evaluation["labels"] == ["animals", "food", "tools"]
    assert evaluation["attention"]["pieces"][0] == "[CLS]"


def test_predict_gives_the_same_answers_for_texts_and_files(command: Command, fine_tuned: Path, tmp_path: Path) -> None:
    texts = ["the cat and the cow.", "the saw and the drill."]
    direct = command("predict", fine_tuned / "model", *texts)
    answers = [json.loads(line) for line in direct.out.splitlines()]
    assert [answer["label"] for answer in answers] == ["animals", "tools"]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"question": text}) + "\n" for text in texts))
    plain = command("predict", fine_tuned / "model", "--file", tmp_path / "texts.txt")
    output = tmp_path / "answers.jsonl"
    named = command(
        "predict", fine_tuned / "model", "--file", tmp_path / "texts.jsonl", "--text-column", "question", "-o", output
    )
    assert plain.out == direct.out
    assert output.read_text() == direct.out
    assert named.out == f"2 answers: {output}\n"


@pytest.mark.parametrize("precision", ["bfloat16", "int8", "auto"])
def test_answers_in_other_precisions_say_how_they_compare_with_float32(
    precision: str, command: Command, fine_tuned: Path
) -> None:
    texts = ["the cat and the cow.", "the saw and the drill."]
    result = command("predict", fine_tuned / "model", *texts, "--precision", precision)
    assert [json.loads(line)["label"] for line in result.out.splitlines()] == ["animals", "tools"]
    chosen = "float32|bfloat16" if precision == "auto" else precision
    assert re.search(rf"^Precision ({chosen})[:,] ", result.err, re.MULTILINE)


@pytest.mark.parametrize(
    "text", ["", "   \t\n ", "\x00\x01\x7f", "x" * 1_000_000], ids=["empty", "blank", "control", "1 MB"]
)
def test_predict_gives_one_answer_for_any_string(command: Command, fine_tuned: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": text}) + "\n")
    result = command("predict", fine_tuned / "model", "--file", tmp_path / "texts.jsonl")
    (answer,) = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 0
    assert 0 < answer["probability"] <= 1


def test_invalid_utf8_in_an_argument_is_read_as_in_a_file(command: Command, fine_tuned: Path, tmp_path: Path) -> None:
    # The valid lines are needed because a file is rejected if most of its lines are not UTF-8.
    (tmp_path / "texts.txt").write_bytes(b"the cat \xff\xe9 \xc3\xa9\nthe dog\nthe cow\n")
    for name in ("predict", "embed"):
        direct = command(name, fine_tuned / "model", os.fsdecode(b"the cat \xff\xe9 \xc3\xa9"), "the dog", "the cow")
        by_file = command(name, fine_tuned / "model", "--file", tmp_path / "texts.txt")
        assert (direct.code, by_file.code) == (0, 0)
        assert direct.out == by_file.out
        assert json.loads(direct.out.splitlines()[0])["text"] == "the cat \ufffd\ufffd é"


def test_evaluate_gives_the_metrics_of_training(
    command: Command, fine_tuned: Path, table: Path, tmp_path: Path
) -> None:
    output = tmp_path / "metrics.json"
    assert command("evaluate", fine_tuned / "model", table, "--output", output).code == 0
    metrics = json.loads(output.read_text())
    assert metrics["rows"] == 120
    assert metrics["accuracy"] > 0.9
    assert set(metrics["per_label"]) == {"animals", "food", "tools"}


def test_evaluate_counts_invalid_utf8_and_continues(command: Command, fine_tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_bytes(b"text,label\nthe \xff cat,animals\nthe saw,tools\n")
    result = command("evaluate", fine_tuned / "model", tmp_path / "test.csv")
    assert result.code == 0
    assert "1 of 2 lines contain invalid UTF-8 (1 characters replaced by U+FFFD)" in result.err


def test_a_finished_run_is_not_trained_again(command: Command, fine_tuned: Path, table: Path, pretrained: Path) -> None:
    state = {path: path.stat().st_mtime_ns for path in (fine_tuned / "checkpoints").iterdir()}
    history = (fine_tuned / "history.jsonl").read_bytes()
    again = command(
        *("fine-tune", table, "--from", pretrained / "model", "--output", fine_tuned, "--epochs", 30),
        *("--batch-size", 16, "--sequence-length", 32, "--learning-rate", 2e-3, "--dropout", 0),
    )
    assert again.code == 0
    assert {path: path.stat().st_mtime_ns for path in (fine_tuned / "checkpoints").iterdir()} == state
    assert (fine_tuned / "history.jsonl").read_bytes() == history


def test_a_run_with_other_settings_in_the_same_folder_is_rejected(
    command: Command, fine_tuned: Path, table: Path, pretrained: Path
) -> None:
    result = command(
        "fine-tune",
        table,
        "--from",
        pretrained / "model",
        "--output",
        fine_tuned,
        "--epochs",
        2,
        "--sequence-length",
        32,
    )
    assert result.code == 1
    assert "epochs: 30 before, 2 now" in result.error
    assert "--restart" in result.error


def test_export_writes_increasing_versions(command: Command, fine_tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("the cat and the cow.\n\nthe saw and the drill.\n")
    smaller = ("--precision", "int8", "--sample-texts", tmp_path / "texts.txt")
    sizes = []
    for version, options in (("1", ()), ("2", smaller)):
        result = command("export", fine_tuned / "model", tmp_path / "exported", *options)
        folder = tmp_path / "exported" / version
        assert result.out == f"SavedModel: {folder}\n"
        sizes.append(sum(path.stat().st_size for path in folder.glob("variables/*")))
    assert "Precision int8: on 2 texts, answers differ from float32 by " in result.err
    assert "100.0% have the same label." in result.err
    assert sizes[1] < 0.6 * sizes[0]  # The model is so small that names and scales count.
    lower = command("export", fine_tuned / "model", tmp_path / "exported", "--version", 1)
    assert lower.code == 1
    assert "version" in lower.error


def test_the_model_card_contains_the_metrics_and_data_of_the_run(
    command: Command, fine_tuned: Path, tmp_path: Path
) -> None:
    (tmp_path / "card.json").write_text('{"limits": ["Topics only."], "licence": "none"}')
    options = ("--model-card", tmp_path / "card.json", "--min-serving-version", "2.12", "--no-warm-up")
    assert command("export", fine_tuned / "model", tmp_path / "exported", *options).code == 0
    card = json.loads((tmp_path / "exported" / "1" / "assets" / "model_card.json").read_text())
    (split,) = card["metrics"]
    evaluation = json.loads((fine_tuned / "evaluation.json").read_text())
    assert split == evaluation["split"]
    assert card["metrics"][split]["accuracy"] == evaluation["metrics"]["accuracy"]
    assert card["data"]["train"] == json.loads((fine_tuned / "settings.json").read_text())["settings"]["train"]
    assert "Topics only." in card["limits"]
    assert card["licence"] == "none"
    assert not (tmp_path / "exported" / "1" / "assets.extra" / "tf_serving_warmup_requests").exists()


@pytest.mark.parametrize(
    ("card", "options", "message"),
    [
        ("[]", (), "must contain a JSON object"),
        ("{", (), "must be JSON"),
        ('{"signatures": 1}', (), "read from the model"),
        ("{}", ("--min-serving-version", "2.11"), "2.12 to "),
        ("{}", ("--sequence-length", 1000), "max_position_embeddings"),
    ],
)
def test_a_failed_export_writes_nothing(
    command: Command, fine_tuned: Path, tmp_path: Path, card: str, options: tuple[object, ...], message: str
) -> None:
    (tmp_path / "card.json").write_text(card)
    exported = tmp_path / "exported"
    result = command("export", fine_tuned / "model", exported, "--model-card", tmp_path / "card.json", *options)
    assert result.code == 1
    assert message in result.error
    assert not exported.exists() or list(exported.iterdir()) == []


def test_report_writes_one_html_page(command: Command, fine_tuned: Path, tmp_path: Path) -> None:
    result = command("report", fine_tuned, "--output", tmp_path / "page.html")
    assert result.out == f"Report: {tmp_path / 'page.html'}\n"
    page = (tmp_path / "page.html").read_text()
    assert "animals" in page


def test_fine_tune_supports_multi_label_regression_and_pairs(
    command: Command, vocabulary: Path, config: Path, tmp_path: Path
) -> None:
    rows = [
        {"a": f"the {x}", "b": f"the {y}", "both": [x, y], "same": int(x == y)}
        for x in ("cat", "saw")
        for y in ("cat", "saw")
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 10))
    start = (
        "--vocabulary",
        vocabulary,
        "--model",
        config,
        "--sequence-length",
        16,
        "--epochs",
        1,
        "--pair-column",
        "b",
    )
    table = tmp_path / "rows.jsonl"
    common = ("fine-tune", table, "--validation", table, "--text-column", "a", *start)
    multi = command(
        *common, "--label-column", "both", "--problem-type", "multi_label_classification", "-o", tmp_path / "m"
    )
    assert multi.code == 0, multi.err
    number = command(*common, "--label-column", "same", "--problem-type", "regression", "-o", tmp_path / "r")
    assert number.code == 0, number.err
    for folder, key in (("m", "probabilities"), ("r", "prediction")):
        result = command(
            "predict", tmp_path / folder / "model", "--file", table, "--text-column", "a", "--pair-column", "b"
        )
        assert key in json.loads(result.out.splitlines()[0]), result.err


@pytest.mark.parametrize("name", ["", *SUBCOMMANDS])
def test_every_command_has_an_example_in_its_help(command: Command, name: str) -> None:
    result = command(*name.split(), "--help")
    assert result.code == 0
    assert "Example" in result.out
    assert f"kerasbert {name}".strip() in result.out


def test_help_does_not_import_tensorflow() -> None:
    program = "import sys\nfrom kerasbert.cli import main\nmain(['--help'])\nprint('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
