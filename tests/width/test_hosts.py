"""Workers and schedulers on hosts of their own, one of which is cut off for longer than a lease, and comes back."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from tests.width.cluster import Cluster
from tests.width.hosts import Hosts
from tests.width.wide import load, weathered
from worker.actors.scheduler import LEASE
from worker.core.times import SECOND
from worker.embedded import EmbeddedServer


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with Hosts(2) as there:
        yield there


def test_a_host_is_cut_off_and_comes_back(tmp_path: Path, hosts: Hosts, make_row: Callable[..., Row]) -> None:
    reachable = (f"bind 127.0.0.1 {hosts.address}", "protected-mode no")
    crovver = StormCrovver(hosts.address)
    try:
        with (
            EmbeddedServer(extra=reachable) as queue,
            Cluster(address=hosts.address) as state,
            Storm(tmp_path, f"redis://{hosts.address}:{queue.port}/0", crovver, SEATS_STATE_URL=state.url) as storm,
        ):
            for host, names in enumerate((("worker", "scheduler"), ("worker2", "scheduler2"))):
                storm.deployment.launchers |= dict.fromkeys(names, hosts.run_on(host))
            storm.start("web", "worker", "worker2", "scheduler", "scheduler2").ready()
            row = load(storm, make_row)
            row.begin()
            row.accept(60)
            hosts.cut(1)
            until = time.monotonic() + LEASE / SECOND + 5
            while time.monotonic() < until:
                row.accept(20)
            hosts.mend(1)
            row.accept(60)
            weathered(row, 150)
            worked = [name for name in ("worker", "worker2") if '"event": "decision"' in storm.log(name)]
            assert worked == ["worker", "worker2"], "both hosts have worked"
    finally:
        crovver.close()
