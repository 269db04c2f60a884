"""`python -m benchmarks`: runs each benchmark in its own process and saves the JSON that it prints.

python -m benchmarks                          # all of them
python -m benchmarks tokenizer_speed          # one
python -m benchmarks --compare OLD_FOLDER     # with the ratio of each number to that of an earlier run

The comparison with other libraries is `make bench-inference`; see benchmarks/inference.
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
    """Run the benchmarks, and exit with 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", choices=[[], *NAMES], help=f"benchmarks to run: {', '.join(NAMES)} (default: all)"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder for the JSON files")
    parser.add_argument("--compare", type=Path, help="folder of an earlier run to compare with")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    failed = [name for name in arguments.names or NAMES if not _run(name, arguments.output, arguments.compare)]
    if failed:
        sys.exit(f"These failed: {', '.join(failed)}")


def _run(name: str, output: Path, earlier: Path | None) -> bool:
    """Run one benchmark and print its results. Return whether it succeeded."""
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
        ratio = f"   {value / before[key]:.2f} times the earlier value" if before.get(key) else ""
        print(f"  {key:60s} {value:.6g}{ratio}")
    return True


def _earlier(path: Path) -> dict[str, float]:
    """Return the results of an earlier run, if there is one."""
    return dict(_flat(json.loads(path.read_text(encoding="utf-8")))) if path.is_file() else {}


def _flat(metrics: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number with its path."""
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
