"""Messages of the library name arguments; a command's reader sees the command's options."""

import click
import pytest

from kerasbert.cli.command_line import SUBCOMMANDS, kerasbert
from kerasbert.cli.options.option_names import named_as_options, options_of


def command_named(name: str) -> click.Command:
    command = kerasbert.get_command(click.Context(kerasbert), name)
    assert command is not None
    return command


@pytest.mark.parametrize(
    ("name", "message", "expected"),
    [
        (
            "fine-tune",
            "Received: neither `vocabulary` nor `start_from`.",
            "Received: neither `--vocabulary` nor `--from`.",
        ),
        ("fine-tune", "or `restart=True` to delete it.", "or `--restart` to delete it."),
        ("fine-tune", "Lower `learning_rate` and start again.", "Lower `--learning-rate` and start again."),
        ("fine-tune", "Received: monitor='mse' for regression.", "Received: --monitor mse for regression."),
        ("fine-tune", "For example, `sequence_length=64`, or", "For example, `--sequence-length 64`, or"),
        ("fine-tune", "`lower_case=False` keeps them apart", "`--cased` keeps them apart"),
        ("fine-tune", "`strip_accents=False` keeps them", "`--keep-accents` keeps them"),
        ("fine-tune", "Use `encoding='cp1252'`.", "Use `--encoding cp1252`."),
        ("fine-tune", "For example `has_header=False`.", "For example `--no-header`."),
        (
            "fine-tune",
            "Remove `class_weights`, or use another `task`.",
            "Remove `--class-weights`, or use another `--task`.",
        ),
        ("vocabulary", "Use `text_column='a b'`.", "Use `--text-column 'a b'`."),
        ("vocabulary", "`lower_case=False` keeps them apart", "`--cased` keeps them apart"),
        ("convert", "Received: layout='onnx'.", "Received: --to onnx."),
        ("predict", "`learning_rate` is no option of predict", "`learning_rate` is no option of predict"),
        ("fine-tune", "the model's epochs and the task", "the model's epochs and the task"),
        ("fine-tune", "in '/data/epochs=3/train.csv'", "in '/data/epochs=3/train.csv'"),
    ],
)
def test_arguments_become_options(name: str, message: str, expected: str) -> None:
    assert named_as_options(message, options_of(command_named(name))) == expected


@pytest.mark.parametrize("name", [name for name in SUBCOMMANDS if name != "pipeline"])
def test_every_option_of_a_command_is_one_that_it_takes(name: str) -> None:
    command = command_named(name)
    spellings = {spelling for param in command.params for spelling in (*param.opts, *param.secondary_opts)}
    for argument, option in options_of(command).items():
        if option.lstrip("/").startswith("-"):
            assert set(option.strip("/").split("/")) <= spellings, argument


@pytest.mark.parametrize("name", ["fine-tune", "pretrain", "vocabulary", "evaluate", "predict", "embed"])
def test_every_command_that_reads_tables_takes_their_format(name: str) -> None:
    assert {"delimiter", "encoding", "has_header", "text_column"} <= options_of(command_named(name)).keys()
