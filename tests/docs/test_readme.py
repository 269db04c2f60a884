"""The README's code blocks run in order, in a folder that contains only the two files which they mention."""

import configparser
import os
import random
import re
import socket
import subprocess
import sys
from pathlib import Path

import mktestdocs
import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TOPICS = {
    "animals": ["dog", "cat", "horse", "cow", "sheep", "bird", "fish", "whale"],
    "tools": ["hammer", "saw", "nail", "drill", "screw", "wrench", "plane", "chisel"],
}


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)

    def sentence(topic: str) -> str:
        return "the " + " and the ".join(rng.sample(TOPICS[topic], 3)) + "."

    path = tmp_path_factory.mktemp("readme")
    documents = ["\n".join(sentence(topic) for _ in range(8)) for topic in [*TOPICS] * 40]
    (path / "corpus.txt").write_text("\n\n".join(documents))
    rows = [f"{sentence(topic)},{topic}" for topic in [*TOPICS] * 60]
    (path / "train.csv").write_text("\n".join(["text,label", *rows]))
    return path


def blocks() -> list[tuple[str, str]]:
    """Returns (language, code) of the fenced code blocks, in the order of the page."""
    found = [
        (README.index(code.strip().splitlines()[0]), language, code)
        for language in ("bash", "python")
        for code in mktestdocs.grab_code_blocks(README, lang=language)
    ]
    return [(language, code) for _, language, code in sorted(found)]


# The blocks start a dozen processes that import TensorFlow, and run a pipeline.
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_code_blocks_run_in_order(folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ports = {"8501": free_port(), "8500": free_port()}
    answers = []
    for language, block in blocks():
        code = re.sub(r"\b850[01]\b", lambda port: ports[port.group()], block)
        # Job control makes `kill %1` work as in an interactive shell.
        command = ["bash", "-emc", code] if language == "bash" else [sys.executable, "-c", code]
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        answers.append(done.stdout)
    (served,) = [answer for answer in answers if '"state": "AVAILABLE"' in answer]
    assert '"label": "animals"' in served
    assert any("The model was blessed." in answer for answer in answers)
    assert (folder / "fine-tune.yaml").is_file()
    assert (folder / "runs/fine-tune/report.html").is_file()


def test_all_bash_and_python_blocks_are_found() -> None:
    assert {language for language, _ in blocks()} == {"bash", "python"}
    assert len(blocks()) == README.count("```bash") + README.count("```python")


def test_links_are_absolute_and_lead_to_files_of_the_repository() -> None:
    """PyPI shows the README too, where relative links are broken."""
    root = Path(__file__).parents[2]
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg")
    home = dict(line.split(" = ") for line in settings["metadata"]["project_urls"].strip().splitlines())["Source"]
    raw = home.replace("https://github.com", "https://raw.githubusercontent.com")
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert [link for link in links if not link.startswith("https://")] == []
    own = [link for link in links if link.startswith((home, raw))]
    assert len(own) > 5
    paths = [link.removeprefix(f"{home}/blob/main/").removeprefix(f"{raw}/main/") for link in own]
    assert [path for path in paths if not (root / path).is_file()] == []
