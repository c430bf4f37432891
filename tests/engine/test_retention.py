"""Retention as the engine does it: once a day, as part of a pass, whatever the size of the roster."""

import pytest

from tests.engine.world import START, World
from worker.core.facts import Membership, UserFact
from worker.core.policy import Policy
from worker.core.retention import Retention
from worker.core.times import DAY, HOUR, SECOND
from worker.store.errors import StoreUnavailable
from worker.store.interface import SMALL_ROSTER

DAYS = DAY / SECOND
RULES = Retention(journal=5 * DAY, tombstones=10 * DAY, personal=3 * DAY)


def a_world(users: int = 3) -> World:
    world = World(Policy(retention=RULES, sweep_every=6 * HOUR))
    world.subscribe("t", 2 * users, 0)
    world.give(
        "t",
        *(
            UserFact(f"u{number}", Membership.ADDED, START - DAY, f"evt_a{number}", f"u{number}@example.com")
            for number in range(users)
        ),
    )
    world.run()
    world.leave("t", *(f"u{number}" for number in range(users - 1)))
    world.run()
    return world


@pytest.mark.parametrize("users", [3, SMALL_ROSTER + 8])
def test_of_those_who_left_first_the_personal_data_goes_and_then_they(users: int) -> None:
    world = a_world(users)
    world.wait(2 * DAYS)
    roster = world.do(world.store.whole_roster("t"))
    assert len([entry for entry in roster.values() if entry.email]) == users
    world.wait(2 * DAYS)
    roster = world.do(world.store.whole_roster("t"))
    assert (len(roster), {user for user, entry in roster.items() if entry.email}) == (users, {f"u{users - 1}"})
    world.wait(8 * DAYS)
    assert set(world.do(world.store.whole_roster("t"))) == {f"u{users - 1}"}
    counts = world.loaded().counts
    assert (counts.needed, counts.gone) == (1, 0)
    world.give("t", UserFact("u0", Membership.ADDED, START - DAY, "evt_a0", "u0@example.com"))
    world.run()
    assert world.loaded().counts.needed == 1, "a repetition, 12 days late"
    world.join("t", "u0")
    world.run()
    assert world.loaded().counts.needed == 2


def test_a_journal_is_trimmed_and_its_youngest_entries_stay() -> None:
    world = a_world()
    world.wait(4 * DAYS)
    world.join("t", "late")
    world.wait(3 * DAYS)
    notes, _ = world.do(world.store.journal("t", before=None, limit=1000))
    written = [note["at"] for note in notes if isinstance(note["at"], int)]
    assert written
    assert min(written) >= world.at - RULES.journal - DAY


def test_a_journal_that_can_not_be_trimmed_keeps_nothing_from_being_done() -> None:
    world = a_world()

    async def away(tenant: str, before: int) -> None:
        raise StoreUnavailable("away")

    world.store.trim_journal = away  # type: ignore[method-assign]
    world.wait(2 * DAYS)
    world.join("t", "late")
    world.run()
    assert world.loaded().counts.needed == 2


def test_a_tenant_without_a_subscription_is_gone_through_too() -> None:
    world = a_world()
    del world.crovver.subscriptions["t"]
    world.wait(14 * DAYS)
    assert set(world.do(world.store.whole_roster("t"))) == {"u2"}


def test_a_tenant_whose_host_app_tells_of_its_past_keeps_its_tombstones() -> None:
    world = a_world()
    for _ in range(4):
        world.wait(5 * DAYS)
        world.give("t", UserFact("u2", Membership.ADDED, START - 300 * DAY, "evt_old"))
    world.run()
    assert set(world.do(world.store.whole_roster("t"))) == {"u0", "u1", "u2"}
