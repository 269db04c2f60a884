"""Unusual inputs to exported models: scalars, tables, empty lists, broken bytes, megabytes, and odd ids.

Each is refused with status 400 or answered, whichever task and signature it meets, and no answer depends on what else
is in its batch.
"""

import base64
import json

import httpx
import numpy as np
import pytest

from kerasbert_serving.server import LocalServer


def raw(data):
    return {"b64": base64.b64encode(data).decode()}


TEXTS = {
    "empty": "",
    "zero byte": "my\0card",
    "control characters": "\x01\x1f\u2028\u200b\ufeff",
    "no UTF-8": raw(b"\xff\xfe\x80my\xc3"),
    "lone surrogate": raw(b"\xed\xa0\x80"),
    "special tokens": "[MASK] [CLS] [SEP] [PAD]",
    "a megabyte of words": "my " * 350_000,
    "a megabyte in one word": "x" * 1_000_000,
    "a letter with a megabyte of marks": "a" + "\u0301" * 500_000,
    "a megabyte of ideographs": "日" * 350_000,
    "a hundred thousand masks": "[MASK]" * 100_000,
    "emoji": "👩‍👩‍👧‍👦" * 1000,
}
# The fast models, which run by default.
SHORT = ["empty", "zero byte", "control characters", "no UTF-8", "lone surrogate", "special tokens", "emoji"]


@pytest.fixture(scope="module")
def client(bert_server):
    with httpx.Client(base_url=bert_server.rest_url, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def every_task(bert_models, make_bert_models):
    """A client of a server with the tasks that other tests do not cover."""
    folders = make_bert_models("multilabel", "chooser", "sentences", "pretrainer", "backbone")
    config = "".join(
        f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}\n'
        for name, path in {**bert_models, **folders}.items()
    )
    file = folders["backbone"].parent / "models.config"
    file.write_text(f"model_config_list {{ {config} }}")
    with LocalServer(model_config_file=file) as server, httpx.Client(base_url=server.rest_url, timeout=120) as client:
        yield client, [*bert_models, *folders]


def signatures(client, model):
    """Returns the ranks and dtypes of each signature's inputs."""
    found = client.get(f"/v1/models/{model}/metadata").json()["metadata"]["signature_def"]["signature_def"]
    return {
        name: {alias: (info["dtype"], len(info["tensor_shape"]["dim"])) for alias, info in definition["inputs"].items()}
        for name, definition in found.items()
        if not name.startswith("__")
    }


def predict(client, model, signature, inputs):
    content = json.dumps({"signature_name": signature, "inputs": inputs})
    reply = client.post(f"/v1/models/{model}:predict", content=content)
    document = json.loads(reply.content.decode("utf-8", "surrogateescape"))
    assert reply.status_code in (200, 400), document
    return reply.status_code, document.get("outputs", document.get("error"))


def named(outputs):
    return outputs if isinstance(outputs, dict) else {"": outputs}


def cell(rank, text, dtype="DT_STRING"):
    """Returns a row of an input: a text, or a text and another choice; numbers are 0."""
    values = [text, "my"] if dtype == "DT_STRING" else [0, 0]
    return values[0] if rank <= 1 else values


def check_texts(client, model, signature, inputs, texts):
    rows = ["my card", *texts, "my"]
    status, together = predict(
        client, model, signature, {n: [cell(r, t, d) for t in rows] for n, (d, r) in inputs.items()}
    )
    assert status == 200, together
    for index, text in enumerate(rows):
        status, alone = predict(client, model, signature, {n: [cell(r, text, d)] for n, (d, r) in inputs.items()})
        assert status == 200, alone
        for name, values in named(alone).items():
            assert_begins_with(named(together)[name][index], values[0])


def assert_begins_with(row, alone):
    """Checks that a row in a batch equals the row alone, followed by padding."""
    if isinstance(alone, list):
        assert len(row) >= len(alone)
        for value, expected in zip(row, alone, strict=False):
            assert_begins_with(value, expected)
    elif isinstance(alone, float):
        assert row == pytest.approx(alone, abs=1e-5)
        assert np.isfinite(alone)
    else:
        assert row == alone


def check_shapes(client, model, signature, inputs):
    lower = {name: cell(rank - 1, "my", dtype) for name, (dtype, rank) in inputs.items()}
    higher = {name: [[cell(rank, "my", dtype)] * 2] for name, (dtype, rank) in inputs.items()}
    for wrong in (lower, higher):
        status, error = predict(client, model, signature, wrong)
        assert (status, "not compatible with expected shape" in error) == (400, True), error
    if max(rank for _, rank in inputs.values()) == 1:
        status, outputs = predict(client, model, signature, {name: [] for name in inputs})
        assert (status, list(named(outputs).values())) == (200, [[]] * len(named(outputs)))
    if len(inputs) > 1:
        for counts in ((1, 2), (1, 0), (2, 1)):
            unequal = {
                name: [cell(inputs[name][1], "my", inputs[name][0])] * count
                for name, count in zip(inputs, counts, strict=True)
            }
            assert predict(client, model, signature, unequal)[0] == 400


