"""Every path of every command: odd but valid ones work, and others are refused in one line before anything is written.

The commands are found by walking through them, so a new command or a new option with a path fails here until it is in
the table.
"""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from kerasbert.cli.command_line import kerasbert

Command = Callable[..., object]

_TRAINING = (
    "--from {model} --vocabulary {vocab.txt} --model {config.json} --output {>out} --sequence-length 8 --no-progress"
)
# What each command is given. `{name}` is a file or folder that exists, `{>name}` one to be written.
INVOCATIONS = {
    "vocabulary": "{text.txt} --output {>pieces.txt} --size 60",
    "check-data": "{rows.csv} --test {rows.csv} --model {model} --output {>out}",
    "pretrain": "{text.txt} --held-out {text.txt} --steps 1 --long-share 0 --dupe-factor 1 --batch-size 4 " + _TRAINING,
    "fine-tune": "{rows.csv} --validation {rows.csv} --test {rows.csv} --epochs 1 " + _TRAINING,
    "evaluate": "{model} {rows.csv} --output {>metrics.json}",
    "predict": "{model} --file {lines.txt} --output {>answers.jsonl}",
    "fill": "{pretrained} --file {masked.txt} --output {>filled.jsonl}",
    "embed": "{model} --file {lines.txt} --output {>vectors.npy}",
    "convert": "{model} {>out} --to google_tf1",
    "export": "{model} {>out} --model-card {card.json} --sample-texts {lines.txt} --no-warm-up",
    "report": "{run} --output {>page.html}",
    "pipeline schema": "fine-tune --output {>schema.json}",
}
# Commands of which only the refusals are looked at here: their runs have tests of their own (tests/serving/server,
# tests/orchestration).
REFUSALS = {
    "serve": "{model} --port 0 --grpc-port 0",
    "serve by config": "--model-config-file {models.config} --batching-parameters-file {empty.config} "
    "--monitoring-config-file {empty.config} --port 0 --grpc-port 0",
    "pipeline run": "fine-tune --config {settings.yaml}",
    "pipeline compile": "fine-tune --config {settings.yaml} --target vertex --output {>pipeline.json}",
    "pipeline submit": "{pipeline.json} --project a --region b",
    "pipeline push-to-vertex": "{model} --project my-project --region us-central1 --model-name questions "
    "--batch-input {lines.txt} --batch-output gs://bucket/answers",
    "demo": "--output {>out}",
}
# Arguments that are no paths.
NO_PATHS = {("embed", "texts"), ("fill", "texts"), ("predict", "texts")}
PLACE = re.compile(r"\{(>?)([^}]*)\}")


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that is not a group, by its full name."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        elif command is not None:
            yield " ".join((*path, name)), command


def arguments_of(name: str, template: str, place: Callable[[str, bool], object]) -> list[str]:
    """The words of an invocation, with `place(name, is_output)` for each path."""
    given = [PLACE.sub(lambda found: str(place(found[2], bool(found[1]))), word) for word in shlex.split(template)]
    return [*name.removesuffix(" by config").split(), *given]


