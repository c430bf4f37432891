"""Where contenders take turns: one server, and what each begins a round with; and what they needed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from tests.benchmarks.harness import Process, Valkey

POLL = 0.005
LONGEST = 180.0
"""Seconds after which somebody who does not get done has failed."""


@dataclass(frozen=True, slots=True)
class Took:
    """Events/s, and microseconds of processor time for each, of whoever worked and of the server."""

    rate: float
    worker: float
    server: float


class Stage:
    """A server whose first database is where everybody works; what each begins with is kept in one of the others."""

    def __init__(self, server: Valkey) -> None:
        self.server = server
        self._kept: dict[str, int] = {}

    def has(self, name: str) -> bool:
        return name in self._kept

    def put_aside(self, name: str, fill: Callable[[], None]) -> None:
        """Have something fill the empty database, and keep what it holds then."""
        self.clear()
        fill()
        client = self.server.client
        self._kept[name] = len(self._kept) + 1
        for key in client.scan_iter(count=1000):
            client.copy(key, key, destination_db=str(self._kept[name]))

    def bring_out(self, name: str) -> None:
        """Begin with what was kept."""
        self.clear()
        with redis.Redis.from_url(self.server.url.replace("/0", f"/{self._kept[name]}")) as kept:
            for key in kept.scan_iter(count=1000):
                kept.copy(key, key, destination_db="0")

    def clear(self) -> None:
        self.server.client.flushdb()

    def timed(self, events: int, work: Callable[[], object]) -> Took:
        """What work in this process took."""
        used, served, began = time.process_time(), self.server.cpu(), time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        used, served = time.process_time() - used, self.server.cpu() - served
        return Took(events / seconds, 1e6 * used / events, 1e6 * served / events)


def watch(
    server: Valkey, processes: Sequence[Process], done: Callable[[], int], total: int, *, seconds: float = LONGEST
) -> Took:
    """What started processes take for the events that come after the first, all of them or those of some seconds."""
    deadline = time.monotonic() + LONGEST

    def wait_until(enough: Callable[[int], bool]) -> int:
        while not enough(now := done()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{now} of {total} events in time:\n{processes[0].log()[-2000:]}")
            time.sleep(POLL)
        return now

    first = wait_until(lambda now: now > 0)
    began, used, served = time.perf_counter(), sum(one.cpu() for one in processes), server.cpu()
    until = began + seconds
    last = wait_until(lambda now: now >= total or time.perf_counter() > until)
    took = time.perf_counter() - began
    used, served = sum(one.cpu() for one in processes) - used, server.cpu() - served
    events = max(last - first, 1)
    return Took(events / took, 1e6 * used / events, 1e6 * served / events)
