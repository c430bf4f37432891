"""A whole fleet, web, scheduler and workers, over a stand-in for Crovver, and a door to its events."""

import contextlib
import http.client
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.crovver import API_KEY, StandIn
from tests.benchmarks.harness import Bench, Process, Valkey
from tests.e2e.deployment import free_port
from worker.core.times import format_instant

TOKEN = "a-token-of-the-benchmark"
QUIET = 3.0
"""Seconds in which what was begun before settles."""

HANGS_FOR = 600.0


class Scene(StandIn):
    """A Crovver whose tenants have bought one seat, and eleven once a checkout was asked for.

    So the second user of a tenant leads to one checkout, and to nothing more. Tenants named ``roomy…`` never run out;
    calls for one named ``slow…`` hang.
    """

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(delay=delay, capacity=self._bought)
        self._usual = delay

    def _bought(self, tenant: str) -> int:
        if tenant.startswith("roomy"):
            return 10_000_000
        return 11 if tenant in self.checkout_at else 1

    def answer(self, target: str, body: bytes) -> bytes:
        # Asked for right before the delay.
        self.delay = HANGS_FOR if "=slow" in target else self._usual
        return super().answer(target, body)

    @property
    def reads(self) -> int:
        return sum(count for path, count in self.calls.items() if path.endswith("/allocations"))


@dataclass(frozen=True, slots=True)
class Fleet:
    """Web, scheduler and workers that are up."""

    web: Process
    scheduler: Process
    workers: Sequence[Process]
    crovver: Scene
    port: int

    def door(self) -> "Door":
        return Door(self.port)

    @property
    def processes(self) -> Mapping[str, Process]:
        return {"web": self.web, "scheduler": self.scheduler, "worker": self.workers[0]}


class Door:
    """One connection to ``POST /v1/events``, opened again where it was left unused for long."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def post(self, body: bytes) -> float:
        """Send events; when that began (monotonic seconds)."""
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/cloudevents-batch+json"}
        began = time.monotonic()
        try:
            self._connection.request("POST", "/v1/events", body, headers)
            answer = self._connection.getresponse()
        except (http.client.HTTPException, OSError):
            self._connection.close()
            return self.post(body)
        said = answer.read()
        if answer.status != 202:
            raise RuntimeError(f"the door answered {answer.status}: {said[:300]!r}")
        return began


fresh = itertools.count()
"""Numbers that nothing was named by yet."""


def joins(tenant: str, users: int) -> bytes:
    """Events by which so many new users join a tenant."""
    return json.dumps([event(tenant, f"user_{next(fresh)}") for _ in range(users)]).encode()


def event(tenant: str, user: str) -> dict[str, object]:
    """That a user joins a tenant now."""
    return {
        "specversion": "1.0",
        "id": f"evt_{next(fresh)}",
        "source": "benchmark",
        "type": "user.added",
        "time": format_instant(time.time_ns() // 1000),
        "data": {"tenantId": tenant, "userId": user},
    }


@contextlib.contextmanager
def fleet(bench: Bench, server: Valkey, *, delay: float = 0.0, workers: int = 1) -> Iterator[Fleet]:
    """A fleet over a server: its first worker has the work core, all else shares the other with the world outside."""
    with contextlib.ExitStack() as stack:
        crovver = stack.enter_context(Scene(delay))
        settings = {
            "SEATS_REDIS_URL": server.url,
            "SEATS_CROVVER_BASE_URL": crovver.url,
            "SEATS_CROVVER_API_KEY": API_KEY,
            "SEATS_CROVVER_RATE": "100000/s",
            "SEATS_INGEST_TOKENS": TOKEN,
            "SEATS_SETTLE_SECONDS": "0",
            "SEATS_LOG_LEVEL": "warning",
        }
        port = free_port()

        def seats(*command: str, core: int = bench.server_core) -> Process:
            return stack.enter_context(bench.started("worker.cli", *command, core=core, settings=settings))

        web, scheduler = seats("web", "--port", str(port)), seats("scheduler")
        first = [seats("worker", core=bench.work_core)]
        others = [seats("worker") for _ in range(workers - 1)]
        running = Fleet(web, scheduler, [*first, *others], crovver, port)
        _warm(running)
        yield running


def _warm(running: Fleet) -> None:
    """Return when the fleet has made its first purchase, which takes long on purpose, and some more."""
    deadline = time.monotonic() + 60
    while True:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", running.port)) as one,
        ):
            one.request("GET", "/healthz")
            if one.getresponse().status == 200:
                break
        if time.monotonic() > deadline:
            raise RuntimeError(f"the web process does not answer:\n{running.web.log()[-2000:]}")
        time.sleep(0.1)
    door = running.door()
    for number in range(4):
        once(running, door, f"warm_{number}", within=60)
    time.sleep(QUIET)


def once(running: Fleet, door: Door, tenant: str, *, within: float = 30.0) -> float:
    """Milliseconds from posting the events that exceed a tenant's seats to its checkout call."""
    body = joins(tenant, 2)
    began = door.post(body)
    deadline = began + within
    while tenant not in running.crovver.checkout_at:
        if time.monotonic() > deadline:
            raise RuntimeError(f"no checkout call within {within} s:\n{running.workers[0].log()[-2000:]}")
        time.sleep(0.005)
    return 1000 * (running.crovver.checkout_at[tenant] - began)
