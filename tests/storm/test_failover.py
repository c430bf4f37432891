"""Sentinels put a replica in the primary's place, while events flow and seats are bought."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from tests.e2e.deployment import event, eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from tests.storm.sentinel import Watched

WAITS = os.environ.get("FAILOVER_WAITS", "1") == "1"
"""0 sets SEATS_MIN_REPLICAS=0 in the row of the lost tail, which must fail then: facts are lost, seats bought twice."""


def test_a_primary_that_is_killed_is_replaced_and_nobody_need_be_restarted(
    tmp_path: Path, storm_crovver: StormCrovver, make_row: Callable[..., Row]
) -> None:
    with Watched(replicas=2, sentinels=3) as watched, Storm(tmp_path, watched.url, storm_crovver) as storm:
        storm.start().ready()
        row = make_row(storm)
        row.begin()
        row.accept(40)
        old = watched.primary
        old.kill()
        watched.failed_over(old)
        row.accept(40)
        row.weathered()
        assert storm.ended == [], "nobody had to be started anew"


def test_a_replica_that_lost_the_tail_takes_over(
    tmp_path: Path, storm_crovver: StormCrovver, make_row: Callable[..., Row]
) -> None:
    with (
        Watched(replicas=1, sentinels=1, linked=True) as watched,
        Storm(tmp_path, watched.url, storm_crovver, SEATS_MIN_REPLICAS="" if WAITS else "0") as storm,
    ):
        storm.start().ready()
        row, buyer, deployment = make_row(storm), make_row(storm, tenants=1, publishers=0, capacity=4), storm.deployment
        (tenant,) = buyer.tenants
        row.begin()
        row.accept(40)
        # From now on no write reaches the replica, and a purchase comes due.
        (link,) = watched.links
        link.silent = True
        answer = deployment.publish(event(tenant, "early"))
        assert answer.status_code == (503 if WAITS else 202), answer.text
        joining = threading.Thread(target=buyer.join, args=(tenant, "late"), daemon=True)
        joining.start()
        eventually(lambda: deployment.state(tenant) == ("requesting" if WAITS else "awaiting_payment"), 60, "a claim")
        if WAITS:
            assert 1 <= int(answer.headers["retry-after"]) <= 5
            eventually(lambda: "SEATS_MIN_REPLICAS" in storm.log("web"), 60, "the log to say what is missing")
            assert storm_crovver.checkouts_of(tenant) == [], "a claim that is on no replica was used"
        old = watched.primary
        old.kill()
        link.close()
        watched.follow(watched.failed_over(old).port)
        joining.join(60)
        assert not joining.is_alive()
        buyer.join(tenant, "latest")
        eventually(lambda: deployment.state(tenant) == "awaiting_payment", 60, "the purchase")
        buyer.payer.start()
        buyer.weathered()
        row.weathered()
        assert storm.ended == [], "nobody had to be started anew"
