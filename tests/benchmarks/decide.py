"""Decide: tenants reconciled a second, and how many calls of Crovver events cost.

Reconciles: ``seats worker`` on one core, tenants it knows, each looked at afresh, none in need of anything; with a
Crovver that answers at once and one that takes 100 ms, and there with two worker processes beside one. Valkey,
scheduler and Crovver have the other core.

Calls: 1,000 events in bursts of 1, 10 and 1,000 a tenant, of tenants never heard of. Peers that handle one event at a
time look once for each: 1,000. These are counts, the same on any machine.
"""

import functools
import time
from collections.abc import Sequence

from tests.benchmarks.crovver import API_KEY, StandIn
from tests.benchmarks.engine import Core, Crovver
from tests.benchmarks.harness import Bench, Figure, Goal, figure, pinned
from tests.benchmarks.stage import LONGEST
from tests.benchmarks.workload import Workload
from worker.core.facts import Membership, UserFact
from worker.core.times import HOUR
from worker.engine.ports import Pace

NAME = "decide: tenants reconciled a second and core, and calls of Crovver"

AT_ONCE, SLOW, SLOW_TWICE = "at once", "100 ms", "100 ms, two processes"
WARM_UP = 50


def run(bench: Bench) -> list[Figure]:
    return [*([] if bench.small else _rates(bench)), *_calls(bench)]


def _rates(bench: Bench) -> list[Figure]:
    variants = {
        AT_ONCE: functools.partial(_reconciled, bench, 3_000, 0.0, 1),
        SLOW: functools.partial(_reconciled, bench, 1_000, 0.1, 1),
        SLOW_TWICE: functools.partial(_reconciled, bench, 2_000, 0.1, 2),
    }
    samples = bench.interleave(variants)
    rates = {name: [rate for rate, _ in each] for name, each in samples.items()}
    used = {name: [micros for _, micros in each] for name, each in samples.items()}
    return [
        *bench.figures(
            "Tenants reconciled, by what Crovver takes", rates, unit="tenants/s", against=[SLOW],
            goals={SLOW_TWICE: {SLOW: Goal(least=1.6)}},
        ),
        *bench.figures("Processor time of a reconcile, worker", used, unit="µs"),
    ]  # fmt: skip


def _reconciled(bench: Bench, tenants: int, delay: float, processes: int) -> tuple[float, float]:
    """Tenants a second, and microseconds of the workers' processor time for each."""
    names = Workload(tenants + WARM_UP, 1).names()
    with bench.valkey() as server, Core(server.url) as core, pinned(bench.server_core), StandIn(delay=delay) as crovver:
        core.mark_due(names)
        core.work_off()
        settings = {
            "SEATS_REDIS_URL": server.url,
            "SEATS_CROVVER_BASE_URL": crovver.url,
            "SEATS_CROVVER_API_KEY": API_KEY,
            "SEATS_CROVVER_RATE": "100000/s",
            "SEATS_CREDITS_EVERY": "0",
        }
        command = ("worker.cli", "scheduler")
        with (
            bench.seats("worker", "--processes", str(processes), **settings) as worker,
            bench.started(*command, core=bench.server_core, settings=settings) as scheduler,
        ):
            scheduler.wait_for("scheduler ready")
            _wait_until_done(core, names[:WARM_UP])
            used, began = worker.cpu(), time.perf_counter()
            _wait_until_done(core, names[WARM_UP:])
            seconds = time.perf_counter() - began
            return tenants / seconds, 1e6 * (worker.cpu() - used) / tenants


def _wait_until_done(core: Core, tenants: Sequence[str]) -> None:
    core.mark_due(tenants)
    deadline = time.monotonic() + LONGEST
    while core.backlog():
        assert time.monotonic() < deadline, "tenants were never reconciled"
        time.sleep(0.03)


def _calls(bench: Bench) -> list[Figure]:
    total = bench.pick(1_000, 100)
    group, each = f"Crovver calls for {total:,} events", {"a look for each event": [float(total)]}
    found = []
    for burst in (1, 10, total):
        with bench.valkey() as server, Core(server.url) as core:
            load = Workload(total // burst, burst)
            core.accept({name: load.facts(name) for name in load.names()})
            core.work_off()
            reads = [float(core.crovver.reads)]
        name = "1 event a tenant" if burst == 1 else f"{burst:,} events a tenant"
        found.append(figure(group, name, reads, "calls", against=each))
    tenants = total // 10
    with bench.valkey() as server, Core(server.url, pace=Pace(trust_look=HOUR)) as core:
        events = list(Workload(tenants, 10).messages())
        for start in range(0, total, tenants):
            core.accept({tenant: [fact] for tenant, fact in events[start : start + tenants]})
            core.work_off()
        reads = [float(core.crovver.reads)]
    found.append(figure(group, "10 events a tenant, one by one, on one look", reads, "calls", against=each))
    return [*found, *_burst_that_buys(bench), *_large_tenant(bench)]


def _burst_that_buys(bench: Bench) -> list[Figure]:
    """Reads for a burst that outgrows a tenant of 100 seats, whatever its size."""
    found = []
    seats = tuple(f"user_{number:08}" for number in range(100))
    for burst in bench.pick((1, 10, 1_000, 10_000), (1, 10)):
        with bench.valkey() as server:
            crovver = Crovver(lambda tenant: seats, room=100)
            with Core(server.url, crovver) as core:
                at = time.time_ns() // 1000
                core.accept({
                    "workspace": [UserFact(f"new_{n:08}", Membership.ADDED, at, f"evt_{n:08}") for n in range(burst)]
                })  # fmt: skip
                core.work_off()
            assert crovver.checkouts == 1, f"{crovver.checkouts} checkouts for one burst"
        name = f"{burst:,} events" if burst > 1 else "1 event"
        found.append(
            figure(
                "Crovver reads for a burst that outgrows 100 seats",
                name,
                [float(crovver.reads)],
                "reads",
                goal=Goal(most=2),
            )
        )
    return found


def _large_tenant(bench: Bench) -> list[Figure]:
    """Reads of a tenant of 5,000 seats: the first time, and for an event that comes when that look is old."""
    group = "Crovver reads of a tenant of 5,000 seats"
    seats = tuple(f"user_{number:08}" for number in range(5_000))
    with bench.valkey() as server, Core(server.url, Crovver(lambda tenant: seats), Pace(trust_look=0)) as core:
        core.mark_due(["workspace"])
        core.work_off()
        first = core.crovver.reads
        core.accept({"workspace": [UserFact("new", Membership.ADDED, time.time_ns() // 1000, "evt_1")]})
        core.work_off()
        return [
            figure(group, "the first time", [float(first)], "reads", goal=Goal(most=60)),
            figure(group, "for the next event", [float(core.crovver.reads - first)], "reads", goal=Goal(most=3)),
        ]
