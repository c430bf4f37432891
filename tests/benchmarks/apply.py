"""Apply: events/s folded into rosters, by whoever takes them from where they wait to where they count.

Ours, twice: ``seats worker`` and ``seats scheduler`` as they run in production, with a Crovver that answers at once
over HTTP; and the worker's core alone, in one process with a Crovver in it. Against peers that do the same job one
event at a time (``tests/benchmarks/peers/``), and against a script that is handed batches of 100 events without any
queue: the ceiling.

Folding is what is measured, so nobody asks Crovver: our tenants were looked at before, and that look serves. What looks
cost is the subject of ``decide``.

All of it on one Valkey that appends to its file and syncs it every second, on a core of its own; every process of a
contender shares the other core. Everybody's events wait in queues or inboxes before the clock starts, which it does
with the first event that is folded in. A peer is stopped after some seconds, for its rate does not change; that it does
the job is checked on a smaller number of events first.
"""

import contextlib
import functools
import subprocess
import sys
from collections.abc import Callable

import redis

from tests.benchmarks.crovver import API_KEY, StandIn
from tests.benchmarks.engine import Core
from tests.benchmarks.harness import Bench, Figure, Goal, Process, Skipped, Valkey, pinned
from tests.benchmarks.peers import batched_lua, job
from tests.benchmarks.peers.lineup import PACKAGE, PEERS, STOCK, TUNED, Peer
from tests.benchmarks.stage import Stage, Took, watch
from tests.benchmarks.workload import Workload, event_size
from tests.cli.running import environment
from worker.core.times import HOUR
from worker.engine.ports import Pace
from worker.store.keys import Keys

NAME = "apply: events/s folded into rosters, one core for whoever folds, one for Valkey (AOF everysec)"

OURS = "seats worker + scheduler"
CORE = "the worker's core"
CEILING = "batches of events to Lua, no queue"
FINISHED = "finished entries to Lua, no queue"
GOALS = {TUNED.name: Goal(least=10), STOCK.name: Goal(least=30), CEILING: Goal(least=0.6)}

BURSTS = (1, 10, 100, 1_000, 5_000)

PEER_SECONDS = 4.0
"""How long a peer is watched in each round."""


def run(bench: Bench) -> list[Figure]:
    found: list[Figure] = []
    peers = bench.pick(PEERS, ())
    for workload in bench.pick([Workload(100, 1_000), Workload(1, 50_000)], [Workload(4, 25)]):
        with bench.valkey() as server:
            stage = Stage(server)
            stage.put_aside(OURS, functools.partial(take_in, server.url, workload))
            variants = {
                OURS: functools.partial(_processes, bench, stage, workload),
                CORE: functools.partial(_core, bench, stage, workload),
                **{peer.name: functools.partial(_peer, bench, stage, workload, peer) for peer in peers},
                CEILING: functools.partial(_ceiling, bench, stage, workload, batched_lua.batches(workload)),
                FINISHED: functools.partial(
                    _ceiling, bench, stage, workload, batched_lua.finished(workload), batched_lua.FOLD_ENTRIES
                ),
            }
            if bench.small:
                del variants[OURS]
            found += _figures(bench, f"{workload}, {event_size()} bytes each", bench.interleave(variants))
    return found + _by_burst(bench)


