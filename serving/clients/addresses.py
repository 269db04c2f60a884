"""The address of a server, the proxy for it, and the headers and channel options of requests.

One class for each API; the blocking and the asynchronous client share them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import grpc

from kerasbert_serving.clients import errors
from kerasbert_serving.clients.proxies import hint_of, proxy_for
from kerasbert_serving.clients.rest_protocol import HttpRequest

# The two halves of grpcio, which have functions of the same names.
async_grpc = grpc.aio
blocking_grpc = grpc

_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5000),
]
# Kinds of addresses that gRPC resolves itself, and those for which no proxy is used.
_SCHEMES = ("dns:", "ipv4:", "ipv6:", "static:", "unix:", "unix-abstract:", "vsock:", "xds:")
_WITHOUT_HOST = ("static:", "unix:", "unix-abstract:", "vsock:", "xds:")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class RestServer:
    """A REST API: its URL, the proxy for it and the headers of each request.

    Attributes:
        url: The URL without a trailing slash, in ASCII.
        host: The host name, or the IP address without brackets.
        port: The port.
        proxy: The proxy that the environment names for this server, or None.

    Raises:
        ValueError: If the URL or a header is invalid.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None):
        try:
            parts = urlsplit(url.strip())
        except ValueError as error:  # brackets that do not match
            raise ValueError(
                f"`url` must have an IPv6 address in brackets or a host name. Received: {url=}."
            ) from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"`url` must begin with http:// or https:// and a host, e.g. http://localhost:8501. Received: {url=}."
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                "`url` must be an address without user name, `?` and `#`. Received: "
                f"url={parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()!r}. Pass credentials in "
                "`headers`."
            )
        if re.search(r"/v1(/|$)", parts.path):
            raise ValueError(f"`url` must end before /v1; name the model in `model_name`. Received: {url=}.")
        self.host = _ascii_host("url", parts.hostname)
        self.port = _port(url, parts.netloc) or {"http": 80, "https": 443}[parts.scheme]
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"{parts.scheme}://{shown}:{self.port}" + quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        self.proxy = proxy_for(parts.scheme, self.host, self.port)
        self._headers: dict[bytes | str, bytes | str] = {"content-type": "application/json"}
        self._headers.update(_checked_headers("headers", headers).items())

    def headers_of(self, request: HttpRequest) -> Mapping[bytes | str, bytes | str]:
        """Return the headers of a request."""
        if request.method != "GET":
            return self._headers
        return {name: value for name, value in self._headers.items() if name != "content-type"}

    def unavailable(self, error: Exception) -> errors.UnavailableError:
        """Return the error of a connection that could not be opened, or broke.

        gRPC calls both UNAVAILABLE, too.
        """
        reason = str(error) or type(error).__name__
        return errors.UnavailableError(
            f"{self.url} refused or broke the connection: {reason}.{hint_of(self.proxy)}", "UNAVAILABLE"
        )


class GrpcServer:
    """A gRPC API: its address, the proxy for it, the channel's options and the metadata of each call.

    Attributes:
        address: The address in gRPC's form.
        proxy: The proxy that the environment names for this server, or None.
        metadata: The metadata of each call.

    Raises:
        ValueError: If the address or the metadata are invalid.
    """

    def __init__(
        self,
        address: str,
        metadata: Mapping[str, str] | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ):
        self.address, self.proxy = address.strip(), None
        if not self.address.startswith(_WITHOUT_HOST):
            first, *others = self.address.split(",")  # several addresses may follow ipv4: and ipv6:
            scheme, host, port = _host_and_port(first)
            shown = f"[{host}]" if ":" in host else host
            self.address = ",".join([f"{scheme}{shown}:{port}", *others])
            self.proxy = proxy_for("grpc", host, port)
        self.metadata = tuple(_checked_headers("metadata", metadata).items())
        self._credentials = credentials
        # gRPC reads the environment by its own rules, which do not exclude this machine.
        self._options = [*_CHANNEL_OPTIONS, self._proxy_option(), *options]

    def open(self, package: Any) -> Any:
        """Open a channel: `package` is `blocking_grpc` or `async_grpc`."""
        if self._credentials is None:
            return package.insecure_channel(self.address, options=self._options)
        return package.secure_channel(self.address, self._credentials, options=self._options)

    def _proxy_option(self) -> tuple[str, Any]:
        if self.proxy is None:
            return ("grpc.enable_http_proxy", 0)
        scheme, _, address = self.proxy.url.partition("://")
        user = ":".join(quote(part, safe="") for part in self.proxy.user) + "@" if self.proxy.user else ""
        return ("grpc.http_proxy", f"{scheme}://{user}{address}")


def _host_and_port(address: str) -> tuple[str, str, int]:
    """The scheme with its separators (e.g. "dns:///", usually empty), the host without brackets, and the port."""
    found = re.fullmatch(r"(dns:(?://[^/]*/)?|ipv4:|ipv6:)?(\[[^\[\]]+\]|[^:/\[\]@?#\s]+):(\d{1,5})", address)
    if not found or not 0 < int(found.group(3)) < 65536:
        if re.match(r"(https?|grpcs?)://", address):
            fix = " Leave out the scheme; pass `credentials` for TLS."
        else:
            fix = " Put an IPv6 address in brackets." if address.count(":") > 1 else ""
        raise ValueError(f"`address` must be host:port, e.g. localhost:8500. Received: {address=}.{fix}")
    scheme, host, port = found.groups()
    return scheme or "", _ascii_host("address", host.strip("[]")), int(port)


def _port(url: str, netloc: str) -> int | None:
    port = netloc.rpartition("]")[2].partition(":")[2] if "[" in netloc else netloc.partition(":")[2]
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"The port in `url` must be a number from 1 to 65535. Received: {url=}.")
    return int(port) if port else None


def _ascii_host(argument: str, host: str) -> str:
    """Returns a host name with non-ASCII characters in the form for the name service ("xn--...")."""
    try:
        encoded = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        encoded = ""
    if not re.fullmatch(r"[A-Za-z0-9._%:*-]+", encoded):
        raise ValueError(f"`{argument}` must contain a valid host name. Received: host={host!r}.")
    return encoded


def _checked_headers(argument: str, headers: Mapping[str, str] | None) -> dict[str, str]:
    checked = {}
    for name, value in (headers or {}).items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(
                f"A name in `{argument}` must consist of letters, digits, `-`, `_` and `.`. Received: {name!r}."
            )
        # The value may be a secret, so it is not shown.
        if not isinstance(value, (str, bytes)) or (isinstance(value, str) and not re.fullmatch(r"[ -~]*", value)):
            raise ValueError(
                f"The value of {name!r} in `{argument}` must be text of printable ASCII characters. Received: other "
                "characters, e.g. a line break or a character beyond ASCII."
            )
        checked[name.lower()] = value
    return checked
