"""The boundary: whatever goes wrong inside, the answer tells nothing of it, and the log tells all of it."""

import os

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.web.paths import match_as_sent
from worker.web.problems import Problem, respond
from worker.web.services import Log


class Boundary:
    """An ASGI app around the routes. A bug is answered 500 with a reference under which the log has it.

    The reference is the request's id: every answer carries it as ``X-Request-Id``, every line logged meanwhile as
    ``request``.
    """

    def __init__(self, app: ASGIApp, log: Log) -> None:
        self.app, self.log = app, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = os.urandom(6).hex()
        bound = structlog.contextvars.bind_contextvars(request=request)
        try:
            await self._answer(request, scope, receive, send)
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _answer(self, request: str, scope: Scope, receive: Receive, send: Send) -> None:
        match_as_sent(scope)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request.encode())]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            # Nobody is there to be answered, and nothing of an incomplete body was taken.
            return
        except Exception as error:
            self.log.error(
                "a request failed", request=request, method=scope["method"], route=_route(scope), exc_info=error
            )
            if started:
                raise
            problem = Problem(500, f"something went wrong here; the log has it under the reference {request}")
            await respond(Request(scope, receive), problem)(scope, receive, watched)


def _route(scope: Scope) -> str:
    """The pattern of the path, not the path: ids are personal enough to stay out of logs."""
    return getattr(scope.get("route"), "path", "") or "unmatched"
