"""What the command lines that ask a served model share: the look of their help, where the model is, and which one."""

import argparse


def make_parser(module: str, documentation: str) -> argparse.ArgumentParser:
    """A parser whose help is the module's documentation.

    Args:
        module: what is run by `python -m`.
        documentation: its docstring: what it does after the first line's colon, then an empty line, then examples.
    """
    first, rest = documentation.split("\n\n", 1)
    purpose = first.split(": ", 1)[1]
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=purpose[0].upper() + purpose[1:],
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_served_model(parser: argparse.ArgumentParser) -> None:
    """Adds `--rest` or `--grpc`, one of which must be given, `--model`, and `--version` or `--label`."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--rest", help="address of the REST API, such as http://localhost:8501")
    where.add_argument("--grpc", help="address of the gRPC API, such as localhost:8500")
    parser.add_argument("--model", dest="model_name", default="model", help="its name on the server (%(default)s)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", type=int, help="a version of it; the newest by default")
    which.add_argument("--label", help="a label of a version")
