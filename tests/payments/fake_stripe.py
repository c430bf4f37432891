"""A little of Stripe's API on 127.0.0.1: enough to be asked, and told what to answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = tuple[int, bytes, Mapping[str, str]]


@dataclass
class FakeStripe:
    """``answer`` gets method, target and form; None means: close without a word."""

    answer: Callable[[str, str, str], Reply | None]
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)


def reply(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return status, json.dumps(document).encode(), {"content-type": "application/json", **(headers or {})}


def error(status: int, message: str, **members: object) -> Reply:
    return reply({"error": {"type": "invalid_request_error", "message": message, **members}}, status)


@asynccontextmanager
async def serving(answer: Callable[[str, str, str], Reply | None]) -> AsyncIterator[FakeStripe]:
    fake = FakeStripe(answer)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                form = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
                fake.asked.append((method, target))
                fake.headers.append(headers)
                answered = fake.answer(method, target, form)
                if answered is None:
                    break
                status, body, extra = answered
                lines = [
                    f"HTTP/1.1 {status} X",
                    f"content-length: {len(body)}",
                    *(f"{n}: {v}" for n, v in extra.items()),
                ]
                writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
