"""Runs the code blocks of a Markdown page in order, as a reader would, and compares or rewrites the outputs shown.

Each `bash` block runs in a new shell. All `python` blocks share their variables. A `text` block directly after a code
block is the output that the page shows. Numbers and times differ between machines, so outputs are compared without
their numbers and with white space collapsed. A line that contains only `...` matches any number of lines.

Run as a program, it rewrites the outputs of pages: `python -m tests.docs.page_runner docs/tutorials/*.md`.
"""

import contextlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"^```(bash|python)\n(.*?)^```\n(?:\n?```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"\b850[01]\b")


@dataclass(frozen=True)
class Block:
    """One code block of a page.

    Attributes:
        language: "bash" or "python".
        code: The code to run.
        shown: The output that the page shows, or None if it shows no output.
        span: Start and end of the shown output in the page's text, or None.
    """

    language: str
    code: str
    shown: str | None
    span: tuple[int, int] | None


def blocks(page: str) -> list[Block]:
    """Returns the executable blocks of a page. `sh` and `py` blocks only show code."""
    return [
        Block(found[1], found[2], found[3], found.span(3) if found[3] is not None else None)
        for found in _FENCE.finditer(page)
    ]


def run(page: str, folder: Path) -> list[str]:
    """Runs every block in `folder` and returns the standard output of each.

    Raises:
        RuntimeError: If a block fails. The message contains the block and its output.
    """
    ports = {"8500": _free_port(), "8501": _free_port()}
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    names: dict[str, Any] = {"__name__": "__main__"}
    outputs = []
    with _chdir(folder):
        for block in blocks(page):
            code = _PORT.sub(lambda port: ports[port.group()], block.code)
            run_block = _run_bash if block.language == "bash" else _run_python
            output = run_block(code, environment, names)
            for written, used in ports.items():
                output = output.replace(used, written)
            outputs.append(output.replace(sys.prefix, ".venv"))
    return outputs


def comparable(output: str) -> list[str]:
    """Returns an output's lines without the parts that differ between machines."""
    lines = [re.sub(r"[-+]?\d[\d.,]*(e[-+]?\d+)?", "#", line.strip()) for line in output.strip().splitlines()]
    return [re.sub(r"\s+", " ", line) for line in lines if line]


def matches(shown: str, printed: str) -> bool:
    """Returns whether the shown and the printed output agree, except for numbers and lines replaced by `...`."""
    pattern = "\n".join(
        r"(?:.*\n)*?.*" if line == "..." else re.escape(line) for line in comparable(shown.replace("\u2026", "..."))
    )
    return re.fullmatch(pattern, "\n".join(comparable(printed))) is not None


def with_outputs(page: str, printed: list[str]) -> str:
    """Returns the page with each shown output replaced by the printed one. Outputs that contain `...` are kept."""
    for block, output in reversed(list(zip(blocks(page), printed, strict=True))):
        if block.span is not None and "..." not in (block.shown or "") and not matches(block.shown or "", output):
            page = page[: block.span[0]] + output.rstrip() + "\n" + page[block.span[1] :]
    return page


def _run_bash(code: str, environment: dict[str, str], _: dict[str, Any]) -> str:
    # Job control (-m) makes `kill %1` work as in an interactive shell. If a command fails, background jobs are stopped
    # too: the output would otherwise stay open until they end.
    done = subprocess.run(
        ["bash", "-emc", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{code}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode:
        raise RuntimeError(f"Exit code {done.returncode}:\n{code}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _run_python(code: str, _: dict[str, str], names: dict[str, Any]) -> str:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "<page>", "exec"), names)
    except Exception as error:
        raise RuntimeError(f"{code}\n{printed.getvalue()}\n{traceback.format_exc()}") from error
    return printed.getvalue()


@contextlib.contextmanager
def _chdir(folder: Path) -> Any:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def main(paths: list[str]) -> None:
    """Rewrites the outputs that the pages show."""
    for path in map(Path, paths):
        folder = Path(tempfile.mkdtemp())
        try:
            page = path.read_text(encoding="utf-8")
            updated = with_outputs(page, run(page, folder))
        finally:
            shutil.rmtree(folder)
        path.write_text(updated, encoding="utf-8")
        print(f"{path}: {'rewritten' if updated != page else 'unchanged'}")


if __name__ == "__main__":
    main(sys.argv[1:])
