"""The rate the whole fleet keeps towards Crovver, shared through the store."""

from collections.abc import Awaitable, Callable

from worker.core.times import SECOND
from worker.store.interface import Store


class FleetRate:
    """Implements the client's ``Limiter``: at most ``calls`` in ``seconds``, in bursts of at most one second's worth.

    Without the store no call is made: whether the fleet keeps its rate could not be known.
    """

    def __init__(self, store: Store, calls: int, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._store = store
        self._spacing = max(1, round(seconds * SECOND / calls))
        self._sleep = sleep

    async def acquire(self) -> None:
        """Return when one more call may be made.

        Raises:
            StoreUnavailable: the store can't be asked.
        """
        wait = await self._store.take_rate(self._spacing, SECOND - self._spacing if self._spacing < SECOND else 0)
        if wait > 0:
            await self._sleep(wait / SECOND)