def tree(folder: Path) -> dict[Path, bytes]:
    """The files below a folder with their content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_path_of_every_command_is_in_the_tables() -> None:
    commands = dict(leaves(kerasbert))
    templates = {**INVOCATIONS, **REFUSALS}
    assert {name.removesuffix(" by config") for name in templates} == commands.keys()
    for name, command in commands.items():
        words = " ".join(template for key, template in templates.items() if key.removesuffix(" by config") == name)
        for param in command.params:
            if isinstance(param, click.Option) and isinstance(param.type, click.Path):
                assert re.search(rf"(^| ){param.opts[0]} \{{", words), f"{name} {param.opts[0]}"
        arguments = [
            param
            for param in command.params
            if isinstance(param, click.Argument)
            and (name, param.name) not in NO_PATHS
            and not isinstance(param.type, click.Choice)
        ]
        leading = re.match(r"(?:[a-z-]+ )?((?:\{[^}]*\} ?)*)", words)
        assert leading is not None
        assert len(PLACE.findall(leading[1])) >= len(arguments), name


# A relative path with a space, letters beyond ASCII, signs that mean something to patterns, URLs or shells, and `..`.
ODD_FOLDER = "größe 日本 [1]*#%20{a}'/deep/.."
# TensorFlow cannot load a SavedModel from a path with `[` or `*`, so `export` refuses them (see test_load_check.py).
ODD_FOLDER_OF_EXPORTS = "größe 日本 #%20{a}'/deep/.."


@pytest.mark.parametrize("name", INVOCATIONS)
def test_odd_but_valid_paths_work(
    name: str, command: Command, tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ODD_FOLDER_OF_EXPORTS if name == "export" else ODD_FOLDER
    (tmp_path / folder.removesuffix("/..")).mkdir(parents=True)
    odd = tmp_path / folder.removesuffix("/deep/..")
    for path in tiny_files.iterdir():
        (odd / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    slash = {"model": "/", "run": "/", "out": "/"}  # folders may end in one
    result = command(*arguments_of(name, INVOCATIONS[name], lambda file, _: f"{folder}/{file}{slash.get(file, '')}"))
    assert result.code == 0, result.err
    written = [path for path in odd.iterdir() if not path.is_symlink() and path.name != "deep"]
    outputs = [file for is_output, file in PLACE.findall(INVOCATIONS[name]) if is_output]
    assert sorted(path.name for path in written) == sorted(outputs)
    assert {path.name for path in tmp_path.iterdir()} == {odd.name}


def bad_places(file: str, is_output: bool) -> list[str]:
    """The kinds of wrong places for a path."""
    is_folder = "." not in file
    wrong = ["below a file", "a file" if is_folder else "a folder"]
    return wrong if is_output else ["missing", *wrong]


# What the commands in `REFUSALS` write is refused after TFX was imported, so tests/orchestration looks at that.
CASES = [
    (name, number, kind)
    for name, template in {**INVOCATIONS, **REFUSALS}.items()
    for number, (is_output, file) in enumerate(PLACE.findall(template))
    if name in INVOCATIONS or not is_output
    for kind in bad_places(file, bool(is_output))
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", dict.fromkeys(name for name, _, _ in CASES))
def test_a_wrong_path_is_one_line_and_leaves_nothing(
    name: str, command: Command, tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = {**INVOCATIONS, **REFUSALS}[name]
    faults = []
    for _, number, kind in (case for case in CASES if case[0] == name):
        place = tmp_path / f"{number} {kind}"
        place.mkdir()
        (place / "file").write_text("mine")
        monkeypatch.chdir(place)
        numbers = iter(range(100))
        bad = ""

        def placed(file: str, is_output: bool) -> object:
            nonlocal bad
            if next(numbers) != number:  # noqa: B023 (called in this round only)
                return file if is_output else tiny_files / file
            bad = f"wrong-{file}"
            if kind == "below a file":  # noqa: B023
                bad = f"file/{file}"
            elif kind == "a folder":  # noqa: B023
                Path(bad).mkdir()
            elif kind == "a file":  # noqa: B023
                Path(bad).write_text("mine")
            return bad

        arguments = arguments_of(name, template, placed)
        before = tree(tmp_path)
        result = command(*arguments)
        lines = [line for line in result.err.splitlines() if line.startswith("kerasbert: ")]
        if result.code != 1 or len(lines) != 1 or "Traceback" in result.err:
            faults.append(f"{' '.join(arguments)}: code {result.code}, {lines or result.err[-2000:]}")
        elif Path(bad).name not in lines[0] and "file" not in lines[0]:
            faults.append(f"{' '.join(arguments)}: the line does not name the path: {lines[0]}")
        if tree(tmp_path) != before:
            faults.append(f"{' '.join(arguments)} leaves {sorted(tree(tmp_path).keys() - before.keys())[:5]}")
    assert not faults, "\n".join(faults)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everywhere")
@pytest.mark.parametrize("name", INVOCATIONS)
def test_a_locked_path_is_one_line(name: str, command: Command, tiny_files: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o000)
    for number in range(len(PLACE.findall(INVOCATIONS[name]))):
        numbers = iter(range(100))
        arguments = arguments_of(
            name,
            INVOCATIONS[name],
            lambda file, is_output: (
                tmp_path / "locked" / file
                if next(numbers) == number  # noqa: B023
                else (tmp_path if is_output else tiny_files) / file
            ),
        )
        result = command(*arguments)
        assert result.code == 1, arguments
        assert "locked" in result.error
