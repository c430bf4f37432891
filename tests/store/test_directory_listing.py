"""Lists that people look through: pages, orders, beginnings of ids, and what is stuck."""

import asyncio
from dataclasses import replace

import pytest

from tests.store.conftest import Play
from tests.web.site import an_upgrade, looked, seat
from worker.core.journal import Note, NoteKind
from worker.core.tenant import Status, Tenant
from worker.core.times import HOUR, SECOND
from worker.core.upgrade import State
from worker.store.interface import Commit, Order, Store, TenantPage, Wake
from worker.store.redis_store import RedisStore
from worker.store.scripts import command


async def put(store: Store, tenant: str, status: Status = Status.OK, fullness: float | None = None) -> None:
    await store.finish(Wake(tenant, ""), 1, status, [], fullness)


async def page(
    store: Store, order: Order = Order.ID, *, status: Status | None = None, prefix: str = "", offset: int = 0
) -> TenantPage:
    return await store.find_tenants(status=status, prefix=prefix, order=order, offset=offset, limit=3)


def names(found: TenantPage) -> list[str]:
    return [row.tenant for row in found.rows]


def test_pages_are_asked_for_by_place_and_say_how_many_there_are(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert (await page(store)).total == 0
        for number in range(7):
            await put(store, f"t{number}")
        assert names(await page(store)) == ["t0", "t1", "t2"]
        last = await page(store, offset=6)
        assert (last.total, names(last)) == (7, ["t6"])
        beyond = await page(store, offset=7)
        assert (beyond.total, names(beyond)) == (7, [])

    play(scenario)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("acme", ["acme", "acme-2", "acme/ü"]),
        ("acme/", ["acme/ü", "acme/\U0001f600"]),
        ("ü", ["ü", "üb"]),
        ("acmf", []),
        ("[", ["[a"]),
        ("(", []),
    ],
)
def test_ids_are_found_by_their_beginning_in_any_script(play: Play, prefix: str, expected: list[str]) -> None:
    async def scenario(store: Store) -> None:
        for name in ("acme", "acme-2", "acme/ü", "acme/\U0001f600", "acmé", "b", "[a", "ü", "üb", "z"):
            await put(store, name)
        found = await page(store, prefix=prefix)
        assert names(found) == expected
        assert found.total == (4 if prefix == "acme" else len(expected))

    play(scenario)


def test_the_fullest_come_first_and_the_unknown_last(play: Play) -> None:
    async def scenario(store: Store) -> None:
        for name, full in (("half", 50.0), ("unknown", None), ("over", 133.3), ("empty", 0.0)):
            await put(store, name, Status.OK, full)
        first = await page(store, Order.FULLEST)
        assert (first.total, names(first)) == (4, ["over", "half", "empty"])
        assert names(await page(store, Order.FULLEST, offset=3)) == ["unknown"]
        await put(store, "half", Status.OK, 200.0)
        assert names(await page(store, Order.FULLEST)) == ["half", "over", "empty"]

    play(scenario)


