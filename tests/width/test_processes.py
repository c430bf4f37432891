"""The state on a cluster, the queue behind Sentinels, several schedulers and workers, some of which are lost."""

from collections.abc import Callable
from pathlib import Path

from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from tests.storm.sentinel import Watched
from tests.width.cluster import Cluster
from tests.width.wide import PROCESSES, load, weathered
from worker.embedded import EmbeddedServer


def test_the_queue_moves_to_another_server(
    tmp_path: Path, state: Cluster, storm_crovver: StormCrovver, make_row: Callable[..., Row]
) -> None:
    with (
        Watched(replicas=1, sentinels=3) as watched,
        Storm(tmp_path, watched.url, storm_crovver, SEATS_STATE_URL=state.url) as storm,
    ):
        storm.start(*PROCESSES).ready()
        row = load(storm, make_row)
        row.begin()
        row.accept(60)
        old = watched.primary
        old.kill()
        row.accept(60)
        watched.failed_over(old)
        row.accept(60)
        weathered(row)
        assert storm.ended == [], "nobody had to be started anew"


def test_schedulers_are_killed_and_stopped(
    tmp_path: Path, valkey: EmbeddedServer, state: Cluster, storm_crovver: StormCrovver, make_row: Callable[..., Row]
) -> None:
    with Storm(tmp_path, valkey.url, storm_crovver, SEATS_STATE_URL=state.url) as storm:
        storm.start(*PROCESSES, "scheduler3").ready()
        row = load(storm, make_row)
        row.begin()
        row.accept(60)
        storm.kill("scheduler")
        storm.freeze("scheduler2")
        row.accept(60)
        # The one that is left stands still, too: facts are taken all the same, and nobody is woken.
        storm.freeze("scheduler3")
        row.accept(60)
        storm.thaw("scheduler2")
        row.accept(60)
        storm.thaw("scheduler3")
        weathered(row)


def test_processes_join_and_leave(
    tmp_path: Path, valkey: EmbeddedServer, state: Cluster, storm_crovver: StormCrovver, make_row: Callable[..., Row]
) -> None:
    with Storm(tmp_path, valkey.url, storm_crovver, SEATS_STATE_URL=state.url) as storm:
        storm.start("web", "worker", "scheduler").ready()
        row = load(storm, make_row)
        row.begin()
        row.accept(40)
        storm.start("worker2", "scheduler2").ready("worker2", "scheduler2")
        row.accept(40)
        assert (storm.stop("worker"), storm.stop("scheduler")) == (0, 0)
        row.accept(40)
        storm.start("worker3").ready("worker3")
        assert storm.stop("worker2") == 0
        row.accept(40)
        weathered(row)
