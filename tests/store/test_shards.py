"""The index on a cluster: many shards that together are what one index is on one server."""

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from tests.web.site import an_upgrade
from worker.core.facts import HintFact
from worker.core.tenant import Status
from worker.core.times import SECOND
from worker.core.upgrade import State
from worker.store import ranks
from worker.store.errors import StoreBroken
from worker.store.interface import Order, Store, Wake
from worker.store.keys import CLUSTER_SHARDS, Keys
from worker.store.kinds import index_kinds, misfits
from worker.store.memory import MemoryStore
from worker.store.merging import first_members
from worker.store.redis_store import RedisStore
from worker.store.scripts import Arg, Call, Scripts, command

KEYS = Keys("seats", CLUSTER_SHARDS)
OF_SHARD = {KEYS.shard(name): name for name in (f"t{number}" for number in range(199, -1, -1))}
"""A tenant of each shard."""

Scenario = Callable[[RedisStore], Awaitable[None]]
Play = Callable[[Scenario], None]

_namespaces = (f"shards{number}" for number in itertools.count())


@pytest.fixture
def on_cluster(cluster: str) -> Play:
    """Plays a scenario on a store with nothing in it."""

    def play(scenario: Scenario) -> None:
        async def main() -> None:
            store = RedisStore.from_url(cluster, next(_namespaces), min_replicas=0)
            try:
                async with asyncio.timeout(30):
                    await scenario(store)
            finally:
                await store.aclose()

        asyncio.run(main())

    return play


def test_the_names_of_keys_are_for_good() -> None:
    """A state that was written by one release is read by the next."""
    assert Keys("seats").index("due") == "seats:{index}:due"
    assert Keys("seats").index_of("acme", "due") == "seats:{index}:due"
    assert KEYS.index_of("acme", "due") == "seats:{index:14}:due"
    assert [KEYS.shard(name) for name in ("acme", "workspace_123", "ü", "a{b}")] == [14, 14, 5, 15]
    with pytest.raises(ValueError, match="say which"):
        KEYS.index("due")


