"""The server of the state comes back empty while links are out that can be paid: nothing is bought before a sweep."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import eventually
from tests.storm import servers
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer

WATCHED = 5.0
"""Seconds for which nobody may call for a checkout, under load: several times what a purchase takes."""


def lose(server: EmbeddedServer) -> None:
    server.kill()
    servers.empty(server)
    time.sleep(0.5)  # calls that are under way come to their end
    server.restart()


def holds(storm: Storm, tenant: str) -> bool:
    return bool((storm.deployment.tenant(tenant).get("decision") or {}).get("rule") == "waits_for_sweep")


def expire_in_stripe(storm: Storm, row: Row) -> None:
    """What the alert tells the operator to do about the links that are out."""
    for checkout in storm.crovver.open_of(row.tenants):
        storm.crovver.end(checkout)


def sweep(storm: Storm) -> None:
    done = storm.deployment.seats("sweep")
    assert done.returncode == 0, done.stderr
    assert "purchases, which waited for this sweep, go on now" in done.stdout


def test_restarted_empty_with_upgrades_open(storm: Storm, row: Row, valkey: EmbeddedServer) -> None:
    storm.start().ready()
    row.payer.resting.set()
    first = row.tenants[0]
    row.join(first, "ada", "bob")
    storm.deployment.wait_for_state(first, "awaiting_payment", 60)
    row.begin()
    row.accept(20)

    lose(valkey)
    asked = len(storm.crovver.checkouts)
    storm.crash("worker")  # a worker that remembers nothing is as careful
    row.join(first, "ada", "bob")
    eventually(lambda: holds(storm, first), 60, "the purchase to wait")
    until = time.monotonic() + WATCHED
    while time.monotonic() < until:
        row.accept(5)
        assert len(storm.crovver.checkouts) == asked, "a checkout was started on a state that was lost"
    assert "waits for a full sweep, because the state was lost at" in storm.deployment.seats("why", first).stdout
    examined = storm.deployment.seats("doctor")
    assert (examined.returncode, examined.stdout.count("must be fixed: state: it was lost")) == (1, 1)
    assert "the state was lost" in storm.log("web")
    eventually(lambda: "state_lost" in storm.log("scheduler"), 30, "the alert")

    # One customer pays a link of the lost state, the others' are expired; what was sent since the backup is sent again.
    row.pay(storm.crovver.checkouts_of(first)[0])
    expire_in_stripe(storm, row)
    row.publish_again()
    eventually(lambda: all(storm.deployment.tenant(one) for one in row.tenants), 60, "every tenant to be known")
    assert len(storm.crovver.checkouts) == asked
    sweep(storm)
    row.payer.resting.clear()
    row.weathered()
    assert len(storm.crovver.checkouts) > asked, "purchases go on"
    assert storm.deployment.seats("doctor").stdout.count("must be fixed: state: ") == 0


@pytest.fixture
def state_server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(appendfsync="always") as running:
        yield running


@pytest.fixture
def split_storm(
    tmp_path: Path, valkey: EmbeddedServer, state_server: EmbeddedServer, storm_crovver: StormCrovver
) -> Iterator[Storm]:
    with Storm(tmp_path, valkey.url, storm_crovver, SEATS_STATE_URL=state_server.url) as storm:
        yield storm


def test_a_state_of_its_own_comes_back_empty_while_nobody_runs_who_remembers_it(
    split_storm: Storm, make_row: Callable[..., Row], state_server: EmbeddedServer
) -> None:
    """Its identity was left on the broker, where the next scheduler finds it."""
    storm, row = split_storm, make_row(split_storm, tenants=1)
    everybody = ("web", "worker", "scheduler")
    storm.start(*everybody).ready()
    row.payer.resting.set()
    first = row.tenants[0]
    row.join(first, "ada", "bob")
    storm.deployment.wait_for_state(first, "awaiting_payment", 60)
    for name in everybody:
        storm.stop(name)
    lose(state_server)
    storm.start(*everybody)
    row.join(first, "ada", "bob", "eve")
    eventually(lambda: holds(storm, first), 60, "the purchase to wait")
    assert len(storm.crovver.checkouts) == 1
    expire_in_stripe(storm, row)
    sweep(storm)
    row.payer.resting.clear()
    row.begin()
    row.weathered()
    assert [one.capacity for one in storm.crovver.checkouts_of(first)][:2] == [6, 7]
