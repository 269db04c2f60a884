"""`python -m kerasbert_serving.clients`: ask a served model and print each answer as a line of JSON.

Examples:

    python -m kerasbert_serving.clients classify "where is my card?" --rest http://localhost:8501 --model bert
    python -m kerasbert_serving.clients answer "who?" --pair "It was Ada." --grpc localhost:8500 --model answers
    python -m kerasbert_serving.clients status --rest http://localhost:8501 --model bert
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasbert_serving.clients.blocking.calls import BlockingClient
from kerasbert_serving.clients.blocking.grpc import GrpcClient
from kerasbert_serving.clients.blocking.rest import RestClient
from kerasbert_serving.clients.command_options import add_served_model, make_parser
from kerasbert_serving.clients.errors import ServingClientError

_ON_TEXTS = ("classify", "regress", "embed", "tokenize", "find-entities", "answer")
_WITH_PAIRS = ("classify", "regress", "answer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask the model, print its answers and return the exit code: 0, or 1 with one line on standard error."""
    given = _parser().parse_args(arguments)
    try:
        with _client(given) as client:
            for answer in _answers(client, given):
                sys.stdout.write(json.dumps(answer, default=_plain, ensure_ascii=False) + "\n")
    except (ServingClientError, ValueError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0


def _client(given: argparse.Namespace) -> BlockingClient:
    options = {"version": given.version, "label": given.label, "timeout": given.timeout}
    if given.rest:
        return RestClient(given.rest, given.model_name, **options)
    return GrpcClient(given.grpc, given.model_name, **options)


def _answers(client: BlockingClient, given: argparse.Namespace) -> list[Any]:
    if given.call == "status":
        return client.status()
    if given.call == "metadata":
        return [client.metadata()]
    texts = given.texts or [line.rstrip("\n") for line in sys.stdin]
    if given.pair and given.call not in _WITH_PAIRS:
        raise ValueError(f"--pair is only for {', '.join(_WITH_PAIRS)}. Received: {given.call}. Remove --pair.")
    if given.call == "answer" and not given.pair:
        raise ValueError("answer needs a context for each question. Received: no --pair. Add --pair CONTEXT.")
    columns = [texts, given.pair] if given.pair else [texts]
    options = {} if given.signature is None else {"signature_name": given.signature}
    return getattr(client, given.call.replace("-", "_"))(*columns, **options)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"A value must have a JSON form. Received: {type(value).__name__}.")


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("kerasbert_serving.clients", __doc__)
    parser.add_argument("call", choices=[*_ON_TEXTS, "status", "metadata"], help="call to make")
    parser.add_argument("texts", nargs="*", help="texts; by default, the lines of standard input")
    parser.add_argument("--pair", action="append", help="second text, or context, for a text; repeat it for each text")
    add_served_model(parser)
    parser.add_argument("--signature", help="signature to run (default: that of the call)")
    parser.add_argument(
        "--timeout", type=float, default=30, help="time limit for an answer, in seconds (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
