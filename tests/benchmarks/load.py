"""A load generator that costs next to nothing: requests made beforehand, sent over raw sockets, answers only counted.

It shares a core with Valkey, so that whatever it uses is taken from there.
"""

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle


@dataclass(frozen=True, slots=True)
class Load:
    """What was answered in so many seconds."""

    requests: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def post(path: str, token: str, body: bytes) -> bytes:
    """An HTTP request as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def drive(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Send requests over as many connections for so long, each with one under way, and count the answers.

    Every answer is a small JSON object with the status 202.

    Raises:
        RuntimeError: one was not.
    """
    todo = cycle(requests)
    by_number = {}
    poll = select.epoll()
    for _ in range(connections):
        opened = socket.create_connection(("127.0.0.1", port))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        by_number[opened.fileno()] = opened
        poll.register(opened.fileno(), select.EPOLLIN)
    answered = 0
    began = time.monotonic()
    try:
        for opened in by_number.values():
            opened.sendall(next(todo))
        while (took := time.monotonic() - began) < seconds:
            for number, _ in poll.poll(1):
                received = by_number[number].recv(65_536)
                if received.startswith(b"HTTP/") and not received.startswith(b"HTTP/1.1 202"):
                    raise RuntimeError(f"an event was refused: {received[:500]!r}")
                # The head may come before the body.
                if received.endswith(b"}"):
                    answered += 1
                    by_number[number].sendall(next(todo))
        return Load(answered, took)
    finally:
        for opened in by_number.values():
            opened.close()
        poll.close()
