"""Every call of the clients, over REST and gRPC, blocking and asynchronous, with a real server and real exports."""

import asyncio
import inspect
import io
import json
import math
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kerasbert_serving import clients
from kerasbert_serving.clients import (
    AsyncGrpcClient,
    AsyncRestClient,
    Classification,
    Entity,
    GrpcClient,
    InvalidRequestError,
    ModelNotFoundError,
    QuestionAnswer,
    RestClient,
    Retries,
    UnavailableError,
    UnexpectedReplyError,
)
from kerasbert_serving.clients.__main__ import main
from kerasbert_serving.clients.typed_requests import find_entities

TEXTS = ["my card", "", "där är my card?"]


class Waiting:
    """Runs an asynchronous client like a blocking one, so that both kinds have the same tests."""

    def __init__(self, kind, *arguments, **options):
        self._loop = asyncio.new_event_loop()
        self._client = kind(*arguments, **options)

    def __getattr__(self, name):
        value = getattr(self._client, name)
        if not inspect.iscoroutinefunction(value):
            return value
        return lambda *arguments, **options: self._loop.run_until_complete(value(*arguments, **options))

    def for_model(self, *arguments, **options):
        other = object.__new__(Waiting)
        other._loop, other._client = self._loop, self._client.for_model(*arguments, **options)
        return other

    def end(self):
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


@pytest.fixture(params=["REST", "gRPC", "async REST", "async gRPC"])
def client(request, bert_server):
    if request.param == "REST":
        with RestClient(bert_server.rest_url, "classifier") as client:
            yield client
    elif request.param == "gRPC":
        with GrpcClient(bert_server.grpc_address, "classifier") as client:
            yield client
    else:
        kind, address = (AsyncRestClient, bert_server.rest_url)
        if request.param == "async gRPC":
            kind, address = AsyncGrpcClient, bert_server.grpc_address
        client = Waiting(kind, address, "classifier")
        yield client
        client.end()


def test_classify(client):
    answers = client.classify(TEXTS)
    assert [type(answer) for answer in answers] == [Classification] * 3
    for text, answer in zip(TEXTS, answers, strict=True):
        assert set(answer.labels) == {"lost card", "top up", "ålder"}
        assert list(answer.probabilities) == sorted(answer.probabilities, reverse=True)
        assert math.isclose(sum(answer.probabilities), 1, rel_tol=1e-5)
        assert (answer.label, answer.probability) == (answer.labels[0], answer.probabilities[0])
        alone = client.classify(text)
        assert alone.labels == answer.labels
        assert np.allclose(alone.probabilities, answer.probabilities, atol=1e-5)
    assert client.classify([]) == []


def test_pairs(client):
    pairs = client.classify(["my card", "my"], ["card?", "card"])
    assert np.allclose(client.classify("my", "card").probabilities, pairs[1].probabilities, atol=1e-5)
    assert not np.allclose(client.classify("my card").probabilities, pairs[0].probabilities, atol=1e-5)
    with pytest.raises(ValueError, match="`text_pairs` must match `texts`"):
        client.classify(["my", "card"], ["one"])
    with pytest.raises(ValueError, match="`text_pairs` must match `texts`"):
        client.classify("my", ["card"])
    with pytest.raises(TypeError, match="two texts of a pair in two arguments"):
        client.classify([("my", "card")])


def test_tokenize_returns_positions_in_the_text_that_was_sent(client):
    for text in ("my där card", "my där card".encode()):
        tokens = client.tokenize(text)
        assert [token.piece for token in tokens] == ["[CLS]", "my", "där", "card", "[SEP]"]
        expected = ["my", "där", "card"] if isinstance(text, str) else [b"my", "där".encode(), b"card"]
        assert [text[token.start : token.end] for token in tokens[1:-1]] == expected
        assert (tokens[0].start, tokens[0].end) == (0, 0)
    assert [len(tokens) for tokens in client.tokenize(["my", "my card"])] == [3, 4]


