"""The flusher: hands what a worker process has counted to the state, and sees that it is still the same state, from a
thread and connection of its own."""

import asyncio
import threading
from collections.abc import Callable

from worker.metrics import Meters
from worker.store.guard import Remembered, StateGuard
from worker.store.redis_store import RedisStore


class Flusher(threading.Thread):
    """Flushes until it is stopped, whatever dramatiq's event loop is busy with, and after that loop has ended.

    ``remembered`` is what the process remembers of the state; ``connect`` makes the store, in this thread's loop.
    """

    def __init__(self, meters: Meters, remembered: Remembered, connect: Callable[[], RedisStore]) -> None:
        super().__init__(name="flusher", daemon=True)
        self._meters = meters
        self._remembered = remembered
        self._connect = connect
        self._loop = asyncio.new_event_loop()
        self._stop_asked = asyncio.Event()

    def stop(self) -> None:
        """Flush once more, and end; returns within seconds even where the state is away."""
        self._loop.call_soon_threadsafe(self._stop_asked.set)
        self.join()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._flush())

    async def _flush(self) -> None:
        store = self._connect()
        try:
            watching = asyncio.create_task(StateGuard(store, self._remembered).watch(self._stop_asked))
            await self._meters.keep_flushing(store, self._stop_asked)
            watching.cancel()
        finally:
            await store.aclose()
