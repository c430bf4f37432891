"""What was read from a state that a failover took back must not be saved over the one that took its place."""

import asyncio
from dataclasses import replace

import pytest
import redis

from tests.store.conftest import Play
from worker.core.facts import Membership, UserFact
from worker.core.journal import Note, NoteKind
from worker.core.roster import Entry
from worker.core.tenant import Status, Tenant
from worker.core.times import SECOND
from worker.embedded import EmbeddedServer
from worker.store.errors import StoreBroken, TenantBroken
from worker.store.interface import Commit, Loaded, Store, Wake
from worker.store.keys import Keys
from worker.store.memory import MemoryStore
from worker.store.redis_store import RedisStore
from worker.store.scripts import command

ENTRY = Entry(True, 1, "evt")


def joined(user: str) -> UserFact:
    return UserFact(user, Membership.ADDED, 1, f"evt_{user}", None, None)


def commit_of(loaded: Loaded, pass_id: str) -> Commit:
    return Commit(
        loaded.tenant, loaded.version, pass_id, loaded.read, after=loaded.saved_by, digest=loaded.digest, at=1
    )


def test_a_version_of_the_same_number_that_another_pass_saved_is_another_version(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert await store.commit(commit_of(await store.load("t"), "pas_1"))
        read = commit_of(await store.load("t"), "pas_3")
        assert not await store.commit(replace(read, after="pas_lost"))
        assert not await store.commit(replace(read, after=""))
        assert await store.commit(read)
        assert await store.commit(read), "to repeat it is harmless"
        assert (await store.load("t")).saved_by == "pas_3"

    play(scenario)


def test_facts_that_are_as_many_as_were_read_but_others_are_not_folded(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.append({"lost": [joined("a"), joined("b")], "t": [joined("a"), joined("c"), joined("d")]})
        lost = await store.load("lost")
        late = replace(commit_of(lost, "pas_1"), tenant=Tenant("t"))
        assert not await store.commit(late)
        assert (await store.load("t")).pending == 3
        await store.append({"lost": [joined("x")]})
        assert await store.commit(commit_of(lost, "pas_1")), "what came later is another pass's"
        assert (await store.load("lost")).facts == (joined("x"),)

    play(scenario)


def test_tenants_that_are_listed_and_that_nobody_would_look_at_are_made_due(play: Play) -> None:
    async def scenario(store: Store) -> None:
        for name in ("due", "forgotten", "leased"):
            await store.finish(Wake(name, ""), await store.now() + 3600 * SECOND, Status.OK, [])
        for name in ("leased", "forgotten"):
            assert await store.hold(name, 3600 * SECOND)
        await lose_lease(store, "forgotten")
        assert await store.adopt(None, 1) == "due"
        assert not (await store.claim_due(9, SECOND)).wakes
        assert await store.adopt("due", 9) is None
        assert [wake.tenant for wake in (await store.claim_due(9, SECOND)).wakes] == ["forgotten"]

    play(scenario)


async def lose_lease(store: Store, tenant: str) -> None:
    if isinstance(store, MemoryStore):
        del store._leases[tenant]
    else:
        assert isinstance(store, RedisStore)
        await store.scripts.run(command("ZREM", store.keys.index_of(tenant, "leases"), tenant))


def test_one_tenant_that_can_not_be_read_keeps_no_other_from_being_listed(valkey: EmbeddedServer) -> None:
    async def scenario() -> None:
        store = RedisStore.from_url(valkey.url)
        try:
            for name in ("good", "corrupt", "wrong"):
                assert await store.commit(Commit(Tenant(name), 0, "pas_1", 0))
            await store.scripts.run(command("HSET", store.keys.record("corrupt"), "document", b"\xff"))
            await store.scripts.run(command("SET", store.keys.roster("wrong"), "a string"))
            records = await store.records(["corrupt", "good", "wrong"])
            assert {name: record.broken for name, record in records.items()} == {
                "corrupt": True, "good": False, "wrong": True,
            }  # fmt: skip
            with pytest.raises(TenantBroken, match="tenant 'corrupt' can't be used: a tenant's record is not readable"):
                await store.load("corrupt")
            with pytest.raises(TenantBroken, match="roster is a string, not a hash"):
                await store.load("wrong")
            await store.scripts.run(command("SET", store.keys.inbox("wrong"), "a string"))
            with pytest.raises(TenantBroken, match="inbox is a string, not a list"):
                await store.append({"good": [joined("a")], "wrong": [joined("a")]})
        finally:
            await store.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["journal", "roster", "missing", "removed", "stamps", "unreadable"])
def test_a_key_of_the_wrong_type_has_nothing_saved_by_halves(name: str, valkey: EmbeddedServer) -> None:
    keys = Keys("seats")

    async def scenario() -> None:
        store = RedisStore.from_url(valkey.url)
        try:
            await store.append({"t": [joined("a")]})
            commit = replace(
                commit_of(await store.load("t"), "pas_1"), changes={"a": ENTRY}, notes=[Note(NoteKind.HINT)],
                set_aside=[b"x"],
            )  # fmt: skip
            with redis.Redis.from_url(valkey.url) as client:
                client.delete(keys.tenant("t") + name)
                client.set(keys.tenant("t") + name, "a string")
                with pytest.raises(StoreBroken, match="WRONGTYPE"):
                    await store.commit(commit)
                client.delete(keys.tenant("t") + name)
            loaded = await store.load("t")
            assert (loaded.version, loaded.facts) == (0, (joined("a"),))
            assert await store.commit(commit)
            loaded = await store.load("t")
            assert (loaded.version, loaded.pending, loaded.entries) == (1, 0, {"a": ENTRY})
        finally:
            await store.aclose()

    asyncio.run(scenario())


def test_a_tenant_whose_save_was_taken_back_is_due_at_once_and_another_at_its_time(play: Play) -> None:
    async def scenario(store: Store) -> None:
        for tenant, saved_by in (("kept", "pas_1"), ("taken_back", "pas_lost"), ("gone", "pas_lost")):
            if tenant != "gone":
                assert await store.commit(Commit(Tenant(tenant), 0, "pas_1", 0))
            wake = await store.hold(tenant, 60 * SECOND)
            assert wake is not None
            look_at = await store.now() + 3600 * SECOND
            await store.finish(wake, look_at, Status.OK, [], saved_by=saved_by)
        assert {wake.tenant for wake in (await store.claim_due(9, SECOND)).wakes} == {"taken_back", "gone"}

    play(scenario)
