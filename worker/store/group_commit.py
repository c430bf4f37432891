"""Group commit: what is to be written while a write is under way gathers, and goes together in the next one.

Whoever is alone pays nothing for it; of many, each pays a part of a round trip.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

MOST_AT_ONCE: Final = 500
"""Items that one write takes."""

MOST_WAITING: Final = 5_000
"""Items that may gather; one more goes by itself."""

GATHER_SECONDS: Final = 0.05
"""How long items gather at most: a write that hangs until it is given up must not make others wait for it, too."""

Item = TypeVar("Item")
Reply = TypeVar("Reply")


class GroupCommit(Generic[Item, Reply]):
    """Hands items to ``write``, which takes several and answers each, in order. If it raises, all of them have failed.

    An item that comes after another's answer is written after it. A caller that is cancelled leaves the others' items
    alone; its own is then written or not. Belongs to one event loop.
    """

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[Sequence[Reply]]]) -> None:
        self._write = write
        self._under_way = 0
        self._waiting: deque[tuple[Item, asyncio.Future[Reply]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._groups: set[asyncio.Task[None]] = set()

    async def commit(self, item: Item) -> Reply:
        """What ``write`` answers this item, or raises."""
        if self._under_way and len(self._waiting) < MOST_WAITING:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[Reply] = loop.create_future()
            self._waiting.append((item, answer))
            if self._timer is None:
                self._timer = loop.call_later(GATHER_SECONDS, self._start_group)
            return await answer
        # No task of its own: at the usual load, where nobody else is about, that would cost a turn of the loop.
        self._under_way += 1
        try:
            [reply] = await self._write([item])
        finally:
            self._written()
        return reply

    def _written(self) -> None:
        self._under_way -= 1
        if self._waiting:
            self._start_group()

    def _start_group(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
        # Who has been cancelled meanwhile waits for nothing.
        group = [(item, answer) for item, answer in group if not answer.done()]
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._start_group)
        self._under_way += 1
        task = asyncio.create_task(self._write_group(group))
        self._groups.add(task)
        task.add_done_callback(self._groups.discard)

    async def _write_group(self, group: Sequence[tuple[Item, "asyncio.Future[Reply]"]]) -> None:
        try:
            replies = await self._write([item for item, _ in group]) if group else []
            for (_, answer), reply in zip(group, replies, strict=True):
                if not answer.done():
                    answer.set_result(reply)
        except asyncio.CancelledError:
            for _, answer in group:
                answer.cancel()
            raise
        except Exception as error:
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(error)
        finally:
            self._written()
