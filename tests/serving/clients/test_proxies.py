"""The proxy variables of the environment: which servers are asked through a proxy, and what errors say about it."""

import asyncio

import pytest

from kerasbert_serving.clients import (
    AccessDeniedError,
    AsyncGrpcClient,
    AsyncRestClient,
    DeadlineError,
    GrpcClient,
    RestClient,
    Retries,
    ServingClientError,
    UnavailableError,
)
from kerasbert_serving.clients.proxies import proxy_for

from ..proxy_server import ProxyServer

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "no_proxy", "no_grpc_proxy")
REST, GRPC = (RestClient, AsyncRestClient), (GrpcClient, AsyncGrpcClient)
every_kind = pytest.mark.parametrize("kind", [*REST, *GRPC])


@pytest.fixture
def environment(monkeypatch):
    """Sets proxy variables; all others are unset."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


def ask(kind, address, **options):
    """The answer to one prediction, over any kind of client."""
    options = {"retries": Retries(attempts=1), "timeout": 20, **options}
    if kind in (RestClient, GrpcClient):
        with kind(address, "echo", **options) as client:
            return client.predict({"x": [1.0]})["y"].tolist()

    async def main():
        async with kind(address, "echo", **options) as client:
            return (await client.predict({"x": [1.0]}))["y"].tolist()

    return asyncio.run(main())


def address_of(kind, host, port):
    return f"http://{host}:{port}" if kind in REST else f"{host}:{port}"


def real(kind, server):
    """Host and port of the API that a kind of client uses."""
    return server.options.host, server.rest_port if kind in REST else int(server.grpc_address.rpartition(":")[2])


@every_kind
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_requests_to_this_machine_are_direct(echo_server, environment, unused_port, kind, host):
    nobody = f"http://127.0.0.1:{unused_port}"
    environment(http_proxy=nobody, https_proxy=nobody, HTTP_PROXY=nobody, HTTPS_PROXY=nobody, grpc_proxy=nobody)
    assert ask(kind, address_of(kind, host, real(kind, echo_server)[1])) == [2.5]


@every_kind
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_requests_to_other_hosts_use_the_proxy(echo_server, environment, kind, variable):
    with ProxyServer(real(kind, echo_server)) as proxy:
        environment(**{variable: f"http://somebody:s%40cret@127.0.0.1:{proxy.port}"})
        assert ask(kind, address_of(kind, "model.example", 8500)) == [2.5]
    method = "CONNECT model.example:8500" if kind in GRPC else "POST http://model.example:8500/v1/models/echo:predict"
    assert proxy.requests[0] == method
    assert "Proxy-Authorization: Basic c29tZWJvZHk6c0BjcmV0".lower() in proxy.heads[0].lower()


@every_kind
def test_requests_to_hosts_of_no_proxy_are_direct(echo_server, environment, unused_port, kind):
    # The name is not known anywhere, so a direct request fails, and only a direct one mentions no proxy.
    environment(http_proxy=f"http://127.0.0.1:{unused_port}", no_proxy="other.example, .model.invalid")
    with pytest.raises(ServingClientError) as caught:
        ask(kind, address_of(kind, "a.model.invalid", 8500))
    assert "proxy" not in str(caught.value).lower()


@every_kind
def test_an_unreachable_server_names_the_proxy(environment, unused_port, kind):
    environment(HTTP_PROXY=f"me:secret@127.0.0.1:{unused_port}")
    with pytest.raises(UnavailableError) as caught:
        ask(kind, address_of(kind, "model.example", 8500))
    message = str(caught.value)
    assert f"through the proxy http://127.0.0.1:{unused_port} (environment variable HTTP_PROXY)" in message
    assert "add model.example to the environment variable no_proxy" in message
    assert "secret" not in message


@every_kind
def test_the_fix_that_the_error_names_works(echo_server, environment, unused_port, kind):
    """A host that resolves, behind a proxy that does not answer: adding it to `no_proxy` is enough."""
    host, port = real(kind, echo_server)
    environment(http_proxy=f"http://127.0.0.1:{unused_port}")
    # 127.0.0.1 in its IPv4-mapped form is this machine as well, so a name is needed: the host's own.
    import socket

    name = socket.gethostname()
    if host not in {info[4][0] for info in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)}:
        pytest.skip("this machine's name does not resolve to the loopback interface")
    with pytest.raises(UnavailableError, match=f"add {name} to the environment variable no_proxy"):
        ask(kind, address_of(kind, name, port))
    environment(no_proxy=name)
    assert ask(kind, address_of(kind, name, port)) == [2.5]


@pytest.mark.parametrize("kind", REST)
@pytest.mark.parametrize(
    ("status", "error"),
    [("407 Proxy Authentication Required", AccessDeniedError), ("503 Busy", UnavailableError)],
)
def test_a_page_of_the_proxy_names_the_proxy(echo_server, environment, kind, status, error):
    with ProxyServer(real(kind, echo_server), status) as proxy:
        environment(http_proxy=proxy.url)
        with pytest.raises(error, match=f"the proxy's own page.*through the proxy {proxy.url}"):
            ask(kind, "http://model.example")


@every_kind
def test_a_refused_tunnel_names_the_proxy(echo_server, environment, kind):
    with ProxyServer(real(kind, echo_server), "403 Forbidden") as proxy:
        environment(https_proxy=proxy.url)
        with pytest.raises(ServingClientError, match=f"through the proxy {proxy.url}"):
            ask(kind, "https://model.example" if kind in REST else "model.example:8500")
    assert proxy.requests[0] == f"CONNECT model.example:{443 if kind in REST else 8500}"


@every_kind
def test_a_proxy_that_never_answers_is_named_at_the_deadline(environment, kind):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment(http_proxy=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises((DeadlineError, UnavailableError), match="through the proxy"):
            ask(kind, address_of(kind, "model.example", 8500), timeout=1)


@pytest.mark.parametrize(
    ("scheme", "variables", "expected"),
    [
        ("http", {"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, "http://p:1"),
        ("http", {"HTTP_PROXY": "http://q:1"}, "http://q:1"),
        ("http", {"https_proxy": "http://p:1"}, None),
        ("http", {"all_proxy": "http://p:1"}, "http://p:1"),
        ("http", {"ALL_PROXY": "p"}, "http://p:80"),
        ("http", {"HTTP_PROXY": "http://q:1", "REQUEST_METHOD": "GET"}, None),
        ("http", {"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://p:1"),
        ("http", {"http_proxy": "  "}, None),
        ("https", {"https_proxy": "https://p"}, "https://p:443"),
        ("https", {"http_proxy": "http://p:1"}, None),
        ("grpc", {"http_proxy": "http://p:1", "https_proxy": "http://q:1"}, "http://q:1"),
        ("grpc", {"http_proxy": "http://p:1", "GRPC_PROXY": "http://r:1"}, "http://r:1"),
        ("grpc", {"all_proxy": "http://p:1"}, None),
        ("http", {"http_proxy": "http://[::1]:3128"}, "http://[::1]:3128"),
    ],
)
def test_which_variable_counts(environment, scheme, variables, expected):
    environment(**variables)
    proxy = proxy_for(scheme, "model.example", 8501)
    assert (proxy and proxy.url) == expected


@pytest.mark.parametrize(
    ("host", "no_proxy", "direct"),
    [
        ("localhost", "", True),
        ("LOCALHOST", "", True),
        ("model.localhost", "", True),
        ("127.8.9.1", "", True),
        ("::1", "", True),
        ("::ffff:127.0.0.1", "", True),
        ("0.0.0.0", "", True),
        ("10.0.0.7", "", False),
        ("model.example", "model.example", True),
        ("MODEL.example.", "Model.Example", True),
        ("a.model.example", "model.example", True),
        ("a.model.example", ".model.example", True),
        ("a.model.example", "*.model.example", True),
        ("amodel.example", "model.example", False),
        ("model.example", "example.org,model", False),
        ("model.example", "a b,model.example", True),
        ("model.example", "*", True),
        ("model.example", "model.example:8501", True),
        ("model.example", "model.example:9000", False),
        ("10.0.0.7", "10.0.0.0/8", True),
        ("11.0.0.7", "10.0.0.0/8", False),
        ("10.0.0.7", "10.0.0.7:8501", True),
        ("fd00::5", "fd00::/8", True),
        ("fd00::5", "[fd00::5]:8501", True),
        ("fd00::5", "10.0.0.0/8, ::2", False),
        ("model.example", "", False),
        ("model.example", ",. ,", False),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_which_hosts_no_proxy_names(environment, host, no_proxy, direct, name):
    environment(http_proxy="http://p:1", **{name: no_proxy})
    assert (proxy_for("http", host, 8501) is None) == direct
    assert (proxy_for("grpc", host, 8501) is None) == direct


@pytest.mark.parametrize(
    ("scheme", "value"),
    [("http", "socks5://p:1080"), ("grpc", "https://p:1"), ("http", "http://"), ("https", "http://me:secret@p:port")],
)
def test_a_proxy_that_cannot_be_used_is_refused_with_a_fix(environment, scheme, value):
    environment(http_proxy=value, https_proxy=value)
    with pytest.raises(ValueError, match="must name a proxy such as") as caught:
        proxy_for(scheme, "model.example", 8501)
    assert "secret" not in str(caught.value)
    environment(no_proxy="model.example")  # the fix that it names
    assert proxy_for(scheme, "model.example", 8501) is None
