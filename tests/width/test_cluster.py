"""The state on a cluster, under load: slots move from one primary to another, and primaries are replaced."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.deployment import event, eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from tests.width.cluster import Cluster, Way
from tests.width.wide import KEYS, PROCESSES, busiest, load, slots_in_use, weathered
from worker.embedded import EmbeddedServer

EMPTY_SLOTS = 100
"""Slots that are moved beside those that something is in."""

WAITS = os.environ.get("FAILOVER_WAITS", "1") == "1"
"""0 sets SEATS_MIN_REPLICAS=0 in the row of the lost tail, which must fail then: facts are lost, seats bought twice."""


@pytest.mark.parametrize("way", ["key by key", "at once"])
def test_slots_are_moved_under_load(
    tmp_path: Path,
    valkey: EmbeddedServer,
    state: Cluster,
    storm_crovver: StormCrovver,
    make_row: Callable[..., Row],
    way: Way,
) -> None:
    with Storm(tmp_path, valkey.url, storm_crovver, SEATS_STATE_URL=state.url) as storm:
        storm.start(*PROCESSES).ready()
        row = load(storm, make_row)
        row.begin()
        row.accept(60)
        used = slots_in_use(row.tenants)
        first, second, third = busiest(state, row.tenants)
        for source, target in ((first, second), (second, third)):
            theirs = state.slots_had_by(source)
            slots = {*(used & theirs), *sorted(theirs - used)[:EMPTY_SLOTS]}
            # Halfway, a slot's keys are at two places, and most scripts have to wait.
            assert state.move(slots, target, way, pause=0.02) > 0
            row.accept(30)
        weathered(row)
        assert storm.ended == [], "nobody had to be started anew"


def test_primaries_die_and_are_replaced(
    tmp_path: Path, valkey: EmbeddedServer, state: Cluster, storm_crovver: StormCrovver, make_row: Callable[..., Row]
) -> None:
    with Storm(tmp_path, valkey.url, storm_crovver, SEATS_STATE_URL=state.url) as storm:
        storm.start(*PROCESSES).ready()
        row = load(storm, make_row)
        row.begin()
        row.accept(60)
        for old in busiest(state, row.tenants):
            old.kill()
            state.failed_over(old)
            state.rejoin(old)
            row.accept(40)
        weathered(row)
        assert storm.ended == [], "nobody had to be started anew"


def test_a_replica_that_lost_the_tail_takes_over(
    tmp_path: Path, valkey: EmbeddedServer, state: Cluster, storm_crovver: StormCrovver, make_row: Callable[..., Row]
) -> None:
    with Storm(
        tmp_path, valkey.url, storm_crovver, SEATS_STATE_URL=state.url, SEATS_MIN_REPLICAS="" if WAITS else "0"
    ) as storm:
        storm.start(*PROCESSES).ready()
        row, buyer = load(storm, make_row), make_row(storm, tenants=1, publishers=0, capacity=4)
        deployment = storm.deployment
        (tenant,) = buyer.tenants
        row.begin()
        row.accept(60)
        # From now on no write to this primary reaches its replica, and a purchase comes due there.
        old = state.owner_of_key(KEYS.record(tenant))
        replica = state.replica_of(old)
        state.cut_off(replica)
        answer = deployment.publish(event(tenant, "early"))
        assert answer.status_code == (503 if WAITS else 202), answer.text
        joining = threading.Thread(target=buyer.join, args=(tenant, "late"), daemon=True)
        joining.start()
        wanted = "requesting" if WAITS else "awaiting_payment"
        eventually(lambda: deployment.state(tenant) == wanted, 60, "a claim")
        if WAITS:
            eventually(lambda: "SEATS_MIN_REPLICAS" in storm.log("web"), 60, "the log to say what is missing")
            assert storm_crovver.checkouts_of(tenant) == [], "a claim that is on no replica was used"
        old.kill()
        state.failed_over(old)
        state.let_follow(replica)
        state.rejoin(old)
        joining.join(60)
        assert not joining.is_alive()
        buyer.join(tenant, "latest")
        eventually(lambda: deployment.state(tenant) == "awaiting_payment", 60, "the purchase")
        buyer.payer.start()
        row.accept(40)
        buyer.weathered(90)
        weathered(row)
        assert storm.ended == [], "nobody had to be started anew"
