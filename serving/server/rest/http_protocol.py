"""Parses HTTP with `httptools`, the faster of uvicorn's two parsers.

`httptools` accepts a request line and headers of any length. This module limits them; a longer head is answered with
status 400.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The request line and the headers of a request, or of several requests in one packet.
MAX_HEAD_BYTES = 2**16


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses a request whose head is too long."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Counts the bytes of an incomplete head and parses them."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response("Invalid HTTP request received.")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Starts counting at the beginning of a head."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stops counting at the end of a head."""
        self._in_head = False
        super().on_headers_complete()
