"""Dropping a connection, which an ASGI app cannot do by itself.

``DroppableProtocol`` is uvicorn's own HTTP protocol with one addition: each request's scope carries the way to close
the connection it came by. That is what a gateway or a network does to a caller; raising an exception instead would make
uvicorn answer 500, and so would returning without an answer.
"""

from typing import cast

from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CLOSE = "sandbox.close"


class DroppableProtocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools; requests can close their connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope = cast("dict[str, object]", self.scope)
        scope["extensions"] = {_CLOSE: self.transport.close}


class CannotDrop(RuntimeError):
    """The app runs under a server that was not started by ``server.run``."""

    def __init__(self) -> None:
        super().__init__("this fault closes connections, which needs the sandbox's own server (sandbox.server.run)")


async def drop(scope: Scope, receive: Receive) -> None:
    """Close the connection once what was sent has left; return when the server has seen it close.

    Raises:
        CannotDrop: not running under ``DroppableProtocol``.
    """
    close = scope.get("extensions", {}).get(_CLOSE)
    if close is None:
        raise CannotDrop
    close()
    await gone(receive)


async def gone(receive: Receive) -> None:
    """Wait until the caller has hung up, or was hung up on."""
    while (await receive())["type"] != "http.disconnect":
        pass
