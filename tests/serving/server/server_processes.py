"""Runs `kerasbert serve` in a separate process, which tests can measure and send signals to."""

import contextlib
import re
import subprocess
import sys


@contextlib.contextmanager
def served(*arguments):
    """Yields the process, on free ports, and the address of the REST API once it answers.

    The attribute `lines` of the process contains what it has written until then.
    """
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
        process.lines = lines
        yield process, found.group(1)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
