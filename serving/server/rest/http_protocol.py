"""Reads HTTP with `httptools`, the faster of uvicorn's two parsers.

`httptools` takes a head of any length, so this file puts a limit to it. The answer is 400 beyond it.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The request line and the headers of one request, or of several in one packet.
MAX_HEAD_BYTES = 2**16


class BoundedHttpProtocol(HttpToolsProtocol):
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
