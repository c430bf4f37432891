"""What has a lifetime in the store itself: journals, and facts that nobody could read."""

import asyncio

from tests.store.conftest import Play
from worker.core.journal import Note, NoteKind
from worker.core.retention import Kept
from worker.core.tenant import Tenant
from worker.store.interface import Commit, Store
from worker.store.redis_store import RedisStore
from worker.store.scripts import command


def test_journal_notes_before_an_instant_are_dropped_and_no_others(play: Play) -> None:
    async def scenario(store: Store) -> None:
        async def note(number: int) -> None:
            at = await store.now()
            commit = Commit(Tenant("t"), number, f"pas_{number}", 0, notes=[Note(NoteKind.HINT, {"n": number})], at=at)
            assert await store.commit(commit)

        for number in range(3):
            await note(number)
        await asyncio.sleep(0.005)
        cut = await store.now()
        await asyncio.sleep(0.005)
        await note(3)
        await store.trim_journal("t", 0)
        assert len((await store.journal("t", before=None, limit=9))[0]) == 4
        await store.trim_journal("t", cut)
        rows, _ = await store.journal("t", before=None, limit=9)
        assert [row["n"] for row in rows] == [3]
        await note(4)
        await store.trim_journal("nobody", cut)
        assert len((await store.journal("t", before=None, limit=9))[0]) == 2

    play(scenario)


def test_how_far_the_past_was_dropped_is_saved(play: Play) -> None:
    async def scenario(store: Store) -> None:
        tenant = Tenant("t", kept=Kept(at=5, horizon=(3, "evt_3"), old_news_at=4))
        assert await store.commit(Commit(tenant, 0, "pas_1", 0))
        assert (await store.load("t")).tenant == tenant

    play(scenario)


def test_facts_nobody_could_read_are_kept_for_30_days(single_servers: dict[str, str]) -> None:
    async def main() -> int:
        store = RedisStore.from_url(single_servers["valkey"], "unreadable-lifetime")
        assert await store.commit(Commit(Tenant("t"), 0, "pas_1", 0, set_aside=[b"x"]))
        assert (await store.unreadable("t"), await store.unreadable("nobody")) == (1, 0)
        found = int(await store.scripts.run(command("TTL", store.keys.unreadable("t"))))
        await store.aclose()
        return found

    assert 30 * 86_400 - 60 <= asyncio.run(main()) <= 30 * 86_400
