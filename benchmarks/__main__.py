"""`python -m benchmarks`: runs each benchmark in a process of its own and keeps what it prints as JSON.

python -m benchmarks                          # all of them
python -m benchmarks tokenizer_speed          # one
python -m benchmarks --compare OLD_FOLDER     # and the ratio of each figure to an earlier run's
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def main() -> None:
    """Runs what was asked for; exits with 1 if a benchmark failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], help=f"which ones: {', '.join(NAMES)}")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder for the JSON files")
    parser.add_argument("--compare", type=Path, help="folder of an earlier run")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    failed = [name for name in arguments.names or NAMES if not _run(name, arguments.output, arguments.compare)]
    if failed:
        sys.exit(f"These failed: {', '.join(failed)}")


def _run(name: str, output: Path, earlier: Path | None) -> bool:
    """Runs one benchmark, prints its metrics; says whether it went well."""
    print(f"== {name}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}"], cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        return False
    metrics = json.loads(done.stdout)
    (output / f"{name}.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    before = _earlier(earlier / f"{name}.json") if earlier else {}
    for key, value in _flat(metrics):
        ratio = f"   {value / before[key]:.2f} of before" if before.get(key) else ""
        print(f"  {key:60s} {value:.6g}{ratio}")
    return True


def _earlier(path: Path) -> dict[str, float]:
    """The metrics of an earlier run, where there are any."""
    return dict(_flat(json.loads(path.read_text(encoding="utf-8")))) if path.is_file() else {}


def _flat(metrics: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number with the path that leads to it."""
    if isinstance(metrics, dict):
        for key, value in metrics.items():
            yield from _flat(value, f"{prefix}{key}.")
    elif isinstance(metrics, list):
        for index, value in enumerate(metrics):
            yield from _flat(value, f"{prefix}{index}.")
    elif isinstance(metrics, int | float) and not isinstance(metrics, bool):
        yield prefix.rstrip("."), float(metrics)


if __name__ == "__main__":
    main()
