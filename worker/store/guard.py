"""The guard: notices that the state was lost, and has purchases wait until everything was swept.

Whether to buy rests on what is remembered of earlier purchases. A server that comes back empty, or with an old backup,
does not say so; but a process that has worked with it before can tell.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from worker.core.times import SECOND, format_instant
from worker.store.errors import StoreError
from worker.store.interface import Mark, Store

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks at the state's mark."""

OBJECTIONS_WITHIN = 3 * SECOND
"""How long nothing is bought on a state whose mark is new: those who remember another one have noticed by then."""


@dataclass(slots=True)
class Remembered:
    """What a process remembers of the state: its identity, and the latest time at which it was known to be seen."""

    identity: str = ""
    seen_at: int = 0


class StateGuard:
    """Compares the state with what this process remembers: at first, the one it meets first.

    Implements ``worker.engine.ports.Guard``. Guards that share ``remembered`` may work in several event loops, each
    with a store of its own.
    """

    def __init__(
        self,
        store: Store,
        remembered: Remembered | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        new_identity: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.remembered = remembered if remembered is not None else Remembered()
        self._store = store
        self._sleep = sleep
        self._new_identity = new_identity

    async def lost_at(self) -> int | None:
        """When the state was lost, while nothing may be bought because of that; None where purchases may be made.

        Raises:
            StoreError: the state could not be asked.
        """
        mark = await self.look()
        young = min(mark.made_at + OBJECTIONS_WITHIN - mark.now, OBJECTIONS_WITHIN)
        if mark.lost_at is None and young > 0:
            await self._sleep(young / SECOND)
            mark = await self.look()
        return mark.lost_at

    async def look(self) -> Mark:
        """The state's mark, which says from now on that a state was lost if this is not the one remembered.

        Raises:
            StoreError: the state could not be asked.
        """
        known = self.remembered
        mark = await self._store.vouch(known.identity, known.seen_at, self._new_identity())
        if known.identity not in ("", mark.identity) and mark.lost_at is not None:
            log.critical(
                "the state was lost: nothing is bought until `seats sweep` has looked at every tenant",
                lost_at=format_instant(mark.lost_at),
            )
        known.identity, known.seen_at = mark.identity, mark.seen_at
        return mark

    async def watch(self, stop: asyncio.Event) -> None:
        """Look every second until told to stop. Never raises for a state that can't be asked."""
        while not stop.is_set():
            try:
                await self.look()
            except StoreError as error:
                log.debug("looking at the state's mark has to wait", reason=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY)
