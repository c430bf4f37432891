"""A real HTTP server on 127.0.0.1 that misbehaves on purpose.

Each request takes the next step of a script, the last step again and again. A step writes what it likes to the socket
and says whether the connection stays open.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Step = Callable[[asyncio.StreamWriter], Awaitable[bool]]


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class RawServer:
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serving(*script: Step) -> AsyncIterator[RawServer]:
    server = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        number = server.connections
        try:
            while (request := await _request(reader, number)) is not None:
                step = script[min(len(server.requests), len(script) - 1)]
                server.requests.append(request)
                server.asked.set()
                if not await step(writer):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader, connection: int) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    line, *rest = head.split("\r\n")
    method, target, _ = line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest if one)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body, connection)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answer(status: int, body: bytes | str, headers: Mapping[str, str] | None = None) -> Step:
    """A whole answer on a connection that stays open."""
    content = body.encode() if isinstance(body, str) else body

    async def step(writer: asyncio.StreamWriter) -> bool:
        writer.write(head(status, {"content-length": str(len(content)), **(headers or {})}) + content)
        await writer.drain()
        return True

    return step


def says(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Step:
    """A whole JSON answer."""
    return answer(status, json.dumps(document), {"content-type": "application/json", **(headers or {})})


def html(status: int) -> Step:
    """What a gateway says."""
    page = f"<html><body><h1>{status} Bad</h1><script>steal('sk_live_x')</script></body></html>"
    return answer(status, page, {"content-type": "text/html"})


def raw(data: bytes) -> Step:
    """Bytes, then the connection closes."""

    async def step(writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        return False

    return step


def hang(data: bytes = b"") -> Step:
    """Bytes, then silence."""

    async def step(writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        await asyncio.Event().wait()
        return False

    return step


def drip(start: bytes, piece: bytes, every: float) -> Step:
    """Never silent for long and never done."""

    async def step(writer: asyncio.StreamWriter) -> bool:
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every)

    return step


def cut(document: object) -> Step:
    """An answer that promises more bytes than come."""
    content = json.dumps(document).encode()
    return raw(head(200, {"content-length": str(len(content))}) + content[: len(content) // 2])


def chunked(*pieces: bytes, ends: bool = True) -> Step:
    """A chunked answer, with or without its last chunk."""
    body = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)
    return raw(head(200, {"transfer-encoding": "chunked"}) + body + (b"0\r\n\r\n" if ends else b""))


def gzipped(content: bytes, *, drop: int = 0) -> Step:
    """A gzip answer, without its last bytes where told."""
    packed = gzip.compress(content)
    return answer(200, packed[: len(packed) - drop], {"content-encoding": "gzip"})
