"""Servers that fail as the test tells them, then forward requests to a real server."""

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc


class FaultyRest:
    """Answers each connection with the next fault of a list, and forwards to the real server after the last one.

    A fault is the bytes of a reply, or one of: "reset" (the connection is reset after the request), "stall" (no reply
    at all), "trickle" (one byte of a reply's head now and then).
    """

    def __init__(self, address, faults):
        self._address = address
        self._faults = list(faults)
        self.requests = 0
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self):
        with ThreadPoolExecutor(16) as threads:
            while True:
                try:
                    connection, _ = self._listener.accept()
                except OSError:
                    return
                threads.submit(self._serve, connection)

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            request = _read_request(connection)
            self.requests += 1
            fault = self._faults.pop(0) if self._faults else None
            if fault is None:
                with socket.create_connection(self._address) as real:
                    real.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                    while part := real.recv(65536):
                        connection.sendall(part)
            elif fault == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif fault == "stall":
                self._stopped.wait(30)
            elif fault == "trickle":
                while not self._stopped.wait(0.05):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: y"[:1])
            else:
                connection.sendall(fault)


def _read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")), 0
    )
    while len(body) < length:
        part = _received(connection)
        body, data = body + part, data + part
    return data


def _received(connection):
    part = connection.recv(65536)
    if not part:  # otherwise the loop would never end after a client that leaves early
        raise ConnectionResetError
    return part


class FaultyGrpc(grpc.GenericRpcHandler):
    """Answers each call with the next fault of a list, then forwards to the real gRPC server.

    A fault is a status code, or "stall".
    """

    def __init__(self, address, faults):
        self._real = grpc.insecure_channel(address)
        self._faults = list(faults)
        self.requests = 0
        self.metadata = []
        self._stopped = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(16), handlers=[self], options=[("grpc.so_reuseport", 0)])

    def __enter__(self):
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *exc_info):
        self._stopped.set()
        self._server.stop(None).wait()
        self._real.close()

    def service(self, handler_call_details):
        def call(request, context):
            self.requests += 1
            self.metadata.append(dict(handler_call_details.invocation_metadata))
            fault = self._faults.pop(0) if self._faults else None
            if fault == "stall":
                self._stopped.wait(30)
            elif fault is not None:
                context.abort(fault, "told to")
            return self._real.unary_unary(handler_call_details.method)(request, timeout=30)

        return grpc.unary_unary_rpc_method_handler(call)
