"""The programs and the OpenAPI file for people who use other languages: what can be checked without a server."""

import json
import shutil
import subprocess
from pathlib import Path

import openapi_spec_validator
import pytest
import yaml

ROOT = Path(__file__).parents[3]
OPENAPI = ROOT / "serving" / "openapi.yaml"
SNIPPETS = ROOT / "docs" / "wire" / "snippets"
TEXT = "Anna 😀 lives in Zürich.\u2028\ufeffÜ"


def program(name):
    """The path of a program, or a skipped test."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def printed(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def offsets(text):
    """Byte offsets of the characters of a text, and the same in UTF-16 units."""
    prefixes = [text[:end] for end in range(len(text) + 1)]
    return [len(p.encode()) for p in prefixes], [len(p.encode("utf-16-le")) // 2 for p in prefixes]


def test_the_openapi_file_is_valid():
    document = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1")


def test_the_page_of_programs_is_current():
    page = (SNIPPETS.parent / "snippets.md").read_text(encoding="utf-8")
    for file in ("ask.mjs", "Ask.java", "ask.go"):
        assert f"\n{(SNIPPETS / file).read_text(encoding='utf-8')}```\n" in page, file


def test_javascript_converts_every_offset():
    in_bytes, in_units = offsets(TEXT)
    code = (
        f"import {{ offsetsOf }} from {json.dumps((SNIPPETS / 'ask.mjs').as_uri())};"
        f"console.log(JSON.stringify({json.dumps(in_bytes)}.map(offsetsOf({json.dumps(TEXT)}))));"
    )
    assert json.loads(printed(program("node"), "--input-type=module", "--eval", code)) == in_units


def test_java_converts_every_offset(tmp_path):
    printed(program("javac"), "-encoding", "UTF-8", "-d", str(tmp_path), str(SNIPPETS / "Ask.java"))
    java = [program("java"), "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", "-cp", str(tmp_path), "Ask"]
    in_bytes, in_units = offsets(TEXT)
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    lines = printed(*java, "offsets", TEXT, *map(str, in_bytes), env=environment).split()
    assert [int(line) for line in lines] == in_units


def test_go_compiles(tmp_path):
    printed(program("go"), "build", "-o", str(tmp_path / "ask"), str(SNIPPETS / "ask.go"))
