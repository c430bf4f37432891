"""Take in: events/s from the door to the durable inbox, over HTTP and by ``SeatEvents``.

Single events over HTTP stand against the least a web process can do: a bare Starlette handler on the same uvicorn that
makes one Redis call. Batches over HTTP stand for themselves, with the processor time that each event takes of the web
process and of Valkey. ``SeatEvents`` stands against ceilings that are sent from raw sockets, made beforehand: RPUSH
pipelined, and the script that appends, called with a thousand facts.

Whoever takes events in has one core, and Valkey, which appends to its file and syncs it every second, the other one,
together with the load generator.
"""

import functools
import json
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from tests.benchmarks.harness import Bench, Figure, Goal, Process, Valkey, pinned
from tests.benchmarks.load import drive, post
from tests.benchmarks.workload import Workload, cloud_event, event_size
from worker.core.facts import UserFact
from worker.publisher import SeatEvents
from worker.store.codec import encode_fact
from worker.store.inbox import append_calls, delivery
from worker.store.keys import Keys
from worker.store.scripts import digest, source

NAME = "take in: events/s into the durable inbox, one core for whoever takes them in, one for Valkey (AOF everysec)"

TOKEN = "ingest-token-of-the-benchmarks"
BATCH = 1_000
BATCH_CONNECTIONS = 4

Events = Sequence[tuple[str, UserFact]]


def run(bench: Bench) -> list[Figure]:
    with (
        bench.valkey() as server,
        bench.seats("web", "--port", "0", SEATS_REDIS_URL=server.url, SEATS_INGEST_TOKENS=TOKEN) as web,
        bench.started("tests.benchmarks.peers.bare_web", settings={"BENCH_REDIS_URL": server.url}) as bare,
    ):
        web.wait_for("web ready")
        bare.wait_for("Uvicorn running")
        found = [*_singles(bench, server, _port_of(web), _port_of(bare)), *_batches(bench, server, web)]
    with bench.valkey() as server:
        return [*found, *_seat_events(bench, server)]


# -- over HTTP --------------------------------------------------------------------------------------------------------


def _singles(bench: Bench, server: Valkey, ours: int, bare: int) -> list[Figure]:
    requests = [post("/v1/events", TOKEN, _json(cloud_event(*event))) for event in _events(50, 500)]
    found: list[Figure] = []
    for connections in (1, 32):
        variants = {
            "POST /v1/events": functools.partial(_rate, bench, server, ours, requests, connections),
            "bare handler, one RPUSH": functools.partial(_rate, bench, server, bare, requests, connections),
        }
        title = f"HTTP, one event a request, {connections} connection{'s' if connections > 1 else ''}"
        goals = {"POST /v1/events": {"bare handler, one RPUSH": Goal(least=0.8)}}
        found += bench.compare(title, variants, unit="events/s", against=["bare handler, one RPUSH"], goals=goals)
    return found


def _rate(bench: Bench, server: Valkey, port: int, requests: Sequence[bytes], connections: int) -> float:
    _make_room(server)
    with pinned(bench.server_core):
        return drive(port, requests, connections, bench.pick(2.0, 0.1)).rate


@dataclass(frozen=True, slots=True)
class _Took:
    """Of one variant in one round: events/s, and microseconds of processor time for each."""

    rate: float
    web: float
    server: float


