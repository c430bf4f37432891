"""Growth: what events and looks cost as tenants, seats and rosters grow, and the memory that all of it takes.

The cost is processor time, of the engine and of its Valkey, in one process with a Crovver that answers at once in it.
All sizes stand side by side on servers of their own and are visited in turn. An event is one of ten that come in at
once for a tenant, about ten users of its roster, right after a look; a look is what a hint causes. Each size is
compared with the smallest: flat is 1.
"""

import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.crovver import API_KEY
from tests.benchmarks.engine import Core, Crovver
from tests.benchmarks.harness import Bench, Figure, Goal, Valkey, figure, pinned
from worker.core.facts import HintFact, Membership, UserFact
from worker.store.keys import Keys

NAME = "growth: cost of an event and of a look, bytes kept, memory of the processes"

EVENTS = 10
FLAT = Goal(most=1.3)
TENANT = "workspace_000000"
EMAIL, PERSON = "user_00000000@acme.io", "Ada Byron"
ENTRY_BYTES = Goal(most=250)


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of processor time for an event and for a look."""

    event_worker: float
    event_server: float
    look_worker: float
    look_server: float


def run(bench: Bench) -> list[Figure]:
    return [
        *_costs(bench, "tenants", bench.pick([100, 1_000, 10_000, 100_000], [20, 40]), _many_tenants),
        *_costs(bench, "seats of a tenant", bench.pick([10, 100, 1_000, 10_000, 100_000], [10, 40]), _large_tenant),
        *_costs(
            bench, "removed users remembered", bench.pick([1_000, 10_000, 100_000, 1_000_000], [20, 40]), _long_past
        ),
        *_bytes(bench),
        *([] if bench.small else _processes(bench)),
    ]


class Site:
    """A deployment of one size. ``tenants`` are those that are visited, ``users`` whom events of each are about."""

    def __init__(self, server: Valkey, core: Core, tenants: Sequence[str], users: Sequence[str]) -> None:
        self.core = core
        self._server = server
        self._tenants, self._users = tenants, users
        self._chance = random.Random(1)
        self._serial = 0

    def visit(self, times: int) -> Cost:
        """What an event and a look cost here just now."""
        looks, events = [0.0, 0.0], [0.0, 0.0]
        tenants = [self._chance.choice(self._tenants) for _ in range(times)]
        for tenant in tenants:
            self.core.accept({tenant: [HintFact("benchmark", time.time_ns() // 1000, self._ident())]})
            self._add(looks, tenant)
            self.core.accept({tenant: self._news()})
            self._add(events, tenant)
        each = times * EVENTS
        return Cost(events[0] / each, events[1] / each, looks[0] / times, looks[1] / times)

    def _news(self) -> list[UserFact]:
        at = time.time_ns() // 1000
        users = self._chance.sample(self._users, EVENTS)
        return [UserFact(user, Membership.ADDED, at, self._ident(), f"{user}@acme.io", PERSON) for user in users]

    def _add(self, sums: list[float], tenant: str) -> None:
        wake = self.core.hold(tenant)
        asking = -self._server.cpu() + self._server.cpu()
        served, used = self._server.cpu(), time.process_time()
        self.core.reconcile(wake)
        sums[0] += 1e6 * (time.process_time() - used)
        sums[1] += 1e6 * max(self._server.cpu() - served - asking, 0.0)

    def _ident(self) -> str:
        self._serial += 1
        return f"evt_{self._serial:016x}"


Build = Callable[[Valkey, int], Site]


def users(count: int) -> list[str]:
    return [f"user_{number:08}" for number in range(count)]


def _many_tenants(server: Valkey, size: int) -> Site:
    """So many tenants with ten seats each."""
    seats = users(10)
    core = Core(server.url, Crovver(lambda tenant: seats))
    names = [f"workspace_{number:06}" for number in range(size)]
    core.mark_due(names)
    core.work_off()
    return Site(server, core, names, seats)


def _large_tenant(server: Valkey, size: int) -> Site:
    """A tenant with so many seats."""
    seats = users(size)
    core = Core(server.url, Crovver(lambda tenant: seats))
    core.mark_due([TENANT])
    core.work_off()
    return Site(server, core, [TENANT], seats)


def _long_past(server: Valkey, size: int) -> Site:
    """A tenant of 100 seats that so many users have left."""
    seats = users(100)
    core = Core(server.url, Crovver(lambda tenant: seats))
    at = time.time_ns() // 1000 - 10**9
    for start in range(0, size, 50_000):
        left = [f"gone_{number:08}" for number in range(start, min(start + 50_000, size))]
        core.accept({TENANT: [UserFact(user, Membership.REMOVED, at, f"evt_{user}") for user in left]})
        core.work_off()
    return Site(server, core, [TENANT], seats)


def _costs(bench: Bench, along: str, sizes: Sequence[int], build: Build) -> list[Figure]:
    with contextlib.ExitStack() as stack:
        variants: dict[str, Callable[[], Cost]] = {}
        stack.enter_context(pinned(bench.work_core))
        for size in sizes:
            site = build(stack.enter_context(bench.valkey()), size)
            stack.callback(site.core.close)
            site.visit(3)
            bench.say(f"  there are {size:,} {along}")
            variants[str(size)] = functools.partial(site.visit, bench.pick(50, 5))
        samples = bench.interleave(variants)
    found = []
    for what in ("event", "look"):
        group = f"Cost of {'an event' if what == 'event' else 'a look'}, by {along}"
        for line, parts in (("both", ("worker", "server")), ("worker", ("worker",)), ("Valkey", ("server",))):
            lines = {
                size: [sum(float(getattr(cost, f"{what}_{part}")) for part in parts) for cost in costs]
                for size, costs in samples.items()
            }
            smallest = str(sizes[0])
            for size in sizes:
                flat = {smallest: lines[smallest]} if size != sizes[0] and line == "both" else None
                goals = {smallest: FLAT} if what == "event" else None
                found.append(
                    figure(group, line, lines[str(size)], "µs", against=flat, goals=goals, at=size, along=along)
                )
    return found


def _bytes(bench: Bench) -> Iterator[Figure]:
    """What is kept of a roster entry, of a tenant without any, and of a journal entry."""
    group = "Bytes of Redis"
    large, few = bench.pick(10_000, 1_000), bench.pick(100, 50)
    entry = f"an id of {len(users(1)[0])} characters, an e-mail of {len(EMAIL)}, a name of {len(PERSON)}"
    for name, seated, said, size in (
        ("user with a seat, large roster", True, True, large),
        ("user without a seat, large roster", False, True, large),
        ("user with a seat, small roster", True, True, few),
        ("user Crovver lists, of whom nothing was said", True, False, large),
    ):
        with bench.valkey() as server:
            seats = users(size)
            listed = tuple(seats) if seated else ()
            with Core(server.url, Crovver(functools.partial(_same, listed))) as core:
                at = time.time_ns() // 1000
                facts = [
                    UserFact(u, Membership.ADDED, at, f"evt_{n:016x}", f"{u}@acme.io", PERSON)
                    for n, u in enumerate(seats)
                ]
                core.accept({TENANT: facts if said else []})
                core.mark_due([TENANT])
                core.work_off()
            value = _usage(server, "roster", "missing", "orphaned", "gone", "removed") / size
            yield figure(group, name, [value], "bytes", goal=ENTRY_BYTES, note=f"{size:,} users, {entry}")
    count = bench.pick(1_000, 50)
    with bench.valkey() as server:
        empty = server.dataset()
        with Core(server.url) as core:
            core.mark_due([f"workspace_{number:06}" for number in range(count)])
            core.work_off()
        value = (server.dataset() - empty) / count
        yield figure(group, "tenant without users", [value], "bytes", note="its record, journal and places in lists")
    entries = bench.pick(900, 20)
    with bench.valkey() as server, Core(server.url) as core:
        core.mark_due([TENANT])
        core.work_off()
        before, length = _usage(server, "journal"), server.client.xlen(Keys("seats").journal(TENANT))
        for number in range(entries):
            core.accept({TENANT: [HintFact("operator", number, f"hint_{number}")]})
            core.work_off()
        written = server.client.xlen(Keys("seats").journal(TENANT)) - length
        value = (_usage(server, "journal") - before) / written
        yield figure(group, "journal entry of one hint", [value], "bytes")
        events = [UserFact(user, Membership.ADDED, 1, f"evt_{user}") for user in users(200)]
        before = _usage(server, "journal")
        core.accept({TENANT: events})
        core.work_off()
        value = (_usage(server, "journal") - before) / len(events)
        yield figure(group, "event, in the journal", [value], "bytes", note="200 of them in one entry")


def _same(users: Sequence[str], tenant: str) -> Sequence[str]:
    """The same users of every tenant."""
    return users


def _usage(server: Valkey, *names: str) -> int:
    """Bytes of some of the tenant's keys."""
    prefix = Keys("seats").tenant(TENANT)
    return sum(int(server.client.memory_usage(prefix + name, samples=0) or 0) for name in names)


def _processes(bench: Bench) -> Iterator[Figure]:
    """Memory of each process that has nothing to do, over an empty server and over one of many tenants."""
    settings = {"SEATS_CROVVER_BASE_URL": "http://127.0.0.1:9", "SEATS_CROVVER_API_KEY": API_KEY}
    for title, build in (("nothing kept", None), ("100,000 tenants", functools.partial(_many_tenants, size=100_000))):
        with bench.valkey() as server:
            if build is not None:
                with pinned(bench.work_core):
                    build(server).core.close()
            for name, word in (("web", "web ready"), ("worker", "worker ready"), ("scheduler", "scheduler ready")):
                arguments = [name, "--port", "0"] if name == "web" else [name]
                with bench.seats(*arguments, SEATS_REDIS_URL=server.url, **settings) as process:
                    process.wait_for(word)
                    time.sleep(3)
                    yield figure(f"Memory of a process, {title}", name, [process.rss() / 2**20], "MiB")
            if build is not None:
                used = server.used_memory()
                yield figure(f"Memory of a process, {title}", "Valkey's data", [used / 2**20], "MiB")
