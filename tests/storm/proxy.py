"""A TCP proxy between the processes and their Redis, which breaks what it carries."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from enum import Enum
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
CHUNK = 65536


class Fate(Enum):
    """What becomes of a reply. The commands it answers have run by then."""

    PASS = "passed on"
    LOSE = "lost: the connection is cut before it arrives"
    HALVE = "cut in the middle"
    KEEP = "kept: nothing arrives, and the connection stays open"


Judge = Callable[[bytes], Fate]
"""Decides by the request whose reply is at hand."""


def pass_all(request: bytes) -> Fate:
    return Fate.PASS


class Proxy:
    """Passes everything on to a port of this machine, until told otherwise.

    ``judge`` decides about each reply; ``delay`` is how long each is kept back, in seconds. While it is ``silent``
    nothing passes in either direction, and whoever connects is let in and left alone. ``broken`` counts the replies
    that were not passed on.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.judge: Judge = pass_all
        self.delay = 0.0
        self.broken = 0
        self._loud = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="proxy")
        self._thread.start()
        self.silent = False
        self._server = self._run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def silent(self) -> bool:
        return not self._loud.is_set()

    @silent.setter
    def silent(self, silent: bool) -> None:
        self._loop.call_soon_threadsafe(self._loud.clear if silent else self._loud.set)

    def cut(self) -> None:
        """Cut all connections; what was on its way is lost."""
        self._run(self._cut())

    def close(self) -> None:
        """Cut all connections and take no more."""
        if self._loop.is_running():
            self._server.close()
            self.cut()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _cut(self) -> None:
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._carry(reader, writer)
        except asyncio.CancelledError:
            pass  # by `cut`: the connection ends here
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._while_silent()
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return
        asked = bytearray()
        ways = [
            asyncio.create_task(self._requests(reader, there_writer, asked)),
            asyncio.create_task(self._replies(there_reader, writer, asked)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            there_writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._while_silent()
                asked += data
                writer.write(data)
                await writer.drain()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._while_silent()
                fate = self.judge(bytes(asked))
                asked.clear()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if fate is not Fate.PASS:
                    self.broken += 1
                if fate is Fate.KEEP:
                    await asyncio.Event().wait()
                if fate is Fate.LOSE:
                    return
                writer.write(data[: len(data) // 2] if fate is Fate.HALVE else data)
                await writer.drain()
                if fate is Fate.HALVE:
                    return

    async def _while_silent(self) -> None:
        await self._loud.wait()