def _by_burst(bench: Bench) -> list[Figure]:
    """How much a burst matters: what is done once for each tenant is shared by all its events."""
    with bench.valkey() as server:
        stage = Stage(server)
        variants = {}
        for events in bench.pick(BURSTS, BURSTS[:2]):
            workload, name = Workload(max(10, bench.pick(10_000, 100) // events), events), f"bursts of {events:,}"
            stage.put_aside(name, functools.partial(take_in, server.url, workload))
            variants[name] = functools.partial(_core, bench, stage, workload, name)
        samples = bench.interleave(variants)
    rates = {name: [took.rate for took in each] for name, each in samples.items()}
    return bench.figures("The worker's core, by how many events wait for a tenant", rates, unit="events/s")


def _figures(bench: Bench, title: str, samples: dict[str, list[Took]]) -> list[Figure]:
    notes = {peer.name: peer.note for peer in PEERS}
    rates = {name: [took.rate for took in each] for name, each in samples.items()}
    found = bench.figures(
        f"Events folded in, {title}", rates, unit="events/s", against=[TUNED.name, STOCK.name, CEILING],
        goals={OURS: GOALS, CORE: GOALS}, notes=notes,
    )  # fmt: skip
    for side in ("worker", "server"):
        used = {name: [getattr(took, side) for took in each] for name, each in samples.items()}
        found += bench.figures(f"Processor time of the {side}, {title}", used, unit="µs/event")
    return found


def take_in(url: str, workload: Workload) -> None:
    """Have all events accepted into the inboxes, as the door does it, of tenants that were looked at just before."""
    with Core(url) as core:
        core.mark_due(workload.names())
        core.work_off()
        core.accept({name: workload.facts(name) for name in workload.names()})


def check(url: str, workload: Workload) -> None:
    """See that our rosters are what they must come to."""
    with Core(url) as core:
        for tenant in workload.names():
            found = {user: (entry.needs, entry.id) for user, entry in core.roster(tenant).items()}
            assert found == workload.expected(tenant), f"the roster of {tenant} is wrong"


def _inboxes(server: Valkey, workload: Workload) -> Callable[[], int]:
    """What tells how many events have left the inboxes, whole inboxes where there are many.

    A script without arguments and one command, since the server that is asked is the one that is at work.
    """
    inboxes = ", ".join(f"'{Keys('seats').inbox(name)}'" for name in workload.names())
    count = "LLEN" if workload.tenants == 1 else "EXISTS"
    script = server.client.register_script(f"return redis.call('{count}', {inboxes})")
    each = 1 if workload.tenants == 1 else workload.events
    return lambda: workload.total - each * int(script())


def _processes(bench: Bench, stage: Stage, workload: Workload) -> Took:
    server = stage.server
    stage.bring_out(OURS)
    with pinned(bench.server_core), StandIn() as crovver:
        settings = {
            "SEATS_REDIS_URL": server.url,
            "SEATS_CROVVER_BASE_URL": crovver.url,
            "SEATS_CROVVER_API_KEY": API_KEY,
            "SEATS_CROVVER_RATE": "100000/s",
            "SEATS_TRUST_LOOK_FOR": "1h",
        }
        with bench.seats("worker", **settings) as worker:
            worker.wait_for("worker ready")
            with bench.seats("scheduler", **settings) as scheduler:
                took = watch(server, [worker, scheduler], _inboxes(server, workload), workload.total)
    check(server.url, workload)
    return took


def _core(bench: Bench, stage: Stage, workload: Workload, aside: str = OURS) -> Took:
    stage.bring_out(aside)
    with pinned(bench.work_core), Core(stage.server.url, pace=Pace(trust_look=HOUR)) as core:
        took = stage.timed(workload.total, core.work_off)
    check(stage.server.url, workload)
    return took


def _ceiling(
    bench: Bench, stage: Stage, workload: Workload, ready: list[batched_lua.Batch], fold: str = batched_lua.FOLD_EVENTS
) -> Took:
    stage.clear()
    with pinned(bench.work_core):
        took = stage.timed(workload.total, lambda: batched_lua.apply(stage.server.client, ready, fold))
    assert job.folded(stage.server.client, workload), "the rosters are wrong"
    return took


def _peer(bench: Bench, stage: Stage, workload: Workload, peer: Peer) -> Took:
    peer.check()
    if not stage.has(peer.name):
        _does_the_job(bench, peer)
        stage.put_aside(peer.name, lambda: _fill(stage.server.url, peer, workload))
    stage.bring_out(peer.name)
    with _started(bench, stage.server.url, peer) as process:
        done = _folds(stage.server.client)
        return watch(stage.server, [process], done, workload.total, seconds=PEER_SECONDS)


def _does_the_job(bench: Bench, peer: Peer) -> None:
    """See that a peer folds a few events, each once, into the rosters they must come to."""
    few = Workload(4, 100)
    with bench.valkey() as server:
        _fill(server.url, peer, few)
        with _started(bench, server.url, peer) as process:
            watch(server, [process], _folds(server.client), few.total)
        if not job.folded(server.client, few):
            raise Skipped("it did not do the job: its rosters are wrong")


def _folds(client: "redis.Redis") -> Callable[[], int]:
    """What tells how many events a peer has folded in: its script reads one field of a hash, and nothing else does."""

    def asked() -> int:
        stats = client.info("commandstats")
        return int(stats.get("cmdstat_hget", {"calls": 0})["calls"])

    before = asked()
    return lambda: asked() - before


def _started(bench: Bench, url: str, peer: Peer) -> "contextlib.AbstractContextManager[Process]":
    return bench.started(*peer.command, settings={"BENCH_REDIS_URL": url, **peer.settings})


def _fill(url: str, peer: Peer, workload: Workload) -> None:
    """Queue all events."""
    subprocess.run(
        [sys.executable, "-P", "-m", f"{PACKAGE}.{peer.module}", "fill", str(workload.tenants), str(workload.events)],
        env=environment({"BENCH_REDIS_URL": url}), stdin=subprocess.DEVNULL, check=True, timeout=600,
    )  # fmt: skip
