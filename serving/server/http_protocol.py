"""Which parser reads HTTP: the fast one of `httptools` where it is installed, else the `h11` that uvicorn brings.

`httptools` takes a head of any length, so this file puts a limit to it; `h11` has one. Both answer 400 beyond it.
"""

from typing import Any

# The request line and the headers of one request, or of several in one packet. h11 stops at 64 KiB too.
MAX_HEAD_BYTES = 2**16


def http_protocol() -> Any:
    """What uvicorn's `http` setting gets."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class BoundedProtocol(HttpToolsProtocol):
        """Gives up on a head that does not end."""

        def __init__(self, *args: Any, **kwargs: Any):
            super().__init__(*args, **kwargs)
            self._in_head = False
            self._head_bytes = 0

        def data_received(self, data: bytes) -> None:
            """Counts what comes of a head that has not ended, and hands it on."""
            if self._in_head:
                self._head_bytes += len(data)
                if self._head_bytes > MAX_HEAD_BYTES:
                    self.send_400_response("Invalid HTTP request received.")
                    return
            super().data_received(data)

        def on_message_begin(self) -> None:
            """A head begins."""
            self._in_head, self._head_bytes = True, 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            """The head has ended."""
            self._in_head = False
            super().on_headers_complete()

    return BoundedProtocol
