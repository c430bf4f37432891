"""The sandbox as a process of its own."""

import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from .app import create_app
from .config import SandboxConfig
from .connection import DroppableProtocol

BACKLOG = 2048
STOP_WITHIN = 1


class SandboxServer(uvicorn.Server):
    """uvicorn on a socket that is bound already; ``should_exit = True`` stops it from another thread.

    Raises:
        OSError: the address can't be bound.
    """

    def __init__(
        self, host: str, port: int, config: SandboxConfig | None = None, on_bound: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(config),
                http=DroppableProtocol,
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_WITHIN,
            )
        )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        bound_port = self._socket.getsockname()[1]
        self.url = f"http://[{host}]:{bound_port}" if ":" in host else f"http://{host}:{bound_port}"
        self._on_bound = on_bound

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        super().run(sockets or [self._socket])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_bound is not None:
            self._on_bound(self.url)


def run(
    host: str, port: int, config: SandboxConfig | None = None, on_bound: Callable[[str], None] | None = None
) -> None:
    """Serve a sandbox until SIGINT (then it returns) or SIGTERM (which ends the process once all is closed).

    Args:
        host: the address to listen on; the sandbox asks nobody who they are, so keep it to loopback.
        port: 0 takes a free one.
        config: the defaults if None.
        on_bound: told the URL, once, when calls are accepted.

    Raises:
        OSError: the address can't be bound.
    """
    server = SandboxServer(host, port, config, on_bound)
    with suppress(KeyboardInterrupt):
        server.run()
