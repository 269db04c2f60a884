"""The arguments that all sub-commands of `kerasbert pipeline` share: which pipeline, and its settings."""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import click

from kerasbert.errors import BadInputError

KINDS = ("pretrain", "fine-tune")
_CREATE_PIPELINE = {
    "pretrain": "kerasbert_pipelines.pretrain",
    "fine-tune": "kerasbert_pipelines.fine_tune",
}


def pipeline_arguments() -> Callable[[Any], Any]:
    """A decorator that adds the arguments."""
    decorators = [
        click.argument("kind", type=click.Choice(KINDS)),
        click.option("--config", "-c", type=click.Path(), help="A YAML file of settings, one `setting: value` a line."),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="NAME=VALUE",
            help="A setting in place of the file's. May be given several times.",
        ),
    ]

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def read_pipeline_settings(kind: str, config: str | None, assignments: tuple[str, ...]) -> Any:
    """The settings of a pipeline, from the arguments.

    Raises:
        BadInputError: TFX is not installed, or a setting cannot be used.
    """
    _require_tfx()
    import yaml

    from kerasbert_pipelines.settings import read_settings

    overrides = {}
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign:
            raise BadInputError(
                f"`--set` must be a setting and its value. Received: '{assignment}'. Give such as --set steps=1000."
            )
        try:
            overrides[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise BadInputError(
                f"`--set` takes values as YAML writes them. Received: '{assignment}'. Put texts in quotes."
            ) from error
    return read_settings(kind, config, overrides)


def pipeline_factory(kind: str) -> Callable[[Any], Any]:
    """The function that makes a pipeline of its settings. Imports TFX, which takes some seconds."""
    factory: Callable[[Any], Any] = importlib.import_module(_CREATE_PIPELINE[kind]).create_pipeline
    return factory


def _require_tfx() -> None:
    # Without TFX there may be a folder of its name, which Python takes for a package.
    try:
        is_there = importlib.util.find_spec("tfx.version") is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        raise BadInputError('Pipelines need TFX. Received: none. Run on Python 3.10: pip install "kerasbert[tfx]"')
