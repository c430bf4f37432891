"""Two servers hold themselves for the primary for a while."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.e2e.deployment import eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from tests.storm.sentinel import Watched, role


def test_a_primary_that_stands_still_and_wakes_up_as_one_accepts_nothing_that_is_lost(
    tmp_path: Path, storm_crovver: StormCrovver, make_row: Callable[..., Row]
) -> None:
    # One of two would not do: a replica that still follows the old primary acknowledges what the new one never sees.
    with (
        Watched(replicas=2, sentinels=1) as watched,
        Storm(tmp_path, watched.url, storm_crovver, SEATS_MIN_REPLICAS="2") as storm,
    ):
        storm.start().ready()
        row = make_row(storm)
        row.begin()
        row.accept(40)
        old = watched.primary
        os.kill(old.pid, signal.SIGSTOP)
        watched.failed_over(old)
        os.kill(old.pid, signal.SIGCONT)
        eventually(lambda: role(old)[0] == "slave", 60, "the old primary to follow the new one")
        row.accept(20)
        row.weathered()
        assert storm.ended == [], "nobody had to be started anew"
