"""The pages and the OpenAPI file for people who use other languages, against a real server of every task."""

import functools
import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import openapi_spec_validator
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks

from . import example_models, make_wire_pages

ROOT = Path(__file__).parents[3]
OPENAPI = ROOT / "serving" / "openapi.yaml"
SNIPPETS = ROOT / "docs" / "wire" / "snippets"
TEXT = "Anna 😀 lives in Zürich.\u2028\ufeffÜ"


FAST = ("classifier", "tagger")  # The models that every run of the tests asks; a slow test asks them all.


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of some of the models."""
    folder = tmp_path_factory.mktemp("wire")
    example_models.save(folder, FAST)
    with make_wire_pages.serve(folder, FAST) as server:
        yield server


# === Pages ===


def blocks(text):
    """A page without the contents of its JSON blocks, and these."""
    pattern = re.compile(r"```json\n(.*?)\n```", re.S)
    return pattern.sub("```json```", text), [json.loads(block) for block in pattern.findall(text)]


def assert_alike(made, written, place):
    """The same structure and texts; numbers may differ a little."""
    assert type(made) is type(written), place
    if isinstance(made, dict):
        assert made.keys() == written.keys(), place
        for key in made:
            assert_alike(made[key], written[key], f"{place}.{key}")
    elif isinstance(made, list):
        assert len(made) == len(written), place
        for index, (one, other) in enumerate(zip(made, written, strict=True)):
            assert_alike(one, other, f"{place}[{index}]")
    elif isinstance(made, float):
        assert made == pytest.approx(written, abs=2e-3), place
    elif not place.endswith(("tensorContent",)):
        assert made == written, place


def assert_current(made, written):
    """Both texts are the same except for small differences of numbers."""
    fix = "If this is intended, run: python tests/serving/wire/make_wire_pages.py"
    (text, values), (written_text, written_values) = blocks(made), blocks(written)
    assert text == written_text, fix
    for number, (one, other) in enumerate(zip(values, written_values, strict=True)):
        assert_alike(one, other, f"{fix}. Block {number}: ")


def page(name):
    return (make_wire_pages.DOCS / name).read_text(encoding="utf-8")


def test_errors_and_programs_on_the_pages_are_current(server):
    with make_wire_pages.connected(server) as (client, _):
        assert_current(make_wire_pages.errors(client), page("errors.md"))
    assert make_wire_pages.snippets() == page("snippets.md")


@pytest.mark.parametrize("model", FAST)
def test_requests_and_replies_on_the_page_are_current(server, model):
    with make_wire_pages.connected(server) as (client, _):
        made = make_wire_pages.requests_to(client, model)
    sections = re.split(r"^(?=## )", page("requests_and_replies.md"), flags=re.M)
    (written,) = (section for section in sections if f"The model is called `{model}` here." in section)
    assert_current(made.rstrip(), written.rstrip())


@pytest.mark.slow
def test_all_pages_are_current(tmp_path):
    example_models.save(tmp_path)
    pages = tmp_path / "pages"
    pages.mkdir()
    with make_wire_pages.serve(tmp_path) as server:
        make_wire_pages.write(server, pages)
    for made in pages.glob("*.md"):
        assert_current(made.read_text(encoding="utf-8"), page(made.name))


def test_every_task_and_signature_is_on_the_page():
    text = page("requests_and_replies.md")
    for model in example_models.MODELS:
        assert f"### `{model}`: `serving_default`" in text
    for name in ("text_pair", "token_ids", "examples", "embed", "tokenize", "attention", "classify", "regress"):
        assert f"`: `{name}`\n" in text, name
    assert '"entity_count": [0]' not in text, "another SEED should find an entity"


def test_offsets_in_the_overview_are_right():
    text, byte, unit, character = re.search(
        r'in `"(.*?)"`, the word `Zürich` starts at byte (\d+), at UTF-16 unit (\d+) and at character (\d+)',
        page("index.md"),
    ).groups()
    before = text.partition("Zürich")[0]
    assert (int(byte), int(unit), int(character)) == (
        len(before.encode()),
        len(before.encode("utf-16-le")) // 2,
        len(before),
    )


# === OpenAPI ===


@functools.cache
def document():
    return yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))


def test_the_openapi_file_is_valid():
    openapi_spec_validator.validate(document())
    assert document()["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    ("request_schema", "reply_schema", "suffix"),
    [
        ("PredictRequest", "PredictReply", ":predict"),
        ("ExamplesRequest", "ClassifyReply", ":classify"),
        ("ExamplesRequest", "RegressReply", ":regress"),
    ],
)
def test_the_recorded_requests_and_replies_fit_the_openapi_file(request_schema, reply_schema, suffix):
    pattern = rf"`POST /v1/models/\w+{suffix}`\n\n```json\n(.*?)\n```\n\n```json\n(.*?)\n```"
    pairs = re.findall(pattern, page("requests_and_replies.md"), re.S)
    assert pairs
    for texts in pairs:
        for text, name in zip(texts, (request_schema, reply_schema), strict=True):
            schema = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
            jsonschema.Draft202012Validator(schema).validate(json.loads(text))


schema = schemathesis.openapi.from_path(str(OPENAPI))


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """schemathesis follows the proxies of the environment even on this machine."""
    monkeypatch.setenv("no_proxy", "*")


@schema.parametrize()
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_server_keeps_to_the_openapi_file(case, server):
    case.call_and_validate(
        base_url=server.rest_url,
        timeout=120,
        checks=[
            checks.not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ],
    )


# === Programs in other languages ===


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


def test_javascript_finds_entities_at_the_right_places(server):
    lines = printed(program("node"), str(SNIPPETS / "ask.mjs"), server.rest_url, "tagger", TEXT).splitlines()
    found = [json.loads(line) for line in lines]
    from kerasbert_serving.clients import RestClient

    with RestClient(server.rest_url, "tagger") as client:
        expected = client.find_entities(TEXT)
    assert expected
    assert [(entity["text"], entity["label"]) for entity in found] == [(e.text, e.label) for e in expected]
    units = [len(TEXT[: entity.start].encode("utf-16-le")) // 2 for entity in expected]
    assert [entity["start"] for entity in found] == units


def offsets(text):
    """Byte offsets of the characters of a text, and the same in UTF-16 units."""
    prefixes = [text[:end] for end in range(len(text) + 1)]
    return [len(p.encode()) for p in prefixes], [len(p.encode("utf-16-le")) // 2 for p in prefixes]


def test_javascript_converts_every_offset():
    in_bytes, in_units = offsets(TEXT)
    code = (
        f"import {{ offsetsOf }} from {json.dumps((SNIPPETS / 'ask.mjs').as_uri())};"
        f"console.log(JSON.stringify({json.dumps(in_bytes)}.map(offsetsOf({json.dumps(TEXT)}))));"
    )
    assert json.loads(printed(program("node"), "--input-type=module", "--eval", code)) == in_units


def test_java_asks_and_converts_every_offset(server, tmp_path):
    printed(program("javac"), "-encoding", "UTF-8", "-d", str(tmp_path), str(SNIPPETS / "Ask.java"))
    java = [program("java"), "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", "-cp", str(tmp_path), "Ask"]
    reply = json.loads(printed(*java, server.rest_url, "classifier", 'My "card"?'))
    assert reply["predictions"][0]["label"] in ("card_arrival", "lost_card", "top_up")
    in_bytes, in_units = offsets(TEXT)
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    lines = printed(*java, "offsets", TEXT, *map(str, in_bytes), env=environment).split()
    assert [int(line) for line in lines] == in_units


def test_go_compiles(tmp_path):
    printed(program("go"), "build", "-o", str(tmp_path / "ask"), str(SNIPPETS / "ask.go"))