def test_embed(client):
    long, short = client.embed(["my card my card my", "my"])
    assert (long.vector.dtype, long.vector.shape, long.pooled_output.shape) == (np.float32, (16,), (16,))
    assert np.allclose(client.embed("my").vector, short.vector, atol=1e-5)


def test_find_entities(client):
    texts = ["där är my card", "card"]
    answers = client.for_model("tagger").find_entities(texts)
    assert len(answers) == 2
    assert all(type(entity) is Entity for entities in answers for entity in entities)
    assert any(answers)
    for text, entities in zip(texts, answers, strict=True):
        assert all(text[entity.start : entity.end] == entity.text and entity.label == "THING" for entity in entities)


def test_answer(client):
    context = "där är my card?"
    client = client.for_model("answerer")
    [found] = client.answer(["my?"], [context])
    assert type(found) is QuestionAnswer
    assert found.best == found.spans[0]
    assert [span.score for span in found.spans] == sorted((span.score for span in found.spans), reverse=True)
    assert all(context[span.start : span.end] == span.text for span in found.spans)
    nothing = client.answer("my?", "")
    assert (nothing.best, nothing.spans) == (None, ())


def test_what_the_model_did_not_read_is_said(client):
    # A row has 32 tokens, [CLS] and [SEP] included.
    long, short = client.for_model("tagger").find_entities(["my " * 40, "my card"])
    assert (long.truncated_token_count, short.truncated_token_count) == (10, 0)
    assert pickle.loads(pickle.dumps(long)).truncated_token_count == 10
    # A long context is read in several windows, and a long question is cut.
    answerer = client.for_model("answerer")
    counts = [
        answerer.answer("my " * words, context).truncated_token_count
        for words, context in ((2, "card " * 100), (200, "card"), (2, "card"))
    ]
    outputs = answerer.predict({"question": ["my " * 200], "context": ["card"]})
    assert counts == [0, outputs["truncated_token_count"][0], 0]
    assert counts[1] > 100


def test_an_export_that_does_not_count_truncated_tokens_is_read():
    outputs = {
        "entity_count": np.array([1]),
        **{name: np.array([[value]], object) for name, value in (("entities", b"my"), ("labels", b"THING"))},
        **{name: np.array([[value]]) for name, value in (("probabilities", 0.5), ("starts", 0), ("ends", 2))},
    }
    entities = find_entities("my card", "serving_default").answer(outputs)
    assert (entities, entities.truncated_token_count) == ((Entity("my", "THING", 0.5, 0, 2),), None)


def test_regress(client):
    one = client.for_model("regressor").regress("my card")
    assert one.values == (one.value,)
    [first, _] = client.for_model("regressor").regress(["my card", "card"])
    assert math.isclose(first.value, one.value, rel_tol=1e-4)


def test_predict_returns_arrays_in_the_dtypes_of_the_signature(client):
    ids = [[2, 5, 6, 3], [2, 5, 3, 0]]
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.int32)
    inputs = {"token_ids": ids, "segment_ids": np.zeros([2, 4], np.int32), "padding_mask": mask}
    outputs = client.predict(inputs, signature_name="token_ids")
    by_text = client.predict({"text": ["my card", "my"]})
    names = {"label", "probability", "labels", "probabilities", "logits", "token_count", "truncated"}
    assert by_text.keys() == names
    assert np.allclose(outputs["logits"], by_text["logits"], atol=1e-5)
    assert by_text["logits"].dtype == np.float32
    assert by_text["labels"].shape == (2, 3)
    assert type(by_text["labels"][0, 0]) is bytes
    pieces = client.predict({"text": np.array(["my"])}, signature_name="tokenize")
    assert pieces["token_ids"].dtype == np.int32
    assert pieces["pieces"].tolist() == [[b"[CLS]", b"my", b"[SEP]"]]
    empty = client.predict({"text": np.array([], np.object_)})
    assert (empty["logits"].shape, empty["labels"].shape) == ((0, 3), (0, 3))


