"""Between the processes and their Redis is a wire that breaks: commands run, and nobody hears of it."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.proxy import Fate, Judge, Proxy
from tests.storm.row import Row
from worker.embedded import EmbeddedServer

SELDOM = 0.03
"""How many of all replies are broken in the rows that break them at random."""


@pytest.fixture(scope="module")
def wire() -> Iterator[Proxy]:
    with EmbeddedServer() as server, Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def crovver() -> Iterator[StormCrovver]:
    server = StormCrovver()
    yield server
    server.close()


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory, wire: Proxy, crovver: StormCrovver) -> Iterator[Storm]:
    """One deployment for all rows of this file: none of them may end a process."""
    folder: Path = tmp_path_factory.mktemp("wire")
    with Storm(folder, wire.url, crovver) as storm:
        yield storm.start("web", "worker", "worker2", "scheduler").ready()


@pytest.fixture
def row(storm: Storm, wire: Proxy, make_row: Callable[..., Row]) -> Iterator[Row]:
    """A row over an unbroken wire; it is unbroken again at the end, and nobody had to be started anew."""
    row = make_row(storm, tenants=3)
    yield row
    wire.judge, wire.delay, wire.silent = (lambda request: Fate.PASS), 0.0, False
    assert storm.ended == [], "a process ended by itself"


def at_random(fate: Fate, *, besides: bytes = b"BLPOP") -> Judge:
    """Breaks some replies: not those to the scheduler's sleep, which cost nothing."""
    rng = random.Random(fate.name)
    return lambda request: fate if besides not in request and rng.random() < SELDOM else Fate.PASS


def of_claims(fate: Fate, times: int) -> Judge:
    """Breaks the replies to as many saves of a claim, which alone ask for the disk."""
    left = iter(range(times))
    return lambda request: fate if b"WAITAOF" in request and next(left, None) is not None else Fate.PASS


@pytest.mark.parametrize("fate", [Fate.LOSE, Fate.HALVE])
def test_replies_are_lost_at_random(row: Row, wire: Proxy, fate: Fate) -> None:
    row.begin()
    row.accept(20)
    before, wire.judge = wire.broken, at_random(fate)
    row.accept(40)
    eventually(lambda: wire.broken >= before + 10, 60, "replies to be broken")
    wire.judge = lambda request: Fate.PASS
    row.weathered()


@pytest.mark.parametrize("fate", [Fate.LOSE, Fate.HALVE, Fate.KEEP])
def test_the_reply_to_a_claim_is_lost(row: Row, wire: Proxy, crovver: StormCrovver, fate: Fate) -> None:
    before, wire.judge = wire.broken, of_claims(fate, 3)
    for tenant in row.tenants:
        row.join(tenant, "new_1", "new_2")
    eventually(lambda: all(crovver.checkouts_of(tenant) for tenant in row.tenants), 60, "every checkout")
    assert wire.broken == before + 3
    row.payer.start()
    row.weathered()
    assert [len(crovver.checkouts_of(tenant)) for tenant in row.tenants] == [1, 1, 1]


def test_everything_takes_long(row: Row, wire: Proxy) -> None:
    wire.delay = 0.1
    row.begin()
    row.accept(20)
    wire.delay = 0.0
    row.weathered()


def test_the_wire_goes_silent_and_is_cut(row: Row, wire: Proxy) -> None:
    row.begin()
    row.accept(20)
    wire.silent = True
    deployment = row.storm.deployment
    eventually(lambda: deployment.answers("/readyz") == 503, 60, "the silence to be noticed")
    assert deployment.answers("/healthz") == 200
    wire.cut()
    wire.silent = False
    row.accept(20)
    row.weathered()
    eventually(lambda: deployment.answers("/readyz") == 200, 60, "everything to be ready again")
