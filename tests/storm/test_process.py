"""Processes that crash, stand still and are told to stop, while events flow and checkouts are paid."""

import random
import time
from collections.abc import Iterator
from functools import partial

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker

from tests.e2e.deployment import eventually
from tests.e2e.test_poison import changed, put
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(appendfsync="always") as running:
        yield running


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[Storm]:
    """One deployment for all rows of this file. Leases end after 3.3 s, claims after 15, and are held for 20."""
    crovver, folder = StormCrovver(), tmp_path_factory.mktemp("process")
    options = {"SEATS_AMBIGUOUS_HOLD": "5s"}
    with Storm(folder, valkey.url, crovver, hurry=6.0, least_hold=20.0, **options) as storm:
        yield storm.start("web", "worker", "worker2", "scheduler").ready()
    crovver.close()


def test_workers_and_schedulers_crash_one_after_another(storm: Storm, row: Row) -> None:
    storm.start("scheduler2").ready()
    before = len(storm.ended)
    row.begin()
    rng = random.Random(7)
    for number in range(6):
        row.accept(8)
        time.sleep(rng.uniform(0, 0.5))
        storm.crash(rng.choice(["worker", "worker2", "scheduler", "scheduler2"]))
        eventually(partial(_ended, storm, before + number + 1), 60, "the supervisor to see it")
    # A worker may have died between its claim and its call: it is asked anew when the hold is over.
    row.weathered(120)
    storm.stop("scheduler2")


def _ended(storm: Storm, times: int) -> bool:
    return len(storm.ended) == times


def test_poison_in_the_queue_under_load(storm: Storm, row: Row, valkey: EmbeddedServer) -> None:
    """What each kind of poison becomes stands in the end-to-end tests; here it comes again and again, under load."""
    host = RedisBroker(url=valkey.url, namespace="seats")  # type: ignore[no-untyped-call]
    before = list(storm.ended)
    row.begin()
    bad = {
        name: body
        for number in range(5)
        for name, body in (
            (f"bytes{number}", b"\x00not a message"),
            (f"args{number}", changed(args=[row.tenants[0], ""], options={"redis_message_id": f"args{number}"})),
            (f"actor{number}", changed(actor_name="promoted", options={"redis_message_id": f"actor{number}"})),
        )
    }
    for number, (ident, body) in enumerate(bad.items()):
        put(host, ident, body)
        user = f"host{number}"
        host.enqueue(dramatiq.Message[None]("seat-events", "user_added", (row.tenants[1], user), {}, {}))
        row.own[row.tenants[1]].add(user)
        row.own_accepted += 1
        row.accept(1)

    def dead() -> set[str]:
        return {letter["id"] for letter in storm.deployment.get("/v1/dead-letters?limit=100")["deadLetters"]}

    eventually(lambda: dead() == set(bad), 60, "every dead letter")
    assert storm.deployment.seats("dead-letters", "discard", "--all", "--yes").returncode == 0
    row.weathered()
    assert storm.ended == before, "no process had to start anew"
