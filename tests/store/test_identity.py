"""Which state this is: how a process notices that it is not the one it worked with, and how that ends."""

import asyncio
from dataclasses import dataclass, field

from tests.store.conftest import Play
from worker.core.times import HOUR, MINUTE, SECOND
from worker.store.guard import OBJECTIONS_WITHIN, Remembered, StateGuard
from worker.store.interface import Store
from worker.store.memory import MemoryStore


def test_a_state_gets_an_identity_and_keeps_it(play: Play) -> None:
    async def scenario(store: Store) -> None:
        first = await store.vouch("", 0, "one")
        again = await store.vouch("one", first.seen_at, "two")
        other = await store.vouch("", 0, "three")
        assert [mark.identity for mark in (first, again, other)] == ["one"] * 3
        assert first.made_at == again.made_at == other.made_at <= first.now < again.now
        assert [mark.lost_at for mark in (first, again, other)] == [None] * 3
        assert await store.lost_at() is None

    play(scenario)


def test_whoever_remembers_another_state_reports_its_loss_even_if_a_newcomer_came_first(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert (await store.vouch("", 0, "new")).lost_at is None
        noticed = await store.vouch("old", 0, "unused")
        assert (noticed.identity, noticed.lost_at) == ("new", noticed.now)
        assert await store.lost_at() == noticed.now

    play(scenario)


def test_a_loss_that_was_noticed_is_noted_once_and_seen_by_all(play: Play) -> None:
    async def scenario(store: Store) -> None:
        lost_at = (await store.vouch("old", 0, "new")).lost_at
        assert lost_at is not None
        for known in ("old", "new", ""):
            assert (await store.vouch(known, 0, "unused")).lost_at == lost_at

    play(scenario)


def test_a_loss_that_is_over_stays_over_for_those_who_had_not_heard_of_it(play: Play) -> None:
    async def scenario(store: Store) -> None:
        lost_at = (await store.vouch("old", 0, "new")).lost_at
        assert lost_at is not None
        assert not await store.end_loss(lost_at - 1)
        assert await store.lost_at() == lost_at
        assert await store.end_loss(lost_at)
        assert not await store.end_loss(lost_at)
        assert (await store.vouch("old", 0, "unused")).lost_at is None
        assert (await store.vouch("older still", 0, "unused")).lost_at is not None

    play(scenario)


def test_an_old_copy_is_a_loss_and_gets_an_identity_of_its_own(play: Play) -> None:
    async def scenario(store: Store) -> None:
        first = await store.vouch("", 0, "one")
        lags = await store.vouch("one", first.seen_at + 59 * SECOND, "copy")
        assert (lags.identity, lags.lost_at) == ("one", None)
        copy = await store.vouch("one", first.seen_at + 61 * SECOND, "copy")
        assert copy.identity == "copy"
        assert copy.lost_at is not None
        again = await store.vouch("one", first.seen_at + HOUR, "unused")
        assert (again.identity, again.lost_at) == ("copy", copy.lost_at)

    play(scenario)


def test_twenty_identities_are_remembered(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.vouch("", 0, "mark")
        for number in range(20):
            lost_at = (await store.vouch(f"gone{number:02}", 0, "unused")).lost_at
            assert lost_at is not None
            assert await store.end_loss(lost_at)
        assert (await store.vouch("gone00", 0, "unused")).lost_at is None

    play(scenario)


@dataclass
class Clock:
    """The clock of stores and guards, which only a guard's sleep moves, and a test."""

    at: int = 1_780_000_000 * SECOND
    slept: list[float] = field(default_factory=list)

    def store(self) -> MemoryStore:
        return MemoryStore(lambda: self.at)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += round(seconds * SECOND)


def test_on_a_new_state_purchases_wait_until_those_who_remember_another_one_may_have_objected() -> None:
    async def play() -> None:
        clock = Clock()
        guard = StateGuard(clock.store(), sleep=clock.sleep)
        assert await guard.lost_at() is None
        assert clock.slept == [OBJECTIONS_WITHIN / SECOND]
        assert await guard.lost_at() is None
        assert len(clock.slept) == 1, "it is not new any more"

    asyncio.run(play())


def test_an_objection_while_a_purchase_waits_bars_it() -> None:
    async def play() -> None:
        clock = Clock()
        store = clock.store()

        async def somebody_objects(seconds: float) -> None:
            await store.vouch("the lost state", 0, "unused")

        assert await StateGuard(store, sleep=somebody_objects).lost_at() == clock.at

    asyncio.run(play())


def test_a_process_that_meets_another_state_holds_purchases_until_the_loss_is_over_and_then_trusts_it() -> None:
    async def play() -> None:
        clock, remembered = Clock(), Remembered()
        before, after = clock.store(), clock.store()
        assert await StateGuard(before, remembered, sleep=clock.sleep).lost_at() is None
        guard = StateGuard(after, remembered, sleep=clock.sleep)
        lost_at = await guard.lost_at()
        assert lost_at == clock.at
        clock.at += HOUR
        assert await guard.lost_at() == lost_at
        assert await after.end_loss(lost_at)
        assert await guard.lost_at() is None

    asyncio.run(play())


def test_a_process_notices_that_a_backup_was_put_back_beneath_it() -> None:
    async def play() -> None:
        clock, remembered = Clock(), Remembered()
        store, backup = clock.store(), clock.store()
        guard = StateGuard(store, remembered)
        await backup.vouch("", 0, (await guard.look()).identity)
        clock.at += 5 * MINUTE
        await guard.look()
        assert (await StateGuard(backup, remembered).look()).lost_at == clock.at

    asyncio.run(play())


def test_a_server_that_stood_still_for_long_is_no_loss() -> None:
    async def play() -> None:
        clock = Clock()
        store = clock.store()
        guards = StateGuard(store), StateGuard(store)
        for hours in (0, 1, 30):
            clock.at += hours * HOUR
            assert [(await guard.look()).lost_at for guard in guards] == [None, None]

    asyncio.run(play())
