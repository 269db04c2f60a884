"""Cold start and memory of `kerasbert serve`, with TensorFlow's C library and with its Python package.

    python -m benchmarks.server_start MODEL_DIR --rounds 3

Each round starts a server in a new process for each runtime in turn, and sends a text over REST as soon as the port
answers. `seconds` is the time from the start of the process to the answer, `cpu_seconds` the processor time of the
server until then, which is more reliable on a busy machine. `memory_mb` is the resident memory after the answer,
`peak_mb` the largest until then. The medians over the rounds are printed as a JSON object. For Linux.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

RUNTIMES = ("c-library", "python")


def start(model_dir, runtime, body, warmup):
    """Starts a server, asks it once, and returns what that took."""
    command = [sys.executable, "-m", "kerasbert", "serve", str(model_dir), "--port", "0", "--grpc-port", "0"]
    command += ["--tensorflow-runtime", runtime, "--warmup" if warmup else "--no-warmup"]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        url = address(process)
        with urlopen(Request(f"{url}/v1/models/model:predict", body), timeout=600) as reply:
            reply.read()
        seconds = time.perf_counter() - begin
        return {"seconds": round(seconds, 2), **use(process.pid)}
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def address(process):
    """Returns the address of the REST API once the server has printed it."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"Serving REST at (\S+)", line):
            return found.group(1)
    raise SystemExit("".join(lines))


def use(process_id):
    """Returns the processor time and the memory of a process."""
    folder = Path("/proc") / str(process_id)
    ticks = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    cpu_seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    memory, peak = (round(int(status[name].split()[0]) / 1000) for name in ("VmRSS", "VmHWM"))
    return {"cpu_seconds": round(cpu_seconds, 2), "memory_mb": memory, "peak_mb": peak}


def main():
    """Parses the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model_dir", type=Path, help="folder with numbered versions of an exported text model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--text", default="how do I track the card that was sent to me last week")
    parser.add_argument("--no-warmup", dest="warmup", action="store_false", help="run no warm-up requests")
    arguments = parser.parse_args()
    body = json.dumps({"instances": [arguments.text]}).encode()
    found = {runtime: [] for runtime in RUNTIMES}
    for number in range(arguments.rounds):
        for runtime in RUNTIMES:
            found[runtime].append(start(arguments.model_dir, runtime, body, arguments.warmup))
            print(f"round {number + 1}: {runtime}", found[runtime][-1], file=sys.stderr)
    medians = {
        runtime: {name: round(statistics.median(each[name] for each in rounds), 2) for name in rounds[0]}
        for runtime, rounds in found.items()
    }
    json.dump({"rounds": arguments.rounds, "warmup": arguments.warmup, **medians}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
