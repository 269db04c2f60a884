"""Measures the data steps of pretraining as the corpus grows, on two of Beam's engines: time and memory.

    python -m benchmarks.data_scale [--megabytes 1] [--factors 1,2,4,8,16] [--texts file.txt]

The engines are the local runner in one process, and the portable runner with worker processes that start in a clean
environment. The steps are `DocumentExamples`, `StatisticsGen` and `PretrainingInstances`. Documents and instances must
be the same on both. The text is Python's own documentation by default, repeated, with a number in each document. Each
engine runs in its own process. Prints one JSON object, and a table on standard error. Draws time, processor time and
memory over the size, with a line through the points.
"""

import argparse
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._worker_use import WorkerUse
from benchmarks.beam_pretraining_data import LENGTHS, write_corpus, write_preprocessing
from kerasbert.data import write_python_documentation

ENGINES = ("local", "portable")
STEPS = ("documents", "statistics", "instances")
# Small enough that the smallest corpus has several of each.
_PART_BYTES = 250_000
_LINES = (
    ("seconds", "wall-clock time, s"),
    ("core_seconds", "processor time, s"),
    ("peak_worker_megabytes", "peak memory of one worker, MB"),
)


def main() -> None:
    """Runs each size on each engine, or one of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_scale", description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path, help="A text file. By default, Python's documentation.")
    parser.add_argument("--megabytes", type=float, default=1, help="Size of the smallest corpus.")
    parser.add_argument("--factors", default="1,2,4,8,16", help="Multiples of that size.")
    parser.add_argument("--engines", default=",".join(ENGINES), help="Engines to measure.")
    parser.add_argument("--workers", type=int, default=1, help="Worker processes of the portable runner.")
    parser.add_argument("--dupe-factor", type=int, default=5)
    parser.add_argument("--plot", type=Path, default=Path("runs/benchmarks/data_scale.png"))
    parser.add_argument("--one", type=Path, help="Only measure one engine on the corpora in this folder.")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments)))
        return
    engines = measure_all(arguments)
    fits = {engine: {name: fit(sizes, name) for name, _ in _LINES} for engine, sizes in engines.items()}
    sys.stderr.write(table(engines))
    draw(engines, fits, arguments.plot)
    print(json.dumps({"engines": engines, "lines": fits}, indent=2))


def measure_all(arguments: argparse.Namespace) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns engine -> size -> metrics. Fails if the output of two engines differs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = arguments.texts or write_python_documentation(folder).texts["train"]
        write_preprocessing(source, folder / "preprocessing")
        for factor in map(float, arguments.factors.split(",")):
            write_corpus(source, folder / "corpora" / f"{factor:g}x", arguments.megabytes * factor * 1e6)
        engines = {engine: measured_apart(folder, engine, arguments) for engine in arguments.engines.split(",")}
    hashes = {json.dumps({size: metrics["output_hash"] for size, metrics in of.items()}) for of in engines.values()}
    if len(hashes) > 1:
        sys.exit("The engines give different output.")
    return engines


def measured_apart(folder: Path, engine: str, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Returns the metrics of all sizes on one engine, from a process that does nothing else."""
    command = [sys.executable, "-m", "benchmarks.data_scale", "--one", str(folder), "--engines", engine]
    command += ["--factors", arguments.factors, "--workers", str(arguments.workers)]
    command += ["--dupe-factor", str(arguments.dupe_factor)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"Engine {engine} failed.")
    metrics: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return metrics


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measures all sizes on one engine. The start of a cluster does not count, that of its workers for a job does."""
    from kerasbert_pipelines.local.portable_beam import portable_beam

    sizes: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        if arguments.engines == "local":
            beam_arguments, pool = ["--runner=DirectRunner", "--sdk_container_image=unused"], None
        else:
            # The workers import kerasbert from where this process does.
            beam = stack.enter_context(portable_beam(arguments.workers, os.environ.get("PYTHONPATH")))
            beam_arguments, pool = beam.arguments, beam.pool
        for size in (f"{float(factor):g}x" for factor in arguments.factors.split(",")):
            # On the local runner, this process is the only worker.
            with WorkerUse(pool) as use:
                metrics = timed_steps(folder, size, beam_arguments, arguments)
            metrics |= {"worker_core_seconds": use.core_seconds, "peak_worker_megabytes": use.peak_megabytes}
            # The job server only passes messages on.
            metrics["core_seconds"] += use.core_seconds if pool else 0
            sys.stderr.write(f"{arguments.engines} {size}: {metrics['seconds']:.0f} s\n")
            sizes[size] = metrics
    return sizes


def timed_steps(folder: Path, size: str, beam_arguments: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the steps and returns their times, and a hash of what they wrote."""
    from benchmarks._data_steps import data_steps

    texts, output = folder / "corpora" / size, folder / arguments.engines / size
    preprocessing = folder / "preprocessing"
    steps = data_steps(texts, preprocessing, output, beam_arguments, LENGTHS, arguments.dupe_factor, _PART_BYTES)
    metrics: dict[str, Any] = {"megabytes": sum(path.stat().st_size for path in texts.iterdir()) / 1e6}
    cpu = time.process_time()
    for name in STEPS:
        metrics[f"{name}_seconds"] = _seconds(steps[name])
    metrics["seconds"] = sum(metrics[f"{name}_seconds"] for name in STEPS)
    metrics["core_seconds"] = time.process_time() - cpu
    # The last digits of statistics depend on the order in which workers' sums are added.
    written = [path for name in ("documents", "instances") for path in (output / name).rglob("*") if path.is_file()]
    names = {str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in written}
    return metrics | {"output_hash": hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()}


