"""Arguments that the sub-commands of `kerasbert pipeline` share: the kind of pipeline and its settings."""

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
    """Returns a decorator that adds the arguments."""
    decorators = [
        click.argument("kind", type=click.Choice(KINDS)),
        click.option("--config", "-c", type=click.Path(), help="YAML file of settings, one `setting: value` per line."),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="NAME=VALUE",
            help="Override a setting of the file, e.g. epochs=5 or resources.Trainer.cpu=4. May be repeated.",
        ),
    ]

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def read_pipeline_settings(kind: str, config: str | None, assignments: tuple[str, ...]) -> Any:
    """Returns the settings of a pipeline that the arguments specify.

    Raises:
        BadInputError: If TFX is not installed, or a setting is invalid.
    """
    require_tfx()
    from kerasbert_pipelines.settings import read_settings

    return read_settings(kind, config, _nested(parsed_assignments("--set", assignments)))


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    """Turns dotted names into nested mappings, e.g. `resources.cpu=4` into `{"resources": {"cpu": 4}}`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        inner = nested
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return nested


def parsed_assignments(flag: str, assignments: tuple[str, ...]) -> dict[str, Any]:
    """Parses `name=value` arguments, whose values are written as in YAML, and returns name -> value.

    Raises:
        BadInputError: If an argument has no `=`, or its value is not valid YAML.
    """
    import yaml

    values = {}
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign:
            raise BadInputError(
                f"`{flag}` must be NAME=VALUE. Received: '{assignment}'. For example, {flag} steps=1000."
            )
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise BadInputError(
                f"`{flag}` takes values in YAML syntax. Received: '{assignment}'. Put text in quotes."
            ) from error
    return values


def pipeline_factory(kind: str) -> Callable[[Any], Any]:
    """Returns the function that creates a pipeline from its settings. Imports TFX, which takes a few seconds."""
    factory: Callable[[Any], Any] = importlib.import_module(_CREATE_PIPELINE[kind]).create_pipeline
    return factory


def require_tfx() -> None:
    """Checks that TFX is installed.

    Raises:
        BadInputError: If it is not installed. The message says how to install it.
    """
    # Without TFX, there may be a folder of that name, which Python treats as a namespace package.
    try:
        is_there = importlib.util.find_spec("tfx.version") is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        raise BadInputError('Pipelines need TFX, which is not installed. Run: pip install "kerasbert[tfx]"')
