"""Command-line options that the clients and the load test share, and the layout of their `--help`."""

import argparse


def make_parser(module: str, documentation: str) -> argparse.ArgumentParser:
    """Return a parser whose help text is the documentation of a module.

    Args:
        module: Name of the module for `python -m`.
        documentation: The module's docstring: a first line that says what the command does after a colon, an empty
            line, and examples.
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
    """Add `--rest` or `--grpc` (exactly one is required), `--model`, and `--version` or `--label`."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--rest", help="address of the REST API, e.g. http://localhost:8501")
    where.add_argument("--grpc", help="address of the gRPC API, e.g. localhost:8500")
    parser.add_argument(
        "--model", dest="model_name", default="model", help="the model's name on the server (default: %(default)s)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", type=int, help="version to ask (default: the newest)")
    which.add_argument("--label", help="label of the version to ask")