@pytest.mark.parametrize(("primaries", "most"), [(2, 8), (3, 6), (4, 4), (6, 4), (8, 3)])
def test_shards_are_in_slots_of_their_own_which_primaries_share(primaries: int, most: int) -> None:
    slots = [key_slot(key.encode()) for key in KEYS.indexes("due")]
    assert len(set(slots)) == CLUSTER_SHARDS
    on_each = Counter(slot * primaries // 16384 for slot in slots)
    assert (len(on_each), max(on_each.values())) == (primaries, most)


def test_tenants_are_spread_evenly() -> None:
    for pattern in ("t{}", "tenant-{:06}", "workspace_{}@example.com"):
        shares = Counter(KEYS.shard(pattern.format(number)) for number in range(16_000))
        assert min(shares.values()) > 900
        assert max(shares.values()) < 1100


def test_due_tenants_of_all_shards_are_claimed_and_of_each_the_oldest_first(on_cluster: Play) -> None:
    async def scenario(store: RedisStore) -> None:
        names = [f"t{number:03}" for number in range(160)]
        random.Random(5).shuffle(names)
        for start in range(0, 160, 20):  # the first 20 are due longest
            await store.mark_due(names[start : start + 20], delay=(start - 200) * SECOND)
        claimed: list[str] = []
        while wakes := (await store.claim_due(21, 60 * SECOND)).wakes:
            assert len(wakes) == min(21, 160 - len(claimed)), "no fewer than could be"
            claimed += [wake.tenant for wake in wakes]
        assert sorted(claimed) == sorted(names)
        age = {name: number // 20 for number, name in enumerate(names)}
        for shard in range(CLUSTER_SHARDS):
            ages = [age[name] for name in claimed if KEYS.shard(name) == shard]
            assert ages == sorted(ages)

    on_cluster(scenario)


def test_a_noisy_shard_keeps_no_other_waiting(on_cluster: Play) -> None:
    """One shard always has more that are due for longer; each tenant of the others has its turn in a revolution."""

    async def scenario(store: RedisStore) -> None:
        noisy = [name for name in (f"n{number}" for number in range(2000)) if KEYS.shard(name) == 0][:60]
        await store.mark_due(noisy, delay=-100 * SECOND)
        quiet = {OF_SHARD[shard] for shard in range(1, CLUSTER_SHARDS)}
        await store.mark_due(quiet)
        claims = [(await store.claim_due(1, 60 * SECOND)).wakes for _ in range(CLUSTER_SHARDS)]
        assert all(len(wakes) == 1 for wakes in claims)
        assert quiet <= {wakes[0].tenant for wakes in claims}
        assert len((await store.claim_due(59, 60 * SECOND)).wakes) == 59, "what others do not need is its"
        assert (await store.claim_due(59, 60 * SECOND)).next_in is not None

    on_cluster(scenario)


def test_the_next_look_is_the_earliest_of_all_shards(on_cluster: Play) -> None:
    async def scenario(store: RedisStore) -> None:
        assert (await store.claim_due(9, SECOND)).next_in is None
        await store.mark_due([OF_SHARD[3]], delay=3600 * SECOND)
        await store.mark_due([OF_SHARD[9]], delay=60 * SECOND)
        next_in = (await store.claim_due(9, SECOND)).next_in
        assert next_in is not None
        assert 50 * SECOND < next_in <= 60 * SECOND

    on_cluster(scenario)


def test_a_shard_that_can_not_be_used_keeps_no_other_waiting(on_cluster: Play) -> None:
    async def scenario(store: RedisStore) -> None:
        await store.mark_due(OF_SHARD.values())
        await store.scripts.run(command("SET", store.keys.index("due", 5), "a string"))
        wakes = (await store.claim_due(100, 60 * SECOND)).wakes
        assert {wake.tenant for wake in wakes} == {name for shard, name in OF_SHARD.items() if shard != 5}
        with pytest.raises(StoreBroken):
            await store.claim_due(100, 60 * SECOND)
        key = store.keys.index("due", 5)
        assert await misfits(store.scripts, index_kinds(store.keys)) == [f"{key} is a string, not a zset"]

    on_cluster(scenario)


def test_the_bell_of_every_shard_wakes_a_sleeper_and_no_ring_is_lost(on_cluster: Play) -> None:
    async def scenario(store: RedisStore) -> None:
        loop = asyncio.get_running_loop()
        for tenant in OF_SHARD.values():
            started = loop.time()
            sleeping = asyncio.create_task(store.wait_bell(20))
            await asyncio.sleep(0.01)
            await store.append({tenant: [HintFact("operator", 1, "hint")]}, settle=60 * SECOND)
            await sleeping
            await store.finish(Wake(tenant, ""), 1, Status.OK, [])  # rings while nobody sleeps
            await store.wait_bell(20)
            assert loop.time() - started < 5
        await store.wait_bell(0.05)

    on_cluster(scenario)


IDS = st.text(alphabet="ab/ü[(-\U0001f600", min_size=1, max_size=3)
Row = tuple[str, Status, float | None]
LISTED: st.SearchStrategy[list[Row]] = st.lists(
    st.tuples(IDS, st.sampled_from([Status.OK, Status.EXCEEDED]), st.sampled_from([None, 50.0, 133.3, 100.0])),
    max_size=24,
)


def test_lists_are_those_of_one_index(cluster: str) -> None:
    """As many random fleets as ``SHARDS_EXAMPLES`` says, 12 by default."""

    @given(LISTED, IDS, st.integers(0, 24), st.integers(1, 7), st.integers(3, 6))
    @settings(max_examples=int(os.environ.get("SHARDS_EXAMPLES", "12")), deadline=None)
    def check(fleet: list[Row], prefix: str, offset: int, limit: int, size: int) -> None:
        store.keys = Keys(next(_namespaces), CLUSTER_SHARDS)
        runner.run(compare_lists(store, fleet, prefix, offset, limit, size))

    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "FROM_THE_START", 1)
        patch.setattr(ranks, "NARROW", 3)
        store = RedisStore.from_url(cluster, min_replicas=0)
        check()
        runner.run(store.aclose())


async def compare_lists(
    store: RedisStore, fleet: Sequence[Row], prefix: str, offset: int, limit: int, size: int
) -> None:
    clock = itertools.count(1)
    memory = MemoryStore(lambda: next(clock))
    for number, (name, status, full) in enumerate(fleet):
        upgrades = [an_upgrade(f"upg_{name}_{number % 2}", State.UNKNOWN, created_at=len(name))]
        for one in (memory, store):
            await one.finish(Wake(name, ""), 1, status, upgrades, full)
    kinds = (None, Status.OK)
    for order, kind in itertools.product(Order, kinds):
        wanted: dict[str, Any] = {
            "status": kind, "prefix": prefix if order is Order.ID and offset % 2 else "",
            "order": order, "offset": offset, "limit": limit,
        }  # fmt: skip
        expected, found = await memory.find_tenants(**wanted), await store.find_tenants(**wanted)
        assert found.total == expected.total
        assert [(row.tenant, row.status) for row in found.rows] == [(row.tenant, row.status) for row in expected.rows]
    for kind in kinds:
        assert await _walked(store, kind, size) == await _walked(memory, kind, size)
    for state in (None, State.UNKNOWN):
        assert await _upgrades(store, state, size) == await _upgrades(memory, state, size)
    assert await store.tenant_count() == await memory.tenant_count()
    last: str | None = None
    while True:
        expected_last = await memory.adopt(last, size)
        assert await store.adopt(last, size) == expected_last
        if (last := expected_last) is None:
            break


async def _walked(store: Store, status: Status | None, size: int) -> list[str]:
    seen: list[str] = []
    while page := await store.tenants(status, seen[-1] if seen else None, size):
        seen += [row.tenant for row in page]
    return seen


async def _upgrades(store: Store, state: State | None, size: int) -> list[tuple[str, str]]:
    rows, cursor = await store.upgrades(state, None, size)
    seen = list(rows)
    while cursor is not None:
        rows, cursor = await store.upgrades(state, cursor, size)
        seen += rows
    return [(row.upgrade, row.tenant) for row in seen]


@pytest.mark.parametrize("limit", [1, 7, 12, 20, 64, 65, 100])
def test_members_of_shards_that_differ_in_size_come_in_order(limit: int) -> None:
    members = {"few": [b"m%03d" % number for number in range(0, 60, 15)], "none": []}
    members["many"] = [name for name in (b"m%03d" % number for number in range(60)) if name not in members["few"]]

    def answer(key: Arg, start: Arg, count: Arg) -> list[bytes]:
        after = start[1:] if isinstance(start, bytes) else b""
        return [name for name in members[str(key)] if name > after][: int(count)]

    async def ask(calls: Sequence[Call]) -> list[Any]:
        return [answer(call.args[1], call.args[2], call.args[-1]) for call in calls]

    found = asyncio.run(first_members(ask, list(members), "-", limit))
    assert found == sorted(itertools.chain(*members.values()))[:limit]


def test_upgrades_of_the_same_time_are_each_met_once(on_cluster: Play) -> None:
    async def scenario(store: RedisStore) -> None:
        expected = []
        for tenant, most in ((OF_SHARD[2], 30), (OF_SHARD[3], 5), (OF_SHARD[4], 12)):
            names = [f"upg_{number}_{tenant}" for number in range(most)]
            upgrades = [an_upgrade(name, State.EXPIRED, created_at=7) for name in names]
            await store.finish(Wake(tenant, ""), 1, Status.OK, upgrades)
            expected += [(name, tenant) for name in names]
        for size in (4, 5, 47, 48):
            assert await _upgrades(store, None, size) == sorted(expected, reverse=True)

    on_cluster(scenario)


def flat(pairs: Iterable[tuple[Arg, Arg]]) -> Iterable[Arg]:
    return itertools.chain.from_iterable(pairs)


def test_the_last_page_of_many_tenants_costs_little_more_than_the_first(
    on_cluster: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in rounds of calls and in tenants that are read, with lists that are nothing but ties among them."""
    fleet = 20_000
    rounds: list[int] = []
    batch = Scripts.try_batch

    async def counted(self: Scripts, calls: Sequence[Call]) -> list[Any]:
        replies = await batch(self, calls)
        rounds.append(sum(len(reply) // 4 for call, reply in zip(calls, replies, strict=True) if "list" in call.script))
        return replies

    async def scenario(store: RedisStore) -> None:
        draw = random.Random(7)
        full = {f"tenant-{number}": draw.choice([-1.0, 50.0, 90.0]) for number in range(fleet)}
        for shard, names in store.keys.by_shard(full).items():
            index = {name: store.keys.index(name, shard) for name in ("tenants", "fullness", "since", "statuses")}
            await store.scripts.batch(
                [
                    command("ZADD", index["tenants"], *flat((0, name) for name in names)),
                    command("ZADD", index["fullness"], *flat((full[name], name) for name in names)),
                    command("ZADD", index["since"], *flat((7, name) for name in names)),
                    command("HSET", index["statuses"], *flat((name, "ok") for name in names)),
                ]
            )
        in_order = {
            Order.ID: sorted(full),
            Order.FULLEST: sorted(full, key=lambda name: (full[name], name), reverse=True),
            Order.CHANGED: sorted(full, reverse=True),
        }
        monkeypatch.setattr(Scripts, "try_batch", counted)
        for order, expected in in_order.items():
            for offset in (0, 100, 101, draw.randrange(fleet), fleet // 2, fleet - 50, fleet - 1, fleet):
                rounds.clear()
                found = await store.find_tenants(status=None, prefix="", order=order, offset=offset, limit=50)
                assert found.total == fleet
                assert [row.tenant for row in found.rows] == expected[offset : offset + 50]
                assert len(rounds) <= 8, f"{order} {offset}: {rounds}"
                assert sum(rounds) <= 3 * ranks.NARROW + 150 * CLUSTER_SHARDS, f"{order} {offset}: {rounds}"
        some = [name for name in in_order[Order.ID] if name.startswith("tenant-17")]
        found = await store.find_tenants(status=None, prefix="tenant-17", order=Order.ID, offset=777, limit=3)
        assert (found.total, [row.tenant for row in found.rows]) == (len(some), some[777:780])
        assert await _walked(store, None, 2_000) == in_order[Order.ID]

    on_cluster(scenario)


def test_an_index_in_one_slot_is_taken_over(on_cluster: Play) -> None:
    async def scenario(store: RedisStore) -> None:
        sharded, now = store.keys, await store.now()
        store.keys = Keys(sharded.namespace)
        for number in range(30):
            states = (State.UNKNOWN, State.EXPIRED)
            upgrades = [an_upgrade(f"upg_{number}_{one}", states[one], created_at=number) for one in range(2)]
            status = Status.EXCEEDED if number % 3 else Status.OK
            await store.finish(Wake(f"t{number}", ""), now + 3600 * SECOND, status, upgrades, 10.0 * number)
        await store.mark_due(["t1"])
        (leased,) = (await store.claim_due(9, 3600 * SECOND)).wakes
        await store.append({"t2": [HintFact("operator", 1, "h")], "new": [HintFact("operator", 1, "h")]})
        kinds: tuple[Any, ...] = (None, Status.OK, Status.EXCEEDED)
        before = [await _walked(store, status, 50) for status in kinds]
        upgrades_before = [await _upgrades(store, state, 50) for state in (None, State.UNKNOWN, State.EXPIRED)]
        fullest = await store.find_tenants(status=None, prefix="", order=Order.FULLEST, offset=0, limit=50)

        store.keys = sharded
        # Somebody has reconciled this one since, whose record has long dropped an upgrade that is listed.
        await store.finish(Wake("t3", ""), now + 3600 * SECOND, Status.OK, [an_upgrade("upg_3_0", State.CONFIRMED)])
        await store.finish(Wake("t3", ""), now + 3600 * SECOND, Status.OK, [], 30.0)
        # And a process of the earlier release, that goes on for a while, has taken a fact about this one.
        await store.finish(Wake("t4", ""), now + 3600 * SECOND, Status.EXCEEDED, [], 40.0)
        store.keys = Keys(sharded.namespace)
        await store.append({"t4": [HintFact("operator", 1, "h")]}, settle=SECOND // 10)
        store.keys = sharded
        assert await store.adopt(None, 100) is None
        assert [await _walked(store, status, 50) for status in kinds] == before
        rows = (await store.find_tenants(status=None, prefix="", order=Order.FULLEST, offset=0, limit=50)).rows
        assert [row.tenant for row in rows] == [row.tenant for row in fullest.rows]
        moved = ("upg_3_0", "t3")
        for state, expected in zip((None, State.UNKNOWN, State.EXPIRED), upgrades_before, strict=True):
            found = await _upgrades(store, state, 50)
            assert set(found) == set(expected) - ({moved} if state is State.UNKNOWN else set())
        assert await store.owner("upg_29_1") == "t29"
        await asyncio.sleep(0.1)
        claimed = await store.claim_due(50, 3600 * SECOND)
        assert {wake.tenant for wake in claimed.wakes} == {leased.tenant, "t2", "new", "t4"}
        assert claimed.next_in is not None
        assert 3500 * SECOND < claimed.next_in <= 3600 * SECOND
        left = await store.scripts.run(command("KEYS", sharded.unsharded("*").replace("{", "\\{")))
        assert left == []

    on_cluster(scenario)
