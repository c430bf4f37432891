"""The bells of an index of several shards: each is in a slot of its own, so that no call can wait for all of them."""

import asyncio
import contextlib
from collections.abc import Sequence

from worker.store.scripts import Scripts, command

LISTEN_SECONDS = 1.0
"""How long one call listens to one bell. Less than a socket may be silent."""


class Bells:
    """Listens to all bells at once, on a connection each, which nobody else uses meanwhile.

    Whoever stops waiting leaves the calls that are under way alone: redis-py may take a cancelled one for a lost
    connection. A bell that one of them hears ends the next wait at once, so that no ring is lost.
    """

    def __init__(self, scripts: Scripts, keys: Sequence[str]) -> None:
        self._scripts = scripts
        self._keys = keys
        self._listening: dict[asyncio.Task[object], str] = {}

    async def wait(self, seconds: float) -> None:
        """Return when one of the bells rings, or after ``seconds``.

        Raises:
            StoreError: one of them can't be listened to.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (remaining := deadline - loop.time()) > 0:
            self._listen()
            done, _ = await asyncio.wait(self._listening, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._listening[task]
            failed = [error for task in done if (error := task.exception()) is not None]
            if failed:
                raise failed[0]
            if any(task.result() is not None for task in done):
                return

    async def aclose(self) -> None:
        """Stop listening."""
        tasks, self._listening = list(self._listening), {}
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * LISTEN_SECONDS):
                await asyncio.gather(*tasks, return_exceptions=True)

    def _listen(self) -> None:
        for key in set(self._keys).difference(self._listening.values()):
            call = self._scripts.run(command("BLPOP", key, LISTEN_SECONDS))
            self._listening[asyncio.create_task(call)] = key
