"""Retention as the engine does it: once a day, as part of a pass, whatever the size of the roster."""

from dataclasses import replace
from typing import Any

import pytest

from tests.engine.world import START, World
from worker.core.facts import Membership, UserFact
from worker.core.policy import Policy
from worker.core.retention import Retention
from worker.core.times import DAY, HOUR, SECOND
from worker.crovver.results import AllocationsPage
from worker.store import memory
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
    world.wait(DAYS)
    del world.crovver.subscriptions["t"]
    world.wait(14 * DAYS)
    assert set(world.do(world.store.whole_roster("t"))) == {"u2"}, "read after they left"


def test_a_list_that_was_not_read_since_may_still_name_whoever_left() -> None:
    world = World(Policy(retention=RULES))
    world.join("t", "ada")
    world.run()
    world.wait(60)
    world.leave("t", "ada")
    world.wait(20 * DAYS)
    assert set(world.do(world.store.whole_roster("t"))) == {"ada"}, "there was no subscription, and nothing to read"
    seats = world.subscribe("t", 5, 0).seats
    seats["ada"] = (True, START)
    world.look("t")
    world.wait(2 * DAYS)
    counts = world.loaded().counts
    assert (counts.needed, counts.orphaned) == (0, 1)


def test_a_list_that_does_not_show_all_its_rows_may_still_name_whoever_left() -> None:
    world = a_world()
    page = world.crovver.allocations_page

    async def one_row_short(tenant: str, **which: Any) -> AllocationsPage:
        shown = await page(tenant, **which)
        return replace(shown, summary=replace(shown.summary, active_count=shown.summary.active_count + 1))

    world.crovver.allocations_page = one_row_short  # type: ignore[method-assign]
    world.wait(14 * DAYS)
    assert len(world.do(world.store.whole_roster("t"))) == 3
    world.crovver.allocations_page = page  # type: ignore[method-assign]
    world.wait(2 * DAYS)
    assert len(world.do(world.store.whole_roster("t"))) == 1


def test_by_default_a_user_who_joined_years_ago_counts_whatever_was_said_before() -> None:
    world = World(Policy(sweep_every=6 * HOUR))
    world.subscribe("t", 50, 0)
    world.join("t", "a", "b", "c")
    world.run()
    world.leave("t", "a")
    world.wait(120 * DAYS)
    world.give("t", UserFact("newcomer", Membership.ADDED, START - 900 * DAY, "evt_new"))
    world.run()
    assert world.loaded().counts.needed == 3
    world.give("t", UserFact("a", Membership.ADDED, START - 900 * DAY, "evt_repeated"))
    world.run()
    assert world.loaded().counts.needed == 3, "who left stays away"


def test_a_record_of_before_there_were_lifetimes_is_watched_for_one_first() -> None:
    world = World(Policy(sweep_every=6 * HOUR))
    world.subscribe("t", 50, 0)
    world.join("t", "a")
    world.run()
    world.leave("t", "a")
    world.wait(30 * DAYS)
    world.set_policy(Policy(sweep_every=6 * HOUR, retention=RULES))
    world.wait(8 * DAYS)
    world.give("t", UserFact("old", Membership.ADDED, START - 300 * DAY, "evt_old"))
    world.run()
    assert set(world.do(world.store.whole_roster("t"))) == {"a", "old"}
    world.wait(8 * DAYS)
    assert set(world.do(world.store.whole_roster("t"))) == {"a", "old"}, "and for one more, as it tells of its past"
    world.wait(4 * DAYS)
    assert set(world.do(world.store.whole_roster("t"))) == {"old"}


def test_what_is_too_old_to_be_believed_is_told() -> None:
    world = a_world()
    world.wait(13 * DAYS)
    world.give("t", UserFact("old", Membership.ADDED, START - 300 * DAY, "evt_old"))
    world.run()
    notes, _ = world.do(world.store.journal("t", before=None, limit=100))
    assert [note["events"] for note in notes if note["kind"] == "too_old"] == [
        [["+", "old", START - 300 * DAY, "evt_old"]]
    ]


def test_what_waits_in_a_long_inbox_meets_no_horizon_that_moved_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "FACTS_AT_ONCE", 3)
    world = a_world()
    left_at = world.at
    world.wait(9 * DAYS)
    world.join("t", "u2", "u2", "u2")
    world.give("t", UserFact("new", Membership.ADDED, left_at - DAY // 2, "evt_new"))
    world.at += 4 * DAY
    world.run()
    assert world.loaded().counts.needed == 2
    world.wait(14 * DAYS)
    assert set(world.do(world.store.whole_roster("t"))) == {"u2", "new"}


def test_a_tenant_whose_host_app_tells_of_its_past_keeps_its_tombstones() -> None:
    world = a_world()
    for _ in range(4):
        world.wait(5 * DAYS)
        world.give("t", UserFact("u2", Membership.ADDED, START - 300 * DAY, "evt_old"))
    world.run()
    assert set(world.do(world.store.whole_roster("t"))) == {"u0", "u1", "u2"}
