"""`python -m kerasbert_serving.load_test`: measure a server's latencies and throughput under load.

Examples:

    python -m kerasbert_serving.load_test questions.txt --rest http://localhost:8501 --model bert --concurrency 8
    python -m kerasbert_serving.load_test questions.txt --grpc localhost:8500 --rate 200 --plot load.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kerasbert_serving.clients.command_options import add_served_model, make_parser
from kerasbert_serving.load_test.load import Load, run_load

_PLOT_SUFFIXES = (".png", ".svg", ".pdf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a load test and return the exit code: 0, or 1 if nothing was answered or the test could not run."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    json_path, plot_path = given.pop("json"), given.pop("plot")
    try:
        # Check the paths first: minutes of load would be wasted if the results could not be written.
        _check_files(json_path, plot_path)
        if plot_path:
            from kerasbert_serving.load_test.plot import save_plot
        report = run_load(Load(**given))
        if json_path:
            Path(json_path).write_text(report.to_json() + "\n", encoding="utf-8")
        if plot_path:
            save_plot(report, plot_path)
    except ImportError as error:
        return _fail(
            f'--plot needs a package that is not installed ({error.name}). Run: pip install "kerasbert-client[plot]"'
        )
    except (OSError, ValueError) as error:
        return _fail(str(error))
    sys.stdout.write(f"{report}\n")
    return 0 if report.answered else 1


def _check_files(json_path: str | None, plot_path: str | None) -> None:
    for option, path in (("--json", json_path), ("--plot", plot_path)):
        if path and not Path(path).absolute().parent.is_dir():
            raise ValueError(f"{option} must name a file in a folder that exists. Received: {path}.")
        if path and Path(path).is_dir():
            raise ValueError(f"{option} must name a file. Received: the folder {path}.")
    if plot_path and Path(plot_path).suffix.lower() not in _PLOT_SUFFIXES:
        raise ValueError(f"--plot must name a file that ends in {', '.join(_PLOT_SUFFIXES)}. Received: {plot_path}.")


def _fail(message: str) -> int:
    sys.stderr.write(f"Error: {message}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("kerasbert_serving.load_test", __doc__)
    parser.add_argument("texts", help="UTF-8 file with one text per line; requests are drawn from it at random")
    add_served_model(parser)
    parser.add_argument(
        "--signature", dest="signature_name", default="serving_default", help="signature to run (default: %(default)s)"
    )
    parser.add_argument(
        "--input", dest="input_name", default="text", help="the signature's string input (default: %(default)s)"
    )
    loop = parser.add_mutually_exclusive_group()
    loop.add_argument(
        "--concurrency", type=int, default=8, help="closed loop: number of concurrent clients (default: %(default)s)"
    )
    loop.add_argument("--rate", type=float, help="open loop: requests per second, sent without waiting for answers")
    parser.add_argument(
        "--arrivals",
        choices=["poisson", "even"],
        default="poisson",
        help="open loop: random or even intervals between requests (default: %(default)s)",
    )
    parser.add_argument("--batch-size", type=int, default=1, help="texts per request (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="how long to measure (default: %(default)s)")
    parser.add_argument(
        "--warm-up-seconds", type=float, default=1, help="how long to send load before that (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=30, help="time limit for a request, in seconds (default: %(default)s)"
    )
    parser.add_argument(
        "--max-in-flight", type=int, default=5000, help="open loop: maximum unanswered requests (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed for texts and arrivals (default: %(default)s)")
    parser.add_argument("--json", help="file for the metrics")
    parser.add_argument("--plot", help="file for a figure: .png, .svg or .pdf; needs matplotlib")
    return parser


if __name__ == "__main__":
    sys.exit(main())
