"""Claims that nobody comes back for: the worker is killed between the claim and the call."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer

LEAST_HOLD = 20.0
"""Seconds, from the claim, which runs out after 15."""


@pytest.fixture
def storm(tmp_path: Path, valkey: EmbeddedServer, storm_crovver: StormCrovver) -> Iterator[Storm]:
    options = {"SEATS_AMBIGUOUS_HOLD": "5s"}
    with Storm(tmp_path, valkey.url, storm_crovver, hurry=6.0, least_hold=LEAST_HOLD, **options) as storm:
        yield storm


def test_killed_between_claim_and_call_nothing_is_asked_until_the_hold_is_over(storm: Storm, row: Row) -> None:
    waits, granted = row.tenants[:2]
    storm.start("web", "scheduler").start("worker", failpoint="after_claim")
    began = time.monotonic()
    row.join(waits, "ada", "bob")
    eventually(lambda: storm.times_ended("worker") == 1, 60, "the worker to be killed after its claim")
    storm.stop("worker")
    storm.start("worker", failpoint="before_send")
    row.join(granted, "ada", "bob")
    eventually(lambda: storm.times_ended("worker") == 2, 60, "the worker to be killed before it sends")
    # One is given the seats by other means, which settles it; the other is asked anew when the hold is over.
    with storm.crovver.lock:
        storm.crovver.workspaces[granted].capacity = 500
    row.begin()
    storm.deployment.wait_for_state(granted, "confirmed", 60)
    eventually(lambda: storm.crovver.checkouts_of(waits), 60, "the tenant to be asked anew")
    assert storm.crovver.checkouts_of(waits)[0].at - began >= LEAST_HOLD
    row.weathered()
    assert storm.crovver.checkouts_of(granted) == []
    first, *later = row.path(waits).values()
    assert first == ["requesting", "unknown", "failed"]
    assert later
