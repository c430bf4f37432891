"""From an event that is posted to the checkout call that it leads to: how long, at what cost, and whom others delay.

Real processes with settle 0, over a Crovver that answers at once. Idle, and while half as many tenants as a worker can
reconcile are being reconciled all the time; over a server that flushes its append-only file with every write, every
second, or keeps none. What each process of an idle fleet takes of a core. One worker against two where every answer
of Crovver takes 100 ms. And what one tenant whose bursts never end, and one whose calls never end, cost the others.
"""

import contextlib
import itertools
import json
import math
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from tests.benchmarks.figures import Figure, Goal, figure
from tests.benchmarks.fleet import QUIET, Door, Fleet, event, fleet, fresh, joins, once
from tests.benchmarks.harness import Bench, Fsync

NAME = "Latency: from an event to the checkout call"

FSYNCS: tuple[Fsync, ...] = ("always", "everysec", "off")
CROVVER_SECONDS = 0.1


def latencies(running: Fleet, samples: int) -> list[float]:
    """Milliseconds of purchases one after another, at no regular times."""
    door, found = running.door(), []
    for _ in range(samples):
        found.append(once(running, door, f"sample_{next(fresh)}"))
        time.sleep(random.uniform(0.03, 0.09))
    return found


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[math.ceil(part * len(ordered)) - 1]


