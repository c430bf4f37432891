"""Counts of processes and the census, on every store there is."""

import asyncio

import pytest

from tests.store.conftest import Play
from worker.core.facts import HintFact, PaymentEvent, PaymentFact
from worker.core.tenant import Status, Tenant
from worker.core.upgrade import State, Upgrade
from worker.store import meters
from worker.store.codec import encode_fact
from worker.store.interface import Commit, Store, Wake
from worker.store.redis_store import RedisStore
from worker.store.scripts import command

ON_REDIS = pytest.mark.parametrize("play", ["valkey", "redis", "cluster"], indirect=True)
"""For what only the stores that hold text can tell."""


def test_counts_of_all_sources_add_up(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert await store.counts() == {}
        await store.add_counts("one", 1, {"a": 1, "b": 2})
        await store.add_counts("two", 1, {"b": 40})
        await store.add_counts("one", 2, {"a": 5_000_000_000})
        assert await store.counts() == {"a": 5_000_000_001, "b": 42}

    play(scenario)


def test_counts_handed_over_again_are_counted_once(play: Play) -> None:
    async def scenario(store: Store) -> None:
        for serial in (1, 1, 2, 1, 2):
            await store.add_counts("one", serial, {"a": serial})
        assert await store.counts() == {"a": 3}

    play(scenario)


def test_many_sources_at_once_lose_nothing(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await asyncio.gather(*(store.add_counts(f"source{one}", 1, {"a": 1}) for one in range(20)))
        assert await store.counts() == {"a": 20}

    play(scenario)


def test_no_more_sums_are_kept_than_may_be(single_servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MOST_COUNTS", 2)

    async def main() -> None:
        store = RedisStore.from_url(single_servers["valkey"], "bounded")
        await store.add_counts("one", 1, {"a": 1, "b": 2, "c": 3})
        await store.add_counts("one", 2, {"b": 2, "d": 3})
        assert await store.counts() == {"a": 1, "b": 4}
        await store.aclose()

    asyncio.run(main())


def test_the_census_counts_what_is_kept(play: Play) -> None:
    async def scenario(store: Store) -> None:
        empty = await store.census()
        assert set(empty.tenants.values()) | set(empty.upgrades.values()) | set(empty.oldest.values()) == {0}
        assert (set(empty.tenants), set(empty.upgrades), empty.parked) == (set(Status), set(State), 0)
        look_at = await store.now() + 60_000_000
        paid, done = _upgrade("upg_1", State.PAID), _upgrade("upg_2", State.CONFIRMED)
        await store.finish(Wake("a", ""), look_at, Status.UPGRADING, [paid])
        await store.finish(Wake("b", ""), look_at, Status.OK, [done])
        await store.finish(Wake("c", ""), look_at, Status.OK, [])
        await store.park(PaymentFact(PaymentEvent.COMPLETED, "cs_1", 7, "evt_1", "paid"))
        census = await store.census()
        assert {status: n for status, n in census.tenants.items() if n} == {Status.UPGRADING: 1, Status.OK: 2}
        assert {state: n for state, n in census.upgrades.items() if n} == {State.PAID: 1, State.CONFIRMED: 1}
        assert census.parked == 1
        assert {state for state, age in census.oldest.items() if age} == {State.PAID}
        assert State.CONFIRMED not in census.oldest
        await store.finish(Wake("a", ""), look_at, Status.OK, [_upgrade("upg_1", State.CONFIRMED)])
        assert set((await store.census()).oldest.values()) == {0}

    play(scenario)


def test_each_fact_comes_with_the_time_of_its_acceptance_and_its_trace(play: Play) -> None:
    async def scenario(store: Store) -> None:
        facts = [HintFact("operator", 1, f"hint_{number}") for number in range(3)]
        before = await store.now()
        await store.append({"t": facts[:2]})
        between = await store.now()
        await store.append({"t": facts[2:]}, trace="00-4bf9-00f0-01")
        loaded = await store.load("t")
        assert list(loaded.facts) == facts
        assert loaded.traces == ("00-4bf9-00f0-01",)
        first, second, third = loaded.accepted
        assert before <= first == second <= between <= third <= loaded.now

    play(scenario)


def test_what_is_left_after_a_commit_keeps_its_time(play: Play) -> None:
    async def scenario(store: Store) -> None:
        facts = [HintFact("operator", 1, f"hint_{number}") for number in range(3)]
        await store.append({"t": facts[:2]}, trace="00-aaaa-00f0-01")
        between = await store.now()
        await store.append({"t": facts[2:]}, trace="00-bbbb-00f0-01")
        assert await store.commit(Commit(Tenant("t"), 0, "pas_1", folded=2))
        loaded = await store.load("t")
        assert (loaded.facts, loaded.traces) == (tuple(facts[2:]), ("00-bbbb-00f0-01",))
        assert loaded.accepted[0] >= between

    play(scenario)


@ON_REDIS
def test_beside_a_release_that_keeps_no_times_no_fact_is_lost_and_times_come_back(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert isinstance(store, RedisStore)
        inbox, redis = store.keys.inbox("t"), store.scripts
        facts = [HintFact("operator", 1, f"hint_{number}") for number in range(9)]
        await store.append({"t": facts[:2]}, trace="00-aaaa-00f0-01")
        await redis.run(command("RPUSH", inbox, encode_fact(facts[2])))
        loaded = await store.load("t")
        assert (loaded.facts, loaded.accepted, loaded.traces) == (tuple(facts[:3]), (0, 0, 0), ())
        before = await store.now()
        await store.append({"t": facts[3:4]})
        loaded = await store.load("t")
        assert (loaded.facts, loaded.accepted[:3]) == (tuple(facts[:4]), (0, 0, 0))
        assert loaded.accepted[3] >= before
        await redis.run(command("LTRIM", inbox, 3, -1))
        assert (await store.load("t")).accepted == (0,)
        assert await store.commit(Commit(Tenant("t"), 0, "pas_1", folded=1))
        await store.append({"t": facts[4:6]})
        assert min((await store.load("t")).accepted) >= before
        # A long inbox is worked off first: to fill its times up would hold everybody up.
        await redis.run(command("RPUSH", inbox, *[encode_fact(facts[6])] * 1000))
        await store.append({"t": facts[7:8]}, bounded=False)
        loaded = await store.load("t")
        assert (loaded.pending, set(loaded.accepted)) == (1003, {0})
        assert await store.commit(Commit(Tenant("t"), 1, "pas_2", folded=1003))
        await store.append({"t": facts[8:]})
        loaded = await store.load("t")
        assert (loaded.facts, loaded.accepted[0] >= before) == (tuple(facts[8:]), True)

    play(scenario)


@ON_REDIS
def test_times_that_are_not_those_of_the_facts_never_come_to_be_taken_for_them(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert isinstance(store, RedisStore)
        facts = [HintFact("operator", 1, f"hint_{number}") for number in range(3)]
        await store.append({"t": facts[:1]})
        await store.scripts.run(command("RPUSH", store.keys.inbox("t"), *map(encode_fact, facts[1:])))
        assert await store.commit(Commit(Tenant("t"), 0, "pas_1", folded=2))
        loaded = await store.load("t")
        assert (loaded.facts, loaded.accepted) == (tuple(facts[2:]), (0,)), "as many as there are times"

    play(scenario)


@ON_REDIS
def test_facts_that_carry_their_time_themselves_are_read(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert isinstance(store, RedisStore)
        fact = HintFact("operator", 1, "hint_1")
        for stamp in (b"1780000000000000 ", b"1780000000000001;00-4bf9-00f0-01 "):
            await store.scripts.run(command("RPUSH", store.keys.inbox("t"), stamp + encode_fact(fact)))
        loaded = await store.load("t")
        assert (loaded.facts, loaded.unreadable) == ((fact, fact), ())
        assert (loaded.accepted, loaded.traces) == ((1780000000000000, 1780000000000001), ("00-4bf9-00f0-01",))

    play(scenario)


def _upgrade(ident: str, state: State) -> Upgrade:
    return Upgrade(ident, state, new_capacity=13, from_capacity=10, needed=13, created_at=1)
