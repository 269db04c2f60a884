"""Where the Python of each library is. `make bench-environments` creates the environments from requirements/bench/."""

import os
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks.inference.contestants import OURS, OURS_LATEST

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-bench"


def python_of(environment: str) -> Path:
    """Return the interpreter of an environment.

    Raises:
        FileNotFoundError: the environment was not created.
    """
    if environment == OURS:
        return Path(sys.executable)
    folder = ROOT / ".venv-latest" if environment == OURS_LATEST else FOLDER / environment
    if not (folder / ".installed").exists():
        raise FileNotFoundError(
            f"{folder.relative_to(ROOT)} was not created: make {folder.relative_to(ROOT)}/.installed"
        )
    return folder / "bin/python"


def variables_of(environment: str) -> dict[str, str]:
    """Return the environment variables of a process: those of this one, with no library asking a hub for files."""
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "TOKENIZERS_PARALLELISM": "true"}
    variables |= {"DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0", "PYTHONWARNINGS": "ignore"}
    if environment not in (OURS, OURS_LATEST):
        # It may lead to kerasbert, which another library does not need.
        variables.pop("PYTHONPATH", None)
    return variables


def machine() -> dict[str, object]:
    """Return what the numbers depend on."""
    described = _cpu_description()
    flags = set(str(described.get("flags", "")).split())
    interesting = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "processor": described.get("model name", platform.processor()),
        "instructions": [flag for flag in interesting if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "commit": commit.stdout.strip(),
    }


def has_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16. Without a description of it, they are assumed."""
    flags = str(_cpu_description().get("flags", "avx512_bf16")).split()
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))


def _cpu_description() -> dict[str, str]:
    """Return the description of the first processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if path.is_file() else []
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
