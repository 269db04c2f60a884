"""An HTTP proxy as companies run it: it forwards requests with an absolute URL and opens tunnels for CONNECT."""

import contextlib
import socket
import threading


class ProxyServer:
    """A proxy that connects to the real server, whichever host it is asked for, and remembers the hosts.

    Args:
        address: Host and port of the real server.
        status: If given, refuse every request with this status line, e.g. "407 Proxy Authentication Required".
    """

    def __init__(self, address, status=None):
        self._address = address
        self._status = status
        self.requests = []
        self.heads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            data = b""
            while b"\r\n\r\n" not in data:
                part = connection.recv(65536)
                if not part:
                    return
                data += part
            head, _, rest = data.partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            self.requests.append(f"{method} {target}")
            self.heads.append(head.decode())
            if self._status:
                page = b"<html>the proxy's own page</html>"
                lines = f"HTTP/1.1 {self._status}\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
                connection.sendall(lines.encode() + page)
                return
            with socket.create_connection(self._address) as server:
                if method == "CONNECT":
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    path = "/" + target.split("/", 3)[3]
                    head = head.replace(target.encode(), path.encode(), 1)
                    server.sendall(head + b"\r\nConnection: close\r\n\r\n" + rest)
                back = threading.Thread(target=_copy, args=(server, connection))
                back.start()
                _copy(connection, server)
                back.join()


def _copy(source, target):
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