@pytest.mark.parametrize(
    ("signature", "values"),
    [
        ("echo_int32", [1.5, 2]),
        ("echo_int32", [2**40]),
        ("echo_int32", [True]),
        ("echo_int64", [2**63]),
        ("echo_uint32", [-1]),
        ("echo_uint64", [-1]),
        ("echo_bool", [2, 0]),
        ("echo_float32", [True]),
    ],
)
def test_numbers_that_a_dtype_cannot_represent_are_refused_and_not_changed(echo_server, signature, values):
    with (
        RestClient(echo_server.rest_url, "echo") as rest,
        GrpcClient(echo_server.grpc_address, "echo") as channel,
    ):
        with pytest.raises(InvalidRequestError):
            rest.predict({"x": values}, signature_name=signature)
        with pytest.raises(
            ValueError, match=rf"`x` must contain numbers that {signature[5:].replace('32', '(32)?')} can"
        ):
            channel.predict({"x": values}, signature_name=signature)


def test_an_empty_list_becomes_a_tensor_of_any_dtype(echo_server):
    with GrpcClient(echo_server.grpc_address, "echo") as client:
        for signature, dtype in (("text", np.object_), ("echo_int64", np.int64), ("echo_bool", np.bool_)):
            answer = client.predict({"x": []}, signature_name=signature)["y"]
            assert (answer.shape, answer.dtype) == ((0,), dtype)


def test_bytes_that_are_not_utf8(client):
    assert client.classify([b"my \xff card"])[0].label
    assert [token.piece for token in client.tokenize(b"my \xff")][1] == "my"
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        client.classify("my \ud800")


def test_status_and_metadata(client):
    [status] = client.status()
    assert (status.version, status.state, status.error_code, status.error_message) == (1, "AVAILABLE", "OK", "")
    metadata = client.metadata()
    assert (metadata.name, metadata.version) == ("classifier", 1)
    assert metadata.signatures["text_pair"].inputs.keys() == {"text", "text_pair"}
    text = metadata.signatures["serving_default"].inputs["text"]
    assert (text.dtype, text.shape) == ("string", (-1,))
    assert metadata.signatures["serving_default"].outputs["logits"].dtype == "float"


def test_versions_and_labels(client):
    expected = client.classify("my card").label
    assert client.for_model(version=1).classify("my card").label == expected
    assert client.for_model(label="stable").classify("my card").label == expected
    assert [status.version for status in client.for_model(version=1).status()] == [1]
    with pytest.raises(ModelNotFoundError, match=r"Specific\(classifier, 2\)"):
        client.for_model(version=2).classify("my card")
    with pytest.raises(InvalidRequestError, match="Unrecognized servable version label: canary"):
        client.for_model(label="canary").classify("my card")
    with pytest.raises(ValueError, match="At most one of `version` and `label`"):
        client.for_model(version=1, label="stable")


def test_errors_have_a_type_and_the_servers_message(client):
    with pytest.raises(ModelNotFoundError, match=r"Servable not found for request: Latest\(nobody\)") as caught:
        client.for_model("nobody").classify("my card")
    assert caught.value.code == "NOT_FOUND"
    assert caught.value.attempts == 1
    with pytest.raises(InvalidRequestError, match='"nothing" not found'):
        client.classify("my card", signature_name="nothing")
    with pytest.raises(InvalidRequestError):
        client.predict({"text": [["rank"], ["two"]]})
    with pytest.raises(UnexpectedReplyError, match="without label, probability, labels, probabilities"):
        client.classify("my card", signature_name="embed")
    with pytest.raises(ValueError, match="in lists of equal lengths"):
        client.predict({"text": [["ragged"], []]})
    with pytest.raises(TypeError, match="must be a string or a list of strings"):
        client.classify([None])


