"""Beginning and ending a wake-up: lease and tenant in one step, and what travels in bulk comes back as it was."""

import asyncio
from dataclasses import replace

import pytest

from tests.store.conftest import Play
from worker.core.facts import Fact, HintFact, Membership, UserFact
from worker.core.roster import Counts, Entry, Seat
from worker.core.tenant import Status, Tenant
from worker.core.times import SECOND
from worker.store.interface import SMALL_ROSTER, Commit, Ending, Store, Wake

HOUR = 3600 * SECOND
SHAPES = (
    Entry(True, 1, "evt_1"),
    Entry(True, 2, "é \u2028\U0001f642", Seat.ACTIVE, 3, "ada@example.com", 'Ada "the first" \\ Ćosić'),
    Entry(None, seat=Seat.ACTIVE, seat_at=9),
    Entry(None, seat=Seat.REMOVED, seat_at=9),
    Entry(False, 4, "evt_4", Seat.ACTIVE, 2),
    Entry(False, 5, "", Seat.REMOVED, 6, "", ""),
    Entry(False, 6, "evt_6"),
)


def joined(user: str) -> UserFact:
    return UserFact(user, Membership.ADDED, 1, f"evt_{user}")


async def leased(store: Store, lease: int = 60 * SECOND) -> Wake:
    await store.mark_due(["t"])
    (wake,) = (await store.claim_due(10, lease)).wakes
    return wake


def test_a_tenant_is_read_with_its_lease_prolonged_and_only_by_whoever_holds_it(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.append({"t": [joined("a")]})
        (lost,) = (await store.claim_due(10, 1)).wakes
        await asyncio.sleep(0.01)
        (held,) = (await store.claim_due(10, 400_000)).wakes
        assert await store.resume(lost, 60 * SECOND) is None
        loaded = await store.resume(held, 60 * SECOND)
        assert loaded is not None
        assert (loaded.facts, loaded.pending) == ((joined("a"),), 1)
        await asyncio.sleep(0.5)
        assert (await store.claim_due(10, SECOND)).wakes == (), "it was prolonged"
        unleased = await store.resume(Wake("t", ""), 60 * SECOND)
        assert unleased is not None, "without a token there is no lease to hold"
        assert unleased.facts == loaded.facts

    play(scenario)


def test_a_save_that_ends_the_wake_up_gives_the_lease_back_and_lists_the_tenant(play: Play) -> None:
    async def scenario(store: Store) -> None:
        wake = await leased(store)
        commit = Commit(Tenant("t"), 0, "pas_1", 0, {"u": SHAPES[0]})
        ending = Ending(wake, await store.now() + HOUR, Status.NEAR_CAPACITY, (), 80.0)
        assert await store.commit(commit, ending)
        assert await store.commit(commit, ending), "to repeat it is harmless"
        assert not await store.renew(wake, SECOND)
        assert [row.status for row in await store.tenants(None, None, 10)] == [Status.NEAR_CAPACITY]
        claimed = await store.claim_due(10, SECOND)
        assert claimed.wakes == ()
        assert claimed.next_in is not None
        assert 0 < claimed.next_in <= HOUR

    play(scenario)


def test_a_save_that_comes_too_late_ends_nothing(play: Play) -> None:
    async def scenario(store: Store) -> None:
        wake = await leased(store)
        assert await store.commit(Commit(Tenant("t"), 0, "pas_other", 0))
        ending = Ending(wake, await store.now() + HOUR, Status.OK)
        assert not await store.commit(Commit(Tenant("t"), 0, "pas_1", 0), ending)
        assert await store.tenants(None, None, 10) == []
        assert await store.renew(wake, SECOND), "whoever is at it goes on"

    play(scenario)


def test_facts_that_come_while_a_save_ends_the_wake_up_make_the_tenant_due(play: Play) -> None:
    async def scenario(store: Store) -> None:
        wake = await leased(store)
        await store.append({"t": [joined("late")]})
        assert await store.commit(Commit(Tenant("t"), 0, "pas_1", 0), Ending(wake, await store.now() + HOUR, Status.OK))
        assert [found.tenant for found in (await store.claim_due(10, SECOND)).wakes] == ["t"]

    play(scenario)


@pytest.mark.parametrize("size", [SMALL_ROSTER, SMALL_ROSTER + 1])
def test_of_a_roster_of_any_size_those_come_along_whom_facts_are_about(play: Play, size: int) -> None:
    async def scenario(store: Store) -> None:
        roster = {f"user-{number}": SHAPES[number % len(SHAPES)] for number in range(size)}
        assert await store.commit(Commit(Tenant("t"), 0, "pas_1", 0, roster))
        facts: list[Fact] = [joined(f"user-{number}") for number in (3, 1, 3)]
        facts[1:1] = [HintFact("test", 1, "user-2"), joined('néw "one"')]
        await store.append({"t": facts})
        loaded = await store.load("t")
        about = {name: roster[name] for name in ("user-1", "user-3")}
        assert loaded.facts == tuple(facts)
        assert (loaded.whole, loaded.entries) == ((True, roster) if size <= SMALL_ROSTER else (False, about))

    play(scenario)


def test_every_class_of_many_users_is_counted_however_they_move(play: Play) -> None:
    """More users than one command of the server takes at once, each moved from every class to every other."""

    async def scenario(store: Store) -> None:
        users = [f"user-{number}" for number in range(2_500)]
        version = 0
        for step, there in ((0, SHAPES), (1, SHAPES), (3, SHAPES), (0, (None,) * len(SHAPES))):
            changes = {user: there[(number + step) % len(SHAPES)] for number, user in enumerate(users)}
            assert await store.commit(Commit(Tenant("t"), version, f"pas_{version}", 0, changes))
            loaded = await store.load("t")
            kept = [entry for entry in changes.values() if entry is not None]
            assert loaded.counts == Counts(
                **{word: sum(entry.standing.value == word for entry in kept) for word in ("seated", "missing")},
                **{word: sum(entry.standing.value == word for entry in kept) for word in ("orphaned", "gone")},
                removed=sum(entry.seat is Seat.REMOVED for entry in kept),
            )
            assert await store.whole_roster("t") == {
                user: entry for user, entry in changes.items() if entry is not None
            }
            version = loaded.version

    play(scenario)


def test_stamps_of_facts_that_came_together_and_apart_come_back_one_for_each(play: Play) -> None:
    async def scenario(store: Store) -> None:
        traces = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
        await store.append({"t": [joined("a"), joined("b")]}, trace=traces[0])
        await asyncio.sleep(0.002)
        await store.append({"t": [joined("c")]}, trace=traces[1])
        loaded = await store.load("t")
        first, second, third = loaded.accepted
        assert first == second < third
        assert loaded.traces == tuple(traces)
        await store.commit(replace(Commit(Tenant("t"), 0, "pas_1", 2), digest=""))
        assert (await store.load("t")).accepted == (third,)

    play(scenario)