def test_a_tenant_is_listed_under_its_present_status_in_every_order(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await put(store, "a", Status.OK, 10.0)
        await put(store, "b", Status.EXCEEDED, 120.0)
        await put(store, "a", Status.EXCEEDED, 110.0)
        for order, expected in ((Order.ID, ["a", "b"]), (Order.FULLEST, ["b", "a"]), (Order.CHANGED, ["a", "b"])):
            assert names(await page(store, order, status=Status.EXCEEDED)) == expected
            assert (await page(store, order, status=Status.OK)).total == 0

    play(scenario)


def test_only_a_change_of_status_counts_as_a_change(play: Play) -> None:
    async def scenario(store: Store) -> None:
        before = await store.now()
        await put(store, "a")
        await put(store, "b")
        (since,) = [row.since for row in (await page(store)).rows if row.tenant == "a"]
        assert before <= since <= await store.now()
        await put(store, "a", Status.OK, 70.0)
        assert names(await page(store, Order.CHANGED)) == ["b", "a"]
        await put(store, "a", Status.NEAR_CAPACITY, 90.0)
        newest = await page(store, Order.CHANGED)
        assert names(newest) == ["a", "b"]
        assert newest.rows[0].since > since

    play(scenario)


def test_records_are_read_many_at_a_time_without_rosters(play: Play) -> None:
    async def scenario(store: Store) -> None:
        record = Tenant("a", look=looked(1, 5), upgrades=(an_upgrade("upg", State.PAID),))
        users = {"one": seat(), "two": seat(active=False), "three": seat(needs=False)}
        await store.commit(Commit(record, 0, "pass", 0, users, at=1))
        found = await store.records(["a", "nobody"])
        assert found["a"].tenant == (await store.load("a")).tenant
        assert found["a"].counts == (await store.load("a")).counts
        assert (found["a"].version, found["nobody"].version, found["nobody"].tenant.id) == (1, 0, "nobody")
        assert await store.records([]) == {}

    play(scenario)


def test_stuck_is_what_stays_in_a_state_for_longer_than_it_may(play: Play) -> None:
    async def scenario(store: Store) -> None:
        first, second = an_upgrade("upg_1", State.UNKNOWN), an_upgrade("upg_2", State.PAID)
        await store.finish(Wake("a", ""), 1, Status.UPGRADING, [first])
        await store.finish(Wake("b", ""), 1, Status.UPGRADING, [second])
        await asyncio.sleep(0.01)
        at_once = {State.UNKNOWN: 0, State.PAID: 0}
        found = await store.stuck(at_once, 10)
        assert (found.total, [(row.upgrade, row.tenant, row.state) for row in found.rows]) == (
            2,
            [("upg_1", "a", State.UNKNOWN), ("upg_2", "b", State.PAID)],
        )
        assert 0 < found.rows[0].since <= await store.now()
        assert (await store.stuck({State.UNKNOWN: 0, State.PAID: HOUR}, 10)).total == 1
        assert (await store.stuck({State.UNKNOWN: HOUR}, 10)).rows == ()

        # It moves on: the time begins anew, and a closed one is never stuck.
        await store.finish(Wake("a", ""), 1, Status.UPGRADING, [replace(first, state=State.PAID)])
        await store.finish(Wake("b", ""), 1, Status.OK, [replace(second, state=State.CONFIRMED)])
        await asyncio.sleep(0.01)
        found = await store.stuck({**at_once, State.CONFIRMED: 0}, 10)
        assert [(row.upgrade, row.state) for row in found.rows] == [("upg_1", State.PAID)]

    play(scenario)


def test_no_more_stuck_ones_are_named_than_asked_for_but_all_are_counted(play: Play) -> None:
    async def scenario(store: Store) -> None:
        for number in range(4):
            await store.finish(Wake(f"t{number}", ""), 1, Status.UPGRADING, [an_upgrade(f"u{number}", State.UNKNOWN)])
        await asyncio.sleep(0.01)
        found = await store.stuck({State.UNKNOWN: 0}, 3)
        assert (found.total, [row.upgrade for row in found.rows]) == (4, ["u0", "u1", "u2"])

    play(scenario)


def test_decisions_are_picked_out_of_the_journal_oldest_first(play: Play) -> None:
    async def scenario(store: Store) -> None:
        notes = [
            Note(NoteKind.DECISION, {"rule": "enough", "needed": 3, "capacity": 5}),
            Note(NoteKind.HINT, {"source": 'sweep "kind":"decision"'}),
            Note(NoteKind.DECISION, {"rule": "started", "needed": 6, "capacity": 5}),
        ]
        await store.commit(Commit(Tenant("a"), 0, "pass", 0, notes=notes, at=7 * SECOND))
        found = await store.decisions("a", 1000)
        assert [note["needed"] for note in found] == [3, 6]
        assert found[0]["at"] == 7 * SECOND
        assert [note["needed"] for note in await store.decisions("a", 2)] == [6]
        assert await store.decisions("nobody", 1000) == []

    play(scenario)


def test_what_a_release_without_times_has_listed_gets_them_with_the_next_pass(play: Play) -> None:
    async def scenario(store: Store) -> None:
        open_one = replace(an_upgrade("upg_1", State.UNKNOWN), created_at=1)
        closed = replace(an_upgrade("upg_2", State.EXPIRED), created_at=1)
        await store.finish(Wake("t", ""), 1, Status.UPGRADING, [open_one, closed])
        if isinstance(store, RedisStore):
            for name in ("since", "since:upgrading", "fullness", "fullness:upgrading", "moved:unknown"):
                await store.scripts.run(command("DEL", store.keys.index_of("t", name)))
            assert (await store.stuck({State.UNKNOWN: 0}, 9)).total == 0
        for _ in range(2):
            await store.finish(Wake("t", ""), 1, Status.UPGRADING, [open_one, closed])
        await asyncio.sleep(0.002)
        assert [row.upgrade for row in (await store.stuck(dict.fromkeys(State, 0), 9)).rows] == ["upg_1"]
        for status in (None, Status.UPGRADING):
            assert names(await page(store, Order.CHANGED, status=status)) == ["t"]
        first = (await page(store, Order.CHANGED)).rows[0].since
        await store.finish(Wake("t", ""), 1, Status.UPGRADING, [open_one])
        assert (await page(store, Order.CHANGED)).rows[0].since == first, "the time of the change, not of the pass"
        await store.finish(Wake("t", ""), 1, Status.OK, [open_one])
        assert (await page(store, Order.CHANGED)).rows[0].since > first

    play(scenario)


@pytest.mark.parametrize("play", ["valkey", "redis", "cluster"], indirect=True)
def test_an_upgrade_that_a_release_without_times_moved_on_is_not_stuck_where_it_was(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.finish(Wake("t", ""), 1, Status.OK, [an_upgrade("upg_1", State.UNKNOWN)])
        assert isinstance(store, RedisStore)
        await asyncio.sleep(0.002)
        assert (await store.stuck({State.UNKNOWN: 0}, 9)).total == 1
        await store.scripts.run(command("HSET", store.keys.index_of("t", "states"), "upg_1", "paid"))
        for _ in range(2):
            found = await store.stuck({State.UNKNOWN: 0}, 9)
            assert (found.total, found.rows) == (0, ())

    play(scenario)