def _seconds(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def fit(sizes: dict[str, dict[str, Any]], name: str) -> dict[str, float]:
    """Returns the line through the points: its value at 0, its slope, and the share of variance explained."""
    x = np.array([metrics["megabytes"] for metrics in sizes.values()])
    y = np.array([metrics[name] for metrics in sizes.values()])
    if len(x) < 3:
        return {}
    slope, start = np.polyfit(x, y, 1)
    explained = 1 - ((y - start - slope * x) ** 2).sum() / max(((y - y.mean()) ** 2).sum(), 1e-12)
    return {"at_0": float(start), "per_megabyte": float(slope), "r_squared": float(explained)}


def table(engines: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Returns the metrics as a Markdown table."""
    rows = [
        "| engine | corpus | " + " | ".join(STEPS) + " | all, s | processor, s | peak worker, MB |",
        "| --- " * 8 + "|",
    ]
    for engine, sizes in engines.items():
        for metrics in sizes.values():
            times = " | ".join(f"{metrics[f'{name}_seconds']:.1f}" for name in STEPS)
            rows.append(
                f"| {engine} | {metrics['megabytes']:.1f} MB | {times} | {metrics['seconds']:.0f} "
                f"| {metrics['core_seconds']:.0f} | {metrics['peak_worker_megabytes']:,.0f} |"
            )
    return "\n".join(rows) + "\n"


def draw(engines: dict[str, Any], fits: dict[str, Any], path: Path) -> None:
    """Draws each metric over the size of the corpus, with its line."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        sys.stderr.write("No plot: matplotlib is not installed.\n")
        return
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, len(_LINES)), _LINES, strict=True):
        for engine, sizes in engines.items():
            x = np.array([metrics["megabytes"] for metrics in sizes.values()])
            (points,) = axes.plot(x, [metrics[name] for metrics in sizes.values()], "o", label=engine)
            if line := fits[engine][name]:
                text = f"{line['at_0']:.3g} + {line['per_megabyte']:.3g} per MB"
                axes.plot(x, line["at_0"] + line["per_megabyte"] * x, color=points.get_color(), lw=1, label=text)
        axes.set(xlabel="corpus, MB", ylabel=label, ylim=(0, None))
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
