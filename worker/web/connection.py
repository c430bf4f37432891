"""Connections that must get to the point: uvicorn's HTTP protocol with bounds on a request's head.

uvicorn bounds neither the size of headers under httptools nor how long they may take, and anyone may call the webhooks.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD: Final = 65_536
HEAD_SECONDS: Final = 20.0


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is larger than ``LARGEST_HEAD`` bytes, or late by ``HEAD_SECONDS``."""

    _in_head = False
    _head_size = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_in()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()
        self._in_head, self._head_size = True, 0

    def on_headers_complete(self) -> None:
        self._head_is_in()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        # What a head begins in may be the end of a large body: only what comes after that is counted.
        goes_on = self._in_head
        super().data_received(data)
        if goes_on and self._in_head and not self.transport.is_closing():
            self._head_size += len(data)
            if self._head_size > LARGEST_HEAD:
                self._refuse()

    def _await_head(self) -> None:
        self._head_is_in()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _head_is_in(self) -> None:
        self._in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self) -> None:
        self._head_is_in()
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()
