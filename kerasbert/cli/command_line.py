"""The group of sub-commands and the entry point `main`: lazy imports, quiet TensorFlow, one line per error."""

import importlib
import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import click

from kerasbert.errors import BadInputError, TrainingStoppedError
from kerasbert.version import __version__

SUBCOMMANDS = {
    "vocabulary": "Learn a word-piece vocabulary from text.",
    "check-data": "Look for problems in labelled tables.",
    "pretrain": "Pretrain a BERT on masked LM and next-sentence prediction.",
    "fine-tune": "Fine-tune a BERT on labelled tables.",
    "evaluate": "Evaluate a fine-tuned model on labelled tables.",
    "predict": "Label texts with a fine-tuned model.",
    "fill": "Fill [MASK] in texts with a pretrained model.",
    "embed": "Compute a vector for each text.",
    "convert": "Write a checkpoint in another project's layout and verify it.",
    "export": "Write a SavedModel that takes raw strings.",
    "serve": "Serve an exported model over REST and gRPC, as TF Serving does.",
    "pipeline": "Run pretraining or fine-tuning as a TFX pipeline, here or in the cloud.",
    "report": "Write a run's metrics and curves as one HTML page.",
    "demo": "Run all steps on Python's own documentation.",
}


class LazyGroup(click.Group):
    """A group that imports a sub-command's module only when the sub-command is called.

    Attributes:
        subcommands: Name -> short help text, in the order of a user's work.
        module_prefix: Prefix of the sub-commands' modules.
    """

    subcommands: Mapping[str, str] = SUBCOMMANDS
    module_prefix = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the sub-commands in the order of a user's work."""
        return list(self.subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command, or None if there is no command of that name."""
        if cmd_name not in self.subcommands:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"kerasbert.cli.commands.{self.module_prefix}{name}")
        command: click.Command = getattr(module, name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a sub-command. Errors name its options instead of arguments of the library."""
        try:
            return super().invoke(ctx)
        except (BadInputError, TrainingStoppedError) as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            if command is None or isinstance(command, click.Group):
                raise
            from kerasbert.cli.options.option_names import named_as_options, options_of

            raise type(error)(named_as_options(str(error), options_of(command))) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the sub-commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.subcommands.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kerasbert")
def kerasbert() -> None:
    """BERT from raw text to a served model.

    \b
    Example, from nothing to an answer over HTTP:
      kerasbert vocabulary corpus.txt --output vocab.txt
      kerasbert pretrain corpus.txt --vocabulary vocab.txt --output runs/pretrain
      kerasbert fine-tune train.csv --from runs/pretrain/model --output runs/fine-tune
      kerasbert export runs/fine-tune/model exported
      kerasbert serve exported
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits.

    Exit codes: 0 success; 1 the input cannot be used, or training stopped; 2 usage error; 130 interrupted. With
    `KERASBERT_TRACEBACK=1` in the environment, errors print a traceback instead of one line.
    """
    # TensorFlow's C++ code logs to standard error, e.g. "Unable to register cuFFT factory" on machines without a GPU.
    # Real errors arrive as Python exceptions. The variable must be set before TensorFlow is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        kerasbert.main(args=arguments, prog_name="kerasbert", standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "kerasbert"
        _fail(f"{error.format_message()} See '{where} --help'.", 2)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), 1)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted.", 130)
    except BrokenPipeError:
        # The reader of our output has exited (e.g. `| head`). Python must not flush to the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (BadInputError, TrainingStoppedError, OSError) as error:
        if os.environ.get("KERASBERT_TRACEBACK"):
            raise
        _fail(_one_line(error), 1)
    except _tensorflow_file_errors() as error:
        if os.environ.get("KERASBERT_TRACEBACK"):
            raise
        # For example "{{function_node ...}} /path/of/the/file; No space left on device [Op:SaveV2]".
        message = re.sub(r"^\{\{.*?\}\}\s*|\s*\[Op:\w+\].*$", "", _one_line(error))
        _fail(f"{message}. Free space, or use another folder.", 1)


def _tensorflow_file_errors() -> tuple[type[Exception], ...]:
    """Returns what TensorFlow raises on a full disk or a read-only folder, or nothing if it is not loaded.

    Python evaluates this `except` expression only after an exception was raised.
    """
    if "tensorflow" not in sys.modules:
        return ()
    from tensorflow import errors

    return errors.ResourceExhaustedError, errors.OutOfRangeError, errors.PermissionDeniedError


def _one_line(error: Exception) -> str:
    """Returns the error's message on one line. An error of the operating system includes the file's name."""
    if isinstance(error, OSError) and error.strerror:
        message = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        message = str(error)
    return " ".join(message.split()) or type(error).__name__


def _fail(message: str, code: int) -> None:
    """Prints one line on standard error and exits."""
    click.echo(f"kerasbert: {message}", err=True)
    sys.exit(code)