def test_unusual_model_names_are_quoted(client):
    with pytest.raises(ModelNotFoundError, match=r"Latest\(a name/of:ours\?\)"):
        client.for_model("a name/of:ours?").classify("my card")


def test_one_client_for_many_threads(bert_server):
    texts = ["my card", "card", "my my", "där"] * 10
    for client in (RestClient(bert_server.rest_url, "classifier"), GrpcClient(bert_server.grpc_address, "classifier")):
        with client, ThreadPoolExecutor(8) as threads:
            alone = {text: client.classify(text).label for text in set(texts)}
            assert [answer.label for answer in threads.map(client.classify, texts)] == [alone[text] for text in texts]


@pytest.mark.parametrize("kind", [AsyncRestClient, AsyncGrpcClient])
def test_one_client_for_many_tasks(bert_server, kind):
    async def main():
        address = bert_server.rest_url if kind is AsyncRestClient else bert_server.grpc_address
        async with kind(address, "classifier") as client:
            answers = await asyncio.gather(*(client.classify(text) for text in TEXTS * 10))
            assert [answer.labels for answer in answers[:3]] == [answer.labels for answer in answers[-3:]]

    asyncio.run(main())


@pytest.mark.parametrize("kind", [RestClient, GrpcClient])
def test_no_server_at_the_address(kind, unused_port):
    address = f"127.0.0.1:{unused_port}"
    retries = Retries(attempts=3, first_pause=0.01)
    client = kind(address if kind is GrpcClient else f"http://{address}", retries=retries)
    with client, pytest.raises(UnavailableError) as caught:
        client.classify("my card")
    assert (caught.value.code, caught.value.attempts) == ("UNAVAILABLE", 3)


@pytest.mark.parametrize(
    ("kind", "address", "options", "message"),
    [
        (RestClient, "localhost:8501", {}, "must begin with http"),
        (GrpcClient, "http://localhost:8500", {}, "Leave out the scheme"),
        (RestClient, "http://x", {"model_name": ""}, "`model_name` must be text that is not empty"),
        (RestClient, "http://x", {"model_name": "\ud800"}, "`model_name` must be text"),
        (GrpcClient, "x:1", {"label": ""}, "`label` must be text that is not empty"),
        (RestClient, "http://me:secret@x", {}, "Pass credentials in `headers`"),
        (RestClient, "http://x/?a=1", {}, r"without user name, `\?` and `#`"),
        (RestClient, "http://x#a", {}, "without user name"),
        (RestClient, "http://x/v1/models/bert", {}, "must end before /v1; name the model in `model_name`"),
        (RestClient, "http://x:port", {}, "a number from 1 to 65535"),
        (RestClient, "http://x:70000", {}, "a number from 1 to 65535"),
        (RestClient, "http://[::1", {}, "IPv6 address in brackets"),
        (RestClient, "http://a b", {}, "valid host name"),
        (RestClient, "ftp://x", {}, "must begin with http"),
        (RestClient, "", {}, "must begin with http"),
        (RestClient, "http://x", {"headers": {"a b": "c"}}, "A name in `headers`"),
        (RestClient, "http://x", {"headers": {"a": "b\r\nc: d"}}, "The value of 'a' in `headers`"),
        (RestClient, "http://x", {"timeout": 0}, "`timeout` must be a positive number"),
        (GrpcClient, "localhost", {}, "must be host:port"),
        (GrpcClient, "localhost:", {}, "must be host:port"),
        (GrpcClient, "localhost:70000", {}, "must be host:port"),
        (GrpcClient, "::1:8500", {}, "Put an IPv6 address in brackets"),
        (GrpcClient, "local host:8500", {}, "must be host:port"),
        (GrpcClient, "x:1", {"metadata": {"a": "ü"}}, "The value of 'a' in `metadata`"),
        (RestClient, "http://x", {"version": -1}, "from 0 to"),
    ],
)
def test_wrong_arguments(kind, address, options, message):
    with pytest.raises(ValueError, match=message):
        kind(address, **options)


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (RestClient, "{rest}/"),
        (RestClient, " {rest} "),
        (RestClient, "HTTP{rest[4:]}"),
        (RestClient, "http://localhost:{rest_port}"),
        (GrpcClient, "localhost:{grpc_port}"),
        (GrpcClient, "dns:///127.0.0.1:{grpc_port}"),
        (GrpcClient, "ipv4:127.0.0.1:{grpc_port}"),
        (GrpcClient, "ipv4:127.0.0.1:{grpc_port},127.0.0.1:{grpc_port}"),
    ],
)
def test_forms_of_addresses(echo_server, kind, address):
    address = address.replace("HTTP{rest[4:]}", "HTTP" + echo_server.rest_url[4:]).format(
        rest=echo_server.rest_url,
        rest_port=echo_server.rest_port,
        grpc_port=echo_server.grpc_address.rpartition(":")[2],
    )
    with kind(address, "echo") as client:
        assert client.predict({"x": [1.0]})["y"].tolist() == [2.5]


