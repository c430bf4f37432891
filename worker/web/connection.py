"""Connections that must get to the point: uvicorn's HTTP protocol with bounds on all that is no body.

uvicorn bounds neither the size of headers under httptools nor how long they may take, and anyone may call the webhooks.
It also lets go of its keep-alive time whenever a byte comes, were it of no request at all.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from worker.web.problems import Problem, come_back

LARGEST_HEAD: Final = 65_536
HEAD_SECONDS: Final = 20.0
MOST_CONNECTIONS: Final = 2_000


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed where it keeps the server busy with nothing.

    That is: a request's head is late by ``HEAD_SECONDS``; so is the rest of a request that has been answered already,
    or whatever else comes without being a request; more than about ``LARGEST_HEAD`` bytes in a row are neither the end
    of a head nor of a body (headers, trailers, the extensions of chunks, blank lines). A body that is waited for is
    bounded by whoever reads it.
    """

    _deadline: asyncio.TimerHandle | None = None
    _in_a_row = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit_time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lift_time()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # What a head begins in may be the end of a large body: only what comes after that is counted.
        self._in_a_row = 0
        self._limit_time()

    def on_headers_complete(self) -> None:
        self._in_a_row = 0
        self._lift_time()
        if len(self.connections) > MOST_CONNECTIONS:
            self.app = _turn_away
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._in_a_row = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_a_row = 0
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        self._in_a_row += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_a_row > LARGEST_HEAD:
            self._refuse(Problem(431, f"the headers are larger than {LARGEST_HEAD // 1024} KiB"))
        elif self._deadline is None and self._idle:
            self._limit_time()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem(400, "this is no HTTP request that can be understood"))

    @property
    def _idle(self) -> bool:
        """No request is being worked on."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _limit_time(self) -> None:
        self._lift_time()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _lift_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Say what is wrong, unless another answer is being given at this moment, and close."""
        self._lift_time()
        if self._idle or not self.cycle.response_started:
            response = problem.response()
            lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode()]
            lines += [name + b": " + value for name, value in response.raw_headers]
            self.transport.write(b"\r\n".join([*lines, b"connection: close", b"", bytes(response.body)]))
        self.transport.close()


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    """The app for whoever is one too many."""
    problem = come_back("too many connections are open just now: send it again")
    response = problem.response()
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
