"""A receiver of Apprise's ``json://`` messages on loopback."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.canaries import ALERT_TOKEN, Where
from tests.watch import saw

TOKEN = ALERT_TOKEN
"""Stands in the receiver's URL, as a webhook's secret would."""


@dataclass(frozen=True)
class Received:
    """A message, and when it came (``time.monotonic``)."""

    title: str
    message: str
    type: str
    at: float


@dataclass
class Receiver:
    """Keeps what it gets. ``down`` stops listening and ``up`` goes on at the same address; ``status`` is its answer.

    ``chosen``: a channel of SEATS_ALERT_LINK_URLS, which is there to get links.
    """

    messages: list[Received] = field(default_factory=list)
    status: int = 200
    slow_seconds: float = 0.0
    attempts: int = 0
    chosen: bool = False

    def __post_init__(self) -> None:
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self.down()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self._port}/{TOKEN}"

    def up(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), self._handler())
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def titles(self) -> list[str]:
        return [message.title for message in self.messages]

    def text(self) -> str:
        """Everything that was received."""
        return "\n".join(f"{message.title}\n{message.message}" for message in self.messages)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.attempts += 1
                if not receiver.chosen:
                    saw(Where.ALERT, str(body["title"]), json.dumps(body))
                status = receiver.status
                time.sleep(receiver.slow_seconds)
                if status == 200:
                    receiver.messages.append(Received(body["title"], body["message"], body["type"], time.monotonic()))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that gave up."""


@contextmanager
def hanging() -> Iterator[str]:
    """The URL of a channel that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"json://127.0.0.1:{listener.getsockname()[1]}/{TOKEN}"
