"""Things that happen later by themselves: sessions expire, capacities are applied."""

import asyncio
from collections.abc import Callable


class Timers:
    """Callbacks on the running event loop, at most one per key, all of them cancelled together at the end."""

    def __init__(self) -> None:
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def after(self, seconds: float, key: str, callback: Callable[[], None]) -> None:
        """Call back once, ``seconds`` from now, unless cancelled or set anew under the same key."""
        self.cancel(key)

        def fire() -> None:
            self._handles.pop(key, None)
            callback()

        self._handles[key] = asyncio.get_running_loop().call_later(seconds, fire)

    def cancel(self, key: str) -> None:
        handle = self._handles.pop(key, None)
        if handle is not None:
            handle.cancel()

    def cancel_all(self) -> None:
        for key in list(self._handles):
            self.cancel(key)
