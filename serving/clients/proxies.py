"""Finds the proxy for a request in the environment, by the same rules for REST and gRPC.

The variables are those that curl, Go and gRPC read, in lower or upper case. As in Go, requests to a server on this
machine never use a proxy, because no proxy could reach it. Entries of `no_proxy` are host names (which include their
subdomains), IP addresses, networks (`10.0.0.0/8`) and `*`, each with an optional port.
"""

import ipaddress
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_VARIABLES = {
    "http": ("http_proxy", "all_proxy"),
    "https": ("https_proxy", "all_proxy"),
    # In gRPC's own order.
    "grpc": ("grpc_proxy", "https_proxy", "http_proxy"),
}
_SUPPORTED = {"http": ("http", "https"), "https": ("http", "https"), "grpc": ("http",)}


@dataclass(frozen=True)
class Proxy:
    """A proxy that the environment names.

    Attributes:
        url: Its address, without user name and password.
        variable: The environment variable that names it.
        host: The host that is reached through it.
        user: User name and password, or None.
    """

    url: str
    variable: str
    host: str
    user: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def hint(self) -> str:
        """Text to add to the message of a failed request."""
        return (
            f" The request went through the proxy {self.url} (environment variable {self.variable}). To connect "
            f"directly, add {self.host} to the environment variable no_proxy."
        )


def hint_of(proxy: Proxy | None) -> str:
    """The proxy's hint, or nothing for a direct connection."""
    return proxy.hint if proxy else ""


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """Returns the proxy for requests to a server.

    Args:
        scheme: "http", "https" or "grpc".
        host: Host name or IP address of the server; an IPv6 address without brackets.
        port: Its port.

    Returns:
        The proxy, or None for a direct connection.

    Raises:
        ValueError: If the environment names a proxy of a kind that is not supported.

    Example:

    >>> proxy_for("http", "localhost", 8501) is None
    True
    """
    name, value = _first_set(_VARIABLES[scheme])
    if not value or is_this_machine(host):
        return None
    _, excluded = _first_set(("no_grpc_proxy", "no_proxy") if scheme == "grpc" else ("no_proxy",))
    if any(_covers(entry, host.lower().rstrip("."), port) for entry in excluded.replace(",", " ").split()):
        return None
    return _read(name, value, scheme, host)


def is_this_machine(host: str) -> bool:
    """Whether a host name or an IP address always means this machine."""
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _first_set(names: tuple[str, ...]) -> tuple[str, str]:
    for name in _with_upper_case(names):
        if value := os.environ.get(name, "").strip():
            return name, value
    return "", ""


def _with_upper_case(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield name
        # In a CGI program, HTTP_PROXY is the request header "Proxy", which any client can set.
        if name != "http_proxy" or "REQUEST_METHOD" not in os.environ:
            yield name.upper()


def _read(name: str, value: str, scheme: str, host: str) -> Proxy:
    parts = urlsplit(value if "://" in value else f"http://{value}")
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        port = None
    if parts.scheme not in _SUPPORTED[scheme] or not parts.hostname or not port:
        raise ValueError(
            f"The environment variable `{name}` must name a proxy such as http://proxy.example.com:3128. Received: "
            f"{_without_password(value)!r}. Change it, or add {host} to the environment variable no_proxy."
        )
    name_and_password = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    shown = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Proxy(f"{parts.scheme}://{shown}:{port}", name, host, name_and_password)


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://...@{after}" if at and "://" in before else f"...@{after}" if at else url


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of `no_proxy` names the host."""
    if entry == "*":
        return True
    name, entry_port = _split_port(entry.lower())
    if entry_port not in (None, str(port)):
        return False
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    name = name.removeprefix("*").lstrip(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, str | None]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":") or None
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, None  # an IPv6 address or network, or no port at all


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