def _batches(bench: Bench, server: Valkey, web: Process) -> list[Figure]:
    variants: dict[str, Callable[[], _Took]] = {}
    for tenants in (1, 100, 1_000):
        # Each request is about tenants of its own, so that no inbox comes to its limit.
        events = _events(tenants * 20, 20 * BATCH)
        names = {f"workspace_{number:06}": number // tenants for number in range(tenants * 20)}
        bodies: list[list[Any]] = [[] for _ in range(20)]
        for tenant, fact in events:
            bodies[names[tenant]].append(cloud_event(tenant, fact))
        requests = [post("/v1/events", TOKEN, _json(body)) for body in bodies]
        label = f"of {tenants:,} tenant{'s' if tenants > 1 else ''}"
        variants[label] = functools.partial(_batch_round, bench, server, web, requests)
    samples = bench.interleave(variants)
    title = f"HTTP, batches of {BATCH:,} events, {event_size()} bytes each"
    rates = {name: [took.rate for took in each] for name, each in samples.items()}
    goals = {name: Goal(least=100_000) for name in samples}
    found = [_own_goal(one, goals[one.name]) for one in bench.figures(title, rates, unit="events/s")]
    for side, who in (("web", "the web process"), ("server", "Valkey")):
        used = {name: [getattr(took, side) for took in each] for name, each in samples.items()}
        found += bench.figures(f"Processor time of {who}, batches of {BATCH:,} events", used, unit="µs/event")
    return found


def _batch_round(bench: Bench, server: Valkey, web: Process, requests: Sequence[bytes]) -> _Took:
    _make_room(server)
    web_before, server_before = web.cpu(), server.cpu()
    with pinned(bench.server_core):
        load = drive(_port_of(web), requests, BATCH_CONNECTIONS, bench.pick(3.0, 0.2))
    events = max(load.requests, 1) * BATCH
    return _Took(
        load.rate * BATCH, 1e6 * (web.cpu() - web_before) / events, 1e6 * (server.cpu() - server_before) / events
    )


def _own_goal(one: Figure, goal: Goal) -> Figure:
    return Figure(one.group, one.name, one.value, one.unit, one.low, one.high, one.rounds, one.ratios, goal)


def _port_of(web: Process) -> int:
    found = re.search(r"http://127\.0\.0\.1:(\d+)", web.log())
    if found is None:
        raise RuntimeError("the web process does not say where it is")
    return int(found[1])


# -- SeatEvents -------------------------------------------------------------------------------------------------------


def _seat_events(bench: Bench, server: Valkey) -> list[Figure]:
    count = bench.pick(5_000, 200)
    singles = _events(50, count)
    many = _events(100, bench.pick(50_000, BATCH))
    batches = [many[start : start + BATCH] for start in range(0, len(many), BATCH)]
    with SeatEvents.from_url(server.url) as seats, redis.Redis.from_url(server.url) as client:
        for name in ("append", "mark_due"):
            client.script_load(source(name))
        one_by_one = {
            "SeatEvents.user_added": functools.partial(_timed, bench, server, count, lambda: _publish(seats, singles)),
            "redis-py, one RPUSH": functools.partial(_timed, bench, server, count, lambda: _push(client, singles)),
        }
        found = bench.compare(
            "SeatEvents, one event a call", one_by_one, unit="events/s", against=["redis-py, one RPUSH"]
        )
        events = [cloud_event(tenant, fact) for tenant, fact in many]
        pushed = [_wire(_pushes(batch)) for batch in batches]
        called = [_wire(_calls(batch)) for batch in batches]
        in_batches = {
            "SeatEvents.publish": functools.partial(_timed, bench, server, len(many), lambda: seats.publish(events)),
            "RPUSH pipelined, raw": functools.partial(_timed, bench, server, len(many), lambda: _send(server, pushed)),
            "the script, raw": functools.partial(_timed, bench, server, len(many), lambda: _send(server, called)),
        }
        return [
            *found,
            *bench.compare(
                "SeatEvents, batches of 1,000 events of 100 tenants", in_batches, unit="events/s",
                against=["RPUSH pipelined, raw", "the script, raw"],
            ),
        ]  # fmt: skip


def _timed(bench: Bench, server: Valkey, events: int, send: Callable[[], object]) -> float:
    _make_room(server)
    with pinned(bench.work_core):
        began = time.perf_counter()
        send()
        return events / (time.perf_counter() - began)


def _publish(seats: SeatEvents, events: Events) -> None:
    for tenant, fact in events:
        seats.user_added(tenant, fact.user, fact.email, fact.name, fact.id)


def _push(client: "redis.Redis", events: Events) -> None:
    for tenant, fact in events:
        client.rpush(f"seats:{{t:{tenant}}}:inbox", encode_fact(fact))


def _pushes(events: Events) -> Iterable[tuple[bytes, ...]]:
    for tenant, fact in events:
        yield b"RPUSH", Keys("seats").inbox(tenant).encode(), encode_fact(fact)


def _calls(events: Events) -> Iterable[tuple[bytes, ...]]:
    """What ``SeatEvents`` sends for the events."""
    by_tenant: dict[str, list[UserFact]] = {}
    for tenant, fact in events:
        by_tenant.setdefault(tenant, []).append(fact)
    appends, marks = append_calls(Keys("seats"), [delivery(Keys("seats"), by_tenant, 2_000_000)])
    for call in [*appends, *marks]:
        words = [digest(call.script), len(call.keys), *call.keys, *call.args]
        yield b"EVALSHA", *(word if isinstance(word, bytes) else str(word).encode() for word in words)


@dataclass(frozen=True, slots=True)
class _Wire:
    """Commands as bytes, and how many they are."""

    text: bytes
    commands: int


def _wire(commands: Iterable[tuple[bytes, ...]]) -> _Wire:
    given = list(commands)
    lines = [b"*%d\r\n%s" % (len(one), b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in one)) for one in given]
    return _Wire(b"".join(lines), len(given))


def _send(server: Valkey, wires: Sequence[_Wire]) -> None:
    """Send commands, one wire after the other's replies. Every reply has whole numbers alone."""
    host, port = server.url.removeprefix("redis://").partition("/")[0].split(":")
    with socket.create_connection((host, int(port))) as opened:
        for wire in wires:
            opened.sendall(wire.text)
            open_items = wire.commands
            rest = b""
            while open_items:
                *lines, rest = (rest + opened.recv(1 << 20)).split(b"\r\n")
                for line in lines:
                    if line.startswith(b"-"):
                        raise RuntimeError(line.decode())
                    open_items += int(line[1:]) - 1 if line.startswith(b"*") else -1


# -- both -------------------------------------------------------------------------------------------------------------


def _events(tenants: int, count: int) -> list[tuple[str, UserFact]]:
    """Events, tenants by turns."""
    return list(Workload(tenants, -(-count // tenants)).messages())[:count]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _make_room(server: Valkey) -> None:
    """Delete all tenants and what the peer has written. The rest stays: a web process watches what state this is."""
    for pattern in ("seats:{t:*", "seats:{index}:*", "bare"):
        for names in _chunks(server.client.scan_iter(match=pattern, count=1_000)):
            server.client.unlink(*names)


def _chunks(names: Iterable[bytes]) -> Iterable[list[bytes]]:
    found: list[bytes] = []
    for name in names:
        found.append(name)
        if len(found) == 1_000:
            yield found
            found = []
    if found:
        yield found
