"""`kerasbert serve` in a process of its own: to signal, to measure, and to start with arguments."""

import contextlib
import re
import subprocess
import sys


@contextlib.contextmanager
def served(*arguments):
    """The process of `kerasbert serve`, on free ports, and the address of its REST API once it serves."""
    command = [sys.executable, "-m", "kerasbert", "serve", *map(str, arguments), "--port", "0", "--grpc-port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"Serving REST at (\S+) and gRPC at \S+", line):
                break
        else:
            raise AssertionError("".join(lines))
        yield process, found.group(1)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