IDS = {"token_ids": [[2, 5, 3]], "segment_ids": [[0, 0, 0]], "padding_mask": [[1, 1, 1]]}
WRONG_IDS = [
    ({"token_ids": [[-1, 5, 3]]}, "`token_ids` must be at least 0 and less than"),
    ({"token_ids": [[2**31 - 1, 5, 3]]}, "`token_ids` must be at least 0 and less than"),
    ({"token_ids": [[2, 2**31, 3]]}, "is not of expected type: int32"),
    ({"segment_ids": [[0, 9, 0]]}, "`segment_ids` must be at least 0 and less than"),
    ({"segment_ids": [[0, 0]]}, "shape"),
    ({"token_ids": 5}, "not compatible with expected shape"),
    ({"token_ids": [[[[5]]]]}, "not compatible with expected shape"),
    ({"token_ids": [], "segment_ids": [], "padding_mask": []}, "not compatible with expected shape"),
    ({name: [[value[0][0]] * 33] for name, value in IDS.items()}, "must not be longer than the position table"),
]


def check_ids(client, model, inputs):
    def spread(values):
        # The ids of the choices are concatenated.
        return [[row, row] for row in values] if inputs["token_ids"][1] == 3 and isinstance(values, list) else values

    extra = {"mask_positions": [[1]]} if "mask_positions" in inputs else {}
    good = {name: spread(values) for name, values in IDS.items()} | extra
    assert predict(client, model, "token_ids", good)[0] == 200
    # A mask with other numbers than 0 and 1, and one that hides everything, still give numbers.
    for mask in ([[1, 7, -3]], [[0, 0, 0]]):
        status, outputs = predict(client, model, "token_ids", good | {"padding_mask": spread(mask)})
        assert status == 200
        assert "NaN" not in json.dumps(outputs)
    for wrong, message in WRONG_IDS:
        status, error = predict(client, model, "token_ids", good | {n: spread(v) for n, v in wrong.items()})
        assert (status, message in error) == (400, True), (wrong, error)
    for positions in ([[99]], [[-1]], [1], [[1], [1]]) if extra else ():
        assert predict(client, model, "token_ids", good | {"mask_positions": positions})[0] == 400


def check_examples(client, model, signature, alias):
    for wrong in (["no example"], [""], "", [["", ""]]):
        assert predict(client, model, signature, {alias: wrong})[0] == 400
    status, outputs = predict(client, model, signature, {alias: []})
    assert (status, list(named(outputs).values())) == (200, [[]] * len(named(outputs)))


def check_model(client, model, texts):
    for signature, inputs in signatures(client, model).items():
        if signature == "token_ids":
            check_ids(client, model, inputs)
        elif set(inputs) & {"examples", "inputs"}:
            check_examples(client, model, signature, *inputs)
        else:
            check_shapes(client, model, signature, inputs)
            check_texts(client, model, signature, inputs, texts)


@pytest.mark.parametrize("model", ["classifier", "answerer"])
def test_wild_input_is_refused_or_answered(client, model):
    check_model(client, model, [TEXTS[name] for name in SHORT])


@pytest.mark.slow
def test_every_task_answers_texts_of_a_megabyte(every_task):
    client, models = every_task
    for model in models:
        check_model(client, model, TEXTS.values())


@pytest.mark.parametrize(
    ("example", "status"),
    [
        ({"text": "my"}, 200),
        ({"text": "my", "text_pair": "card"}, 200),
        ({"text": "my", "text_pair": ""}, 200),
        ({"text": raw(b"\xff")}, 200),
        ({"text": "my " * 300_000}, 200),
        ({}, 400),
        ({"text": []}, 400),
        ({"text": 1}, 400),
        ({"text": 1.5}, 400),
        ({"text": ["a", "b"]}, 400),
        ({"text": "a", "text_pair": ["b", "c"]}, 400),
    ],
)
@pytest.mark.parametrize(("model", "method"), [("classifier", "classify"), ("regressor", "regress")])
def test_wild_examples_are_refused_or_answered(client, model, method, example, status):
    body = json.dumps({"signature_name": method, "examples": [{"text": "my"}, example]})
    reply = client.post(f"/v1/models/{model}:{method}", content=body)
    assert reply.status_code == status, reply.text
    if status == 200:
        [first, second] = reply.json()["results"]
        alone = json.dumps({"signature_name": method, "examples": [example]})
        [expected] = client.post(f"/v1/models/{model}:{method}", content=alone).json()["results"]
        assert_begins_with(second, expected)
        assert type(first) is type(second)
