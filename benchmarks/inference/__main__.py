"""`python -m benchmarks.inference`: compares the speed of inference with that of other libraries.

    make bench-inference                                            # makes all environments, measures the core cases
    python -m benchmarks.inference --cases texts_32 --peers onnxruntime,pytorch,tokenizers --rounds 3
    python -m benchmarks.inference --cases texts_32 --peers none --rounds 1 --texts 32  # ours only
    python -m benchmarks.inference --render runs/benchmarks/inference.json   # tables and plot for the documentation

The contestants of a case take turns in each round. Each runs in a process and an environment of its own, and only one
at a time. Their outputs are compared before anything is timed.
"""

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

from benchmarks.inference import environments
from benchmarks.inference.cases import Case, all_cases, chosen
from benchmarks.inference.contestants import CONTESTANTS, OURS, OURS_LATEST
from benchmarks.inference.measuring import Setting, measure, say
from benchmarks.inference.model_files import ModelFiles
from benchmarks.inference.worker_process import Workers

DOCS = environments.ROOT / "docs"


def main() -> None:
    """Measure or render."""
    options = _parser().parse_args()
    if options.render:
        from benchmarks.inference.rendering import render

        render(json.loads(options.render.read_text(encoding="utf-8")), options.page)
        return
    try:
        cases = chosen(all_cases(options.texts, options.rows), options.cases)
        wanted = {OURS, *_peers(options.peers)}
    except ValueError as error:
        _parser().error(str(error))
    folder = options.output.parent / "inference"
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    workers = Workers(folder / "logs", options.timeout)
    files = ModelFiles(folder / "models")
    contestants = [each for each in CONTESTANTS if each.environment in wanted and options.only in each.name]
    setting = Setting(files, workers, contestants, options.rounds, options.min_seconds, options.any_precision)
    chosen_options = {
        name: getattr(options, name) for name in ("cases", "peers", "rounds", "texts", "rows", "min_seconds")
    }
    result: dict[str, Any] = {
        "benchmark": "inference",
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": environments.machine(),
        "options": chosen_options,
        "cases": [],
    }
    try:
        for case in cases:
            result["cases"] += _measure(case, setting, options.peers)
            # After each case, so that an interrupted run leaves what it has measured.
            options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    finally:
        workers.close()
    say(f"{options.output}\nTables and plots: python -m benchmarks.inference --render {options.output}")


def _measure(case: Case, setting: Setting, peers: str) -> list[dict[str, Any]]:
    """Return the results of a case."""
    if case.kind == "start":
        from benchmarks.inference.start import measure_start

        return [measure_start(case, setting)]
    if case.kind == "server":
        from benchmarks.inference.servers import measure_servers

        return measure_servers(setting, _peers(peers))
    return [measure(case, setting)]


def _peers(names: str) -> set[str]:
    """Return the environments of the chosen peers."""
    known = {each.environment for each in CONTESTANTS} - {OURS} | {"infinity"}
    wanted = known if names == "all" else set() if names == "none" else set(names.split(","))
    if wanted - known:
        unknown = ", ".join(sorted(wanted - known))
        raise ValueError(f"Peers must be all, none, or of {', '.join(sorted(known))}. Received: {unknown}.")
    return wanted


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__.splitlines()[0])
    names = ", ".join(case.name for case in all_cases(1, 1))
    parser.add_argument(
        "--cases",
        default="limit,core",
        help=f"comma-separated: {names}, or limit, core, base, commands, tokenizer, all (default: %(default)s)",
    )
    parser.add_argument(
        "--peers",
        default="all",
        help=f"comma-separated environments, all or none (default: all). {OURS_LATEST} is kerasbert in .venv-latest",
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose name contains this")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each row (default: %(default)s)")
    parser.add_argument("--texts", type=int, default=256, help="texts in batches of 32 and 256 (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of the cases of commands (default: %(default)s)")
    parser.add_argument(
        "--min-seconds", type=float, default=0.5, help="the least time of a run; short jobs are repeated (default: 0.5)"
    )
    parser.add_argument(
        "--timeout", type=float, default=900, help="seconds that a reply may take (default: %(default)s)"
    )
    parser.add_argument(
        "--any-precision", action="store_true", help="also measure bfloat16 where the processor only emulates it"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/inference.json"), help="JSON file")
    parser.add_argument(
        "--render", type=Path, metavar="JSON", help="write tables and plots of a result, without measuring"
    )
    parser.add_argument("--page", type=Path, default=DOCS / "inference_speed.md", help="page that --render fills in")
    return parser


if __name__ == "__main__":
    main()
