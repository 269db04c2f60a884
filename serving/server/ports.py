"""Opens the ports of a server before its models are loaded, so a port in use is reported immediately."""

import errno
import ipaddress
import os
import socket
from contextlib import closing

import grpc

from kerasbert_serving.server.options import ServerOptions

# Connections that wait until they are accepted.
BACKLOG = 2048


class PortError(OSError):
    """Raised if the server cannot listen on a port."""


def listen_for_rest(options: ServerOptions) -> socket.socket:
    """Returns a socket that listens on the port of the REST API.

    Raises:
        PortError: If this is not possible.
    """
    listener = _bound(options.host, "rest_port", options.rest_port)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def listen_for_grpc(options: ServerOptions, server: grpc.aio.Server) -> int:
    """Lets a gRPC server listen on the port of the gRPC API, and returns the port.

    Raises:
        PortError: If this is not possible.
    """
    # gRPC does not report the reason of a failure, so a socket of our own tries the port first.
    with closing(_bound(options.host, "grpc_port", options.grpc_port)) as probe:
        family = probe.family
    try:
        port = server.add_insecure_port(address(_numeric(options.host, family), options.grpc_port))
    except RuntimeError as error:
        raise _port_error(
            options.host, "grpc_port", options.grpc_port, OSError(errno.EADDRINUSE, str(error))
        ) from error
    if not port:  # releases of grpcio before 1.60
        raise _port_error(options.host, "grpc_port", options.grpc_port, OSError(errno.EADDRINUSE, "Address in use"))
    return port


def address(host: str, port: int) -> str:
    """Formats a host and a port, with brackets around an IPv6 address.

    Example:

    >>> address("::1", 8501)
    '[::1]:8501'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bound(host: str, option: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = min(found, key=lambda each: each[0] != socket.AF_INET)
        # The protocol is named because asyncio disables Nagle's algorithm only then, which saves 40 ms per reply.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _port_error(host, option, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(0)  # of two sockets that are bound but do not listen, both succeed
    except OSError as error:
        listener.close()
        raise _port_error(host, option, port, error) from error
    return listener


def _numeric(host: str, family: int) -> str:
    """The address of a host name for the family of the probe, since gRPC would listen on all families."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return str(socket.getaddrinfo(host or None, None, family, flags=socket.AI_PASSIVE)[0][4][0])
    return host


def _port_error(host: str, option: str, port: int, error: OSError) -> PortError:
    reason = os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else error.strerror
    fix = "Choose another address."
    if error.errno == errno.EADDRINUSE:
        fix = f"Stop the program that uses the port, or choose another port; `{option}=0` takes a free one."
    elif error.errno == errno.EACCES:
        fix = f"Choose a port of 1024 or more; `{option}=0` takes a free one."
    return PortError(
        f"`{option}` must be a port on which the server can listen. Received: {address(host, port)} ({reason}). {fix}"
    )