def test_a_url_with_a_path_and_characters_beyond_ascii():
    from kerasbert_serving.clients.addresses import RestServer

    server = RestServer("https://höhe.example/team a/ä%20#".removesuffix("#"))
    assert server.url == "https://xn--hhe-sna.example:443/team%20a/%C3%A4%20"


def test_the_clients_do_not_import_tensorflow():
    code = "import sys, kerasbert_serving.clients; print([m for m in sys.modules if m.startswith('tensorflow')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_public_names_exist():
    assert all(hasattr(clients, name) for name in clients.__all__)


def test_blocking_and_asynchronous_clients_have_the_same_calls():
    for blocking, waiting in ((RestClient, AsyncRestClient), (GrpcClient, AsyncGrpcClient)):
        names = {name for name in dir(blocking) if not name.startswith("_")}
        assert names == {name for name in dir(waiting) if not name.startswith("_")}
        for name in [*names, "__init__"]:
            assert str(inspect.signature(getattr(blocking, name))) == str(inspect.signature(getattr(waiting, name)))


def test_the_command(bert_server, capsys, monkeypatch):
    rest = ["--rest", bert_server.rest_url, "--model"]
    answers = []
    for arguments in (
        ["classify", "my card", "där", *rest, "classifier"],
        ["classify", "my", "--pair", "card", "--grpc", bert_server.grpc_address, "--model", "classifier"],
        ["embed", "my", *rest, "classifier", "--version", "1"],
        ["tokenize", "my", *rest, "classifier", "--label", "stable"],
        ["find-entities", "my card", *rest, "tagger"],
        ["answer", "my?", "--pair", "där är my card", *rest, "answerer"],
        ["status", *rest, "classifier"],
        ["metadata", *rest, "classifier"],
    ):
        assert main(arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        answers.append([json.loads(line) for line in lines])
    assert [len(lines) for lines in answers] == [2, 1, 1, 1, 1, 1, 1, 1]
    assert set(answers[0][0]["labels"]) == {"lost card", "top up", "ålder"}
    assert len(answers[2][0]["vector"]) == 16
    assert [token["piece"] for token in answers[3][0]] == ["[CLS]", "my", "[SEP]"]
    assert answers[6][0]["state"] == "AVAILABLE"
    monkeypatch.setattr("sys.stdin", io.StringIO("my card\nmy\n"))
    assert main(["classify", *rest, "classifier"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    for wrong, message in (
        (["classify", "x", *rest, "nobody"], r"NOT_FOUND, HTTP 404: Servable not found for request: Latest(nobody)"),
        (["answer", "x", *rest, "answerer"], "needs a context"),
        (["embed", "x", "--pair", "y", *rest, "classifier"], "--pair is only for"),
    ):
        assert main(wrong) == 1
        assert message in capsys.readouterr().err
