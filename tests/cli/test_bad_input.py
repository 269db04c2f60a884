"""Bad input ends in one clear line and exit code 1, and nothing half-written is left."""

import itertools
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., object]

BAD_TEXTS = {
    "empty": (b"", "empty"),
    "no readable line": (b"\n \n\t\n", "line"),
    "binary": (bytes(range(256)) * 64, "binary"),
    "UTF-16 without a mark": ("a text".encode("utf-16-le"), "utf-16-le"),
    "Windows-1252": ("le café très cher\n".encode("cp1252") * 9, "cp1252"),
}


@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_unusable_text(command: Command, tmp_path: Path, kind: str) -> None:
    content, word = BAD_TEXTS[kind]
    (tmp_path / "bad.txt").write_bytes(content)
    result = command("vocabulary", tmp_path / "bad.txt", "--output", tmp_path / "vocab.txt")
    assert result.code == 1
    assert word in result.error
    assert "bad.txt" in result.error
    assert not (tmp_path / "vocab.txt").exists()


def test_missing_text(command: Command, tmp_path: Path) -> None:
    result = command("vocabulary", tmp_path / "nowhere.txt", "--output", tmp_path / "vocab.txt")
    assert result.code == 1
    assert "nowhere.txt" in result.error


def test_invalid_utf8_is_counted_and_read(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(b"the cat sat\n" * 50 + b"caf\xe9 \xff\n")
    result = command("vocabulary", tmp_path / "text.txt", "--output", tmp_path / "vocab.txt", "--size", 50)
    assert result.code == 0
    assert "1 of 51 lines contain invalid UTF-8 (2 characters replaced by U+FFFD)" in result.err


def test_one_document_cannot_pair(command: Command, vocabulary: Path, config: Path, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("the cat.\nthe dog.\nthe saw.\n")
    result = command(
        *(
            "pretrain",
            tmp_path / "one.txt",
            "--vocabulary",
            vocabulary,
            "--model",
            config,
            "--output",
            tmp_path / "run",
        ),
        *("--sequence-length", 16, "--long-share", 0, "--held-out", tmp_path / "one.txt"),
    )
    assert result.code == 1
    assert "document" in result.error
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("name", ["pretrain", "fine-tune"])
def test_text_in_another_script_than_the_vocabulary(
    command: Command, vocabulary: Path, config: Path, tmp_path: Path, name: str
) -> None:
    if name == "pretrain":
        data = tmp_path / "text.txt"
        data.write_text("кот сидит.\nпёс спит.\n\nон видит кота.\nона нет.\n" * 20, encoding="utf-8")
    else:
        data = tmp_path / "rows.csv"
        rows = "".join(f"кот {number} сидит,животные\nдождь {number} идёт,погода\n" for number in range(20))
        data.write_text("text,label\n" + rows, encoding="utf-8")
    given = {"--vocabulary": vocabulary, "--model": config, "--sequence-length": 16, "--output": tmp_path / "run"}
    if name == "pretrain":
        given["--long-share"] = 0
    result = command(name, data, *itertools.chain.from_iterable(given.items()))
    assert result.code == 1
    assert "The vocabulary must know the text's words." in result.error
    assert f"unknown to '{vocabulary}'" in result.error
    assert not (tmp_path / "run").exists()


def test_missing_column_names_those_there(command: Command, table: Path, vocabulary: Path, tmp_path: Path) -> None:
    result = command("fine-tune", table, "--vocabulary", vocabulary, "--label-column", "intent", "-o", tmp_path / "run")
    assert result.code == 1
    assert "intent" in result.error
    assert "'text'" in result.error
    assert "'label'" in result.error
    assert not (tmp_path / "run").exists()


def test_one_class_only(command: Command, vocabulary: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("text,label\n" + "the cat,animals\n" * 3 + "the dog,animals\nthe cow,animals\n")
    result = command(
        "fine-tune",
        tmp_path / "one.csv",
        "--validation",
        tmp_path / "one.csv",
        "--vocabulary",
        vocabulary,
        "-o",
        tmp_path / "r",
    )
    assert result.code == 1
    assert "two classes" in result.error
    assert not (tmp_path / "r").exists()


def test_unseen_label_names_label_and_row(command: Command, table: Path, vocabulary: Path, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("text,label\nthe cat,animals\nthe moon,planets\n")
    result = command(
        "fine-tune", table, "--test", tmp_path / "test.csv", "--vocabulary", vocabulary, "-o", tmp_path / "r"
    )
    assert result.code == 1
    assert "'planets'" in result.error
    assert "line 3" in result.error
    assert "'animals'" in result.error
    assert not (tmp_path / "r").exists()


def test_vocabulary_without_unk(command: Command, table: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[CLS]\n[SEP]\n[MASK]\nthe\n")
    result = command("fine-tune", table, "--vocabulary", tmp_path / "vocab.txt", "--output", tmp_path / "run")
    assert result.code == 1
    assert "[UNK]" in result.error


def test_checkpoint_of_another_shape_names_every_mismatch(
    command: Command, table: Path, pretrained: Path, tmp_path: Path
) -> None:
    import json
    import shutil

    model = shutil.copytree(pretrained / "model", tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    result = command("fine-tune", table, "--from", model, "--output", tmp_path / "run")
    assert result.code == 1
    assert "intermediate.dense.weight" in result.error
    assert "intermediate.dense.bias" in result.error
    assert "output.dense.weight" in result.error
    assert not (tmp_path / "run").exists()


def test_nan_loss_says_the_step_and_keeps_the_last_good_state(
    command: Command, table: Path, pretrained: Path, tmp_path: Path
) -> None:
    result = command(
        *("fine-tune", table, "--from", pretrained / "model", "--output", tmp_path / "run", "--sequence-length", 16),
        *("--learning-rate", 1e38, "--clip-norm", 1e30, "--warmup-share", 0, "--checkpoint-every", 1, "--epochs", 50),
    )
    assert result.code == 1
    assert "step" in result.error
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(command: Command, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    result = command("vocabulary", corpus, "--output", tmp_path / "locked" / "vocab.txt", "--size", 100)
    assert result.code == 1
    assert "locked" in result.error


def test_folder_below_a_file(command: Command, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = command("vocabulary", corpus, "--output", tmp_path / "file" / "vocab.txt", "--size", 100)
    assert result.code == 1
    assert "file" in result.error


def test_full_disk_leaves_nothing_under_the_final_name(fine_tuned: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: writing fails half-way in the same call."""
    limit = 100_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "kerasbert", "export", str(fine_tuned / "model"), str(tmp_path / "exported")],
        preexec_fn=small_files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("kerasbert: ")]) == 1
    assert "Traceback" not in done.stderr
    left = list((tmp_path / "exported").rglob("*")) if (tmp_path / "exported").exists() else []
    assert left == []


def test_occupied_output_folder(command: Command, table: Path, vocabulary: Path, config: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    result = command(
        "fine-tune", table, "--vocabulary", vocabulary, "--model", config, "-o", tmp_path, "--sequence-length", 32
    )
    assert result.code == 1
    assert "something else" in result.error
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["vocabulry"], "vocabulry"),
        (["vocabulary", "x.txt"], "--output"),
        (["predict", "model"], "--file"),
        (["demo", "--seeds", "a,b"], "a,b"),
        (["demo", "--seeds", "0,-1"], "-1"),
        (["export", "model", "exported", "--sequence-length", "2"], "--sequence-length"),
        (["vocabulary", "x.txt", "--output", "v.txt", "--size", "6"], "--size"),
        (["evaluate", "model", "x.csv", "--label-separator", ""], "--label-separator"),
        *(
            (["fine-tune", "x.csv", "--output", "run", option, value], option)
            for option, value in (
                ("--learning-rate", "nan"),
                ("--learning-rate", "inf"),
                ("--learning-rate", "0"),
                ("--clip-norm", "0"),
                ("--weight-decay", "nan"),
                ("--beta-2", "1"),
                ("--warmup-share", "nan"),
                ("--validation-share", "nan"),
                ("--seed", "-1"),
                ("--seed", "4294967296"),
                ("--label-separator", ""),
            )
        ),
        (["pretrain", "x.txt", "--output", "run", "--masked-lm-rate", "nan"], "--masked-lm-rate"),
    ],
)
def test_misspelt_command_is_one_line_and_code_2(command: Command, arguments: list[str], word: str) -> None:
    result = command(*arguments)
    assert result.code == 2
    assert word in result.error
    assert "--help" in result.error


def test_a_metric_that_the_task_does_not_have_is_refused_before_training(
    command: Command, table: Path, pretrained: Path, tmp_path: Path
) -> None:
    result = command("fine-tune", table, "--from", pretrained / "model", "-o", tmp_path / "r", "--monitor", "micro_f1")
    assert result.code == 1
    assert "--monitor micro_f1" in result.error
    assert "loss, accuracy, macro_f1, weighted_f1" in result.error
    assert not (tmp_path / "r").exists()


def test_two_texts_in_one_feature(command: Command, fine_tuned: Path, tmp_path: Path) -> None:
    features = ("--text-feature", "x", "--pair-feature", "x")
    result = command("export", fine_tuned / "model", tmp_path / "exported", *features)
    assert result.code == 1
    assert "must differ" in result.error
    assert not (tmp_path / "exported").exists() or not list((tmp_path / "exported").iterdir())


def test_predict_refuses_a_model_without_labels(command: Command, pretrained: Path) -> None:
    result = command("predict", pretrained / "model", "a text")
    assert result.code == 1
    assert "fine-tune" in result.error


def test_too_long_for_the_positions(command: Command, table: Path, pretrained: Path, tmp_path: Path) -> None:
    result = command("fine-tune", table, "--from", pretrained / "model", "-o", tmp_path / "r", "--sequence-length", 500)
    assert result.code == 1
    assert "64 positions" in result.error
    assert not (tmp_path / "r").exists()