@contextlib.contextmanager
def meanwhile(*steps: Callable[[Door], float], door: Callable[[], Door]) -> Iterator[None]:
    """Take each step again and again, from a thread of its own, until the block ends; a step returns its pause."""
    over, troubles = threading.Event(), list[Exception]()

    def keep_on(step: Callable[[Door], float]) -> None:
        try:
            mine = door()
            while not over.wait(step(mine)):
                pass
        except Exception as error:
            troubles.append(error)

    threads = [threading.Thread(target=keep_on, args=(step,), daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    if troubles:
        raise troubles[0]


def reconciled_per_second(running: Fleet, tenants: int) -> float:
    """Tenants, all new, that are reconciled in a second, between the first tenth and the last.

    A tenant's first time is the dearest: its allocations and its credits are read.
    """
    door, crovver = running.door(), running.crovver
    before = crovver.reads
    for start in range(0, tenants, 200):
        names = [f"roomy_{next(fresh)}" for _ in range(start, min(start + 200, tenants))]
        door.post(json.dumps([event(name, f"user_{next(fresh)}") for name in names]).encode())
    marks = []
    deadline = time.monotonic() + 120
    for part in (0.1, 0.9):
        while crovver.reads - before < part * tenants:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{crovver.reads - before} of {tenants} reconciled within 120 s")
            time.sleep(0.002)
        marks.append((time.monotonic(), crovver.reads))
    (began, first), (ended, last) = marks
    return (last - first) / (ended - began)


def run(bench: Bench) -> list[Figure]:
    return [*_idle_and_loaded(bench), *_two_workers(bench), *_fairness(bench)]


def _idle_and_loaded(bench: Bench) -> list[Figure]:
    samples, cpu_seconds = bench.pick(150, 8), bench.pick(20.0, 2.0)
    tenants = bench.pick(1_500, 60)
    idle: dict[str, list[list[float]]] = {}
    loaded: dict[str, list[list[float]]] = {}
    cpu: dict[str, list[float]] = {"web": [], "scheduler": [], "worker": []}
    rates: list[float] = []
    with contextlib.ExitStack() as stack:
        fleets = {
            fsync: stack.enter_context(fleet(bench, stack.enter_context(bench.valkey(fsync)))) for fsync in FSYNCS
        }

        def quietly(fsync: Fsync) -> Callable[[], list[float]]:
            return lambda: latencies(fleets[fsync], samples)

        def under_load(fsync: Fsync) -> Callable[[], list[float]]:
            def measure() -> list[float]:
                rate = reconciled_per_second(fleets[fsync], tenants)
                rates.append(rate)
                time.sleep(QUIET)
                pause = 10 / (rate / 2)
                names = itertools.cycle(range(round(30 * rate)))

                def ten(door: Door) -> float:
                    began = time.monotonic()
                    events = [event(f"roomy_load_{next(names)}", f"user_{next(fresh)}") for _ in range(10)]
                    door.post(json.dumps(events).encode())
                    return max(0.0, pause - (time.monotonic() - began))

                with meanwhile(ten, door=fleets[fsync].door):
                    found = latencies(fleets[fsync], samples)
                time.sleep(QUIET)
                return found

            return measure

        for _ in range(bench.rounds):
            before = {name: one.cpu() for name, one in fleets["always"].processes.items()}
            began = time.monotonic()
            time.sleep(cpu_seconds)
            seconds = time.monotonic() - began
            for name, one in fleets["always"].processes.items():
                cpu[name].append(100 * (one.cpu() - before[name]) / seconds)
        idle = bench.interleave({fsync: quietly(fsync) for fsync in FSYNCS})
        loaded = bench.interleave({fsync: under_load(fsync) for fsync in FSYNCS})
    found = []
    load = f"beside {statistics.median(rates) / 2:.0f} events a second, each for another tenant"
    for state, given, goals, note in (("idle", idle, (30.0, 100.0), ""), ("half load", loaded, (None, None), load)):
        group = f"ms from POST /v1/events to the checkout call, {state}"
        for fsync in FSYNCS:
            for part, goal in zip((0.5, 0.99), goals, strict=True):
                wanted = Goal(most=goal) if goal is not None and fsync == "always" else None
                values = [percentile(one, part) for one in given[fsync]]
                name = f"appendfsync {fsync}, p{100 * part:.0f}"
                found.append(figure(group, name, values, "ms", goal=wanted, note=note))
    group = "% of a core that an idle process takes"
    return found + [figure(group, name, values, "%", goal=Goal(most=5.0)) for name, values in cpu.items()]


def _two_workers(bench: Bench) -> list[Figure]:
    tenants = bench.pick(1_200, 60)

    def with_workers(count: int) -> Callable[[], float]:
        def measure() -> float:
            with (
                bench.valkey("everysec") as server,
                fleet(bench, server, delay=CROVVER_SECONDS, workers=count) as running,
            ):
                return reconciled_per_second(running, tenants)

        return measure

    return bench.compare(
        "tenants/s reconciled where Crovver takes 100 ms",
        {"two workers": with_workers(2), "one worker": with_workers(1)},
        unit="tenants/s",
        against=["one worker"],
        goals={"two workers": {"one worker": Goal(least=1.6)}},
    )


def _fairness(bench: Bench) -> list[Figure]:
    samples, burst = bench.pick(150, 8), 100
    with bench.valkey("always") as server, fleet(bench, server) as running:

        def alone() -> list[float]:
            time.sleep(QUIET)
            return latencies(running, samples)

        def beside_others() -> list[float]:
            users = itertools.cycle(f"user_{number}" for number in range(500))

            def noisy(door: Door) -> float:
                door.post(json.dumps([event("roomy_and_noisy", next(users)) for _ in range(burst)]).encode())
                return 0.05

            def slow(door: Door) -> float:
                door.post(joins("slow", 1))
                return 0.2

            with meanwhile(noisy, slow, door=running.door):
                time.sleep(1.0)
                return latencies(running, samples)

        found = bench.interleave({"beside them": beside_others, "alone": alone})
    p99 = {name: [percentile(one, 0.99) for one in each] for name, each in found.items()}
    return bench.figures(
        "p99 of other tenants beside one with endless bursts and one whose calls hang",
        p99,
        unit="ms",
        against=["alone"],
        goals={"beside them": {"alone": Goal(most=2.0)}},
        notes={"beside them": f"bursts of {burst} events, 20 a second"},
    )
