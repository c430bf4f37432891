"""Each row of the storm runs STORM_ROUNDS times, and says at its end what was accepted, lost and doubled.

A file whose rows can share their processes overrides ``storm`` with one of its own scope.
"""

import os
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from tests.storm.tally import NAME
from worker.embedded import EmbeddedServer

TIMEOUT = 300
"""Seconds. Rows wait for what must come in the end, on machines that may be slow."""

ROUNDS = int(os.environ.get("STORM_ROUNDS", "1"))


LONG = {
    "test_a_primary_that_is_killed_is_replaced_and_nobody_need_be_restarted",
    "test_a_primary_that_stands_still_and_wakes_up_as_one_accepts_nothing_that_is_lost",
    "test_killed_under_load_again_and_again[redis]",
    "test_killed_in_the_middle_of_a_write[valkey]",
    "test_a_full_disk_twice[everysec]",
    "test_a_full_disk_beneath_a_server_that_syncs_each_write[always]",
    "test_frozen_for_15_seconds_twice",
    "test_stopped_beyond_the_lease_in_the_middle_of_the_call",
    "test_stopped_right_before_the_call_and_sent_after_the_claim_ran_out",
    "test_a_claim_that_grew_old_while_its_worker_was_stopped_is_not_used",
    "test_killed_between_claim_and_call_nothing_is_asked_until_the_hold_is_over",
    "test_workers_and_schedulers_crash_one_after_another",
    "test_crovver_hangs_on_reads_and_then_on_calls",
    "test_out_of_memory_twice[everysec]",
    "test_the_end_of_its_file_is_cut_off_within_a_write[valkey]",
    "test_replies_are_lost_at_random[Fate.LOSE]",
    "test_replies_are_lost_at_random[Fate.HALVE]",
    "test_everything_takes_long",
    "test_the_wire_goes_silent_and_is_cut",
    "test_of_single_tenants",
    "test_a_replica_that_lost_the_tail_takes_over",
    "test_of_the_index[names0]",
    "test_of_the_index[names1]",
}
"""Rows that take long. Without STORM_ROUNDS they are left out, so that all tests end within a quarter of an hour."""


@pytest.fixture(params=range(1, ROUNDS + 1) if ROUNDS > 1 else None)
def storm_round(request: pytest.FixtureRequest) -> int:
    """Which round of a row this is."""
    return int(getattr(request, "param", 1))


@pytest.fixture
def storm_crovver() -> Iterator[StormCrovver]:
    server = StormCrovver()
    yield server
    server.close()


@pytest.fixture
def storm(tmp_path: Path, valkey: EmbeddedServer, storm_crovver: StormCrovver) -> Iterator[Storm]:
    """A deployment on a Valkey that syncs every write. Nothing runs yet: the row starts what it needs."""
    with Storm(tmp_path, valkey.url, storm_crovver) as storm:
        yield storm


@pytest.fixture
def make_row(request: pytest.FixtureRequest, storm_round: int) -> Iterator[Callable[..., Row]]:
    """Makes the row of a test, which ends with it."""
    made: list[Row] = []

    def make(storm: Storm, **options: float) -> Row:
        name = re.sub(r"\W", "", request.node.originalname.removeprefix("test_"))[:24]
        made.append(Row(storm, name, **options))  # type: ignore[arg-type]
        request.node.stash[_ROWS] = made
        return made[-1]

    yield make
    for row in made:
        row.end()


@pytest.fixture
def row(storm: Storm, make_row: Callable[..., Row]) -> Row:
    """The row of a test, on the deployment of its file."""
    return make_row(storm)


_ROWS = pytest.StashKey[list[Row]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT))
            if item.name in LONG and "STORM_ROUNDS" not in os.environ:
                item.add_marker(pytest.mark.skip("a long row: runs where STORM_ROUNDS is set"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Enter what a row came to; one that passed without a reckoning proves nothing, and fails."""
    passed = False
    try:
        yield
        passed = True
    finally:
        for row in item.stash.get(_ROWS, []):
            found = row.reckoning
            if found is not None:
                item.user_properties.append((NAME, [found.accepted, len(found.lost), len(found.doubled)]))
            elif passed:
                pytest.fail(f"{item.name} did not reckon: a row ends with row.weathered()")
