"""The roster: the newest fact about a user wins, whatever the order and however often facts are told."""

import random

from hypothesis import given
from hypothesis import strategies as st

from worker.core.allocation import Allocation
from worker.core.facts import Membership, RosterFact, RosterUser, UserFact
from worker.core.roster import (
    Entry,
    Roster,
    Seat,
    apply_absence,
    apply_allocation,
    apply_seated,
    apply_snapshot,
    apply_user,
    count,
    is_drastic,
)

USERS = st.sampled_from([f"u{number}" for number in range(6)])
TIMES = st.integers(0, 8)
EVENTS = st.builds(
    UserFact,
    user=USERS,
    membership=st.sampled_from(Membership),
    at=TIMES,
    id=st.integers(0, 30).map("evt_{:02}".format),
)
ROWS = st.builds(Allocation, user=USERS, active=st.booleans(), at=TIMES)
SNAPSHOTS = st.builds(
    RosterFact,
    users=st.lists(USERS, unique=True).map(lambda names: tuple(RosterUser(name) for name in names)),
    at=TIMES,
    id=st.integers(0, 30).map("ros_{:02}".format),
)


def consistent(events: list[UserFact]) -> list[UserFact]:
    """One event per (user, time, id): an id names one event."""
    return list({(event.user, event.at, event.id): event for event in events}.values())


def needing(roster: Roster) -> set[str]:
    return {user for user in roster.users() if (entry := roster.get(user)) is not None and entry.needs}


@given(st.lists(EVENTS).map(consistent), st.randoms())
def test_any_order_and_repetition_of_events_ends_in_the_newest_per_user(
    events: list[UserFact], rng: random.Random
) -> None:
    newest: dict[str, UserFact] = {}
    for event in events:
        if event.user not in newest or (event.at, event.id) > (newest[event.user].at, newest[event.user].id):
            newest[event.user] = event
    shuffled = [*events, *rng.choices(events, k=len(events))] if events else []
    rng.shuffle(shuffled)
    roster = Roster()
    for event in shuffled:
        apply_user(roster, event)
    assert needing(roster) == {user for user, event in newest.items() if event.membership is Membership.ADDED}


def test_4000_shuffled_duplicated_events_of_40_users_end_in_the_seats_a_simple_model_computes() -> None:
    rng = random.Random(7)
    events = [
        UserFact(f"u{rng.randrange(40)}", rng.choice(list(Membership)), rng.randrange(10**6), f"evt_{number}")
        for number in range(2000)
    ]
    last = {event.user: event for event in sorted(events, key=lambda event: (event.at, event.id))}
    told = [*events, *rng.choices(events, k=2000)]
    rng.shuffle(told)
    roster = Roster()
    for event in told:
        apply_user(roster, event)
    assert roster.counts().needed == sum(event.membership is Membership.ADDED for event in last.values())


Fact = UserFact | RosterFact | Allocation


def apply(roster: Roster, fact: Fact) -> None:
    match fact:
        case UserFact():
            apply_user(roster, fact)
        case RosterFact():
            apply_snapshot(roster, fact)
        case Allocation():
            apply_allocation(roster, fact)


@given(st.lists(EVENTS | ROWS | SNAPSHOTS), st.integers(0, 30))
def test_counts_kept_by_change_agree_with_counts_from_nothing(facts: list[Fact], saved_after: int) -> None:
    roster = Roster()
    for number, fact in enumerate(facts):
        if number == saved_after:
            entries = {user: entry for user in roster.users() if (entry := roster.get(user)) is not None}
            roster = Roster(count(entries), entries, roster.floor)
        apply(roster, fact)
    final = {user: entry for user in roster.users() if (entry := roster.get(user)) is not None}
    assert roster.counts() == count(final)


@given(st.lists(EVENTS).map(consistent), SNAPSHOTS, st.randoms())
def test_a_snapshot_and_events_give_the_same_in_any_order(
    events: list[UserFact], snapshot: RosterFact, rng: random.Random
) -> None:
    facts: list[Fact] = [*events, snapshot]
    outcomes = []
    for _ in range(2):
        rng.shuffle(facts)
        roster = Roster()
        for fact in facts:
            apply(roster, fact)
        outcomes.append(needing(roster))
    assert outcomes[0] == outcomes[1]


@given(st.lists(EVENTS | ROWS | SNAPSHOTS))
def test_telling_everything_twice_changes_nothing(facts: list[Fact]) -> None:
    roster = Roster()
    for fact in facts:
        apply(roster, fact)
    before = needing(roster)
    for fact in facts:
        if not isinstance(fact, Allocation):
            apply(roster, fact)
    assert needing(roster) == before


def test_a_host_event_outranks_crovvers_allocation_of_the_same_instant() -> None:
    for order in (0, 1):
        roster = Roster()
        facts: list[Fact] = [UserFact("u", Membership.REMOVED, 5, "evt_1"), Allocation("u", True, 5)]
        for fact in facts if order else reversed(facts):
            apply(roster, fact)
        assert roster.counts().orphaned == 1


def test_a_newer_allocation_speaks_for_a_user_that_the_host_had_removed() -> None:
    roster = Roster()
    apply_user(roster, UserFact("u", Membership.REMOVED, 5, "evt_1"))
    apply_allocation(roster, Allocation("u", True, 6))
    assert roster.counts().seated == 1


def test_absence_ends_a_seat_but_not_what_the_host_app_said() -> None:
    entries = {
        "host": Entry(True, 5, "e", Seat.ACTIVE, 6),
        "crovver": Entry(None, seat=Seat.ACTIVE, seat_at=5),
        "listed": Entry(None, seat=Seat.ACTIVE, seat_at=5),
    }
    roster = Roster(count(entries), entries)
    apply_absence(roster, frozenset({"listed"}))
    assert (roster.counts().missing, roster.counts().seated, roster.get("crovver")) == (1, 1, None)


def test_drastic_is_more_than_half_and_more_than_ten() -> None:
    assert is_drastic(11, 21)
    assert not is_drastic(10, 12)
    assert not is_drastic(11, 22)


def test_what_the_host_app_said_outlives_an_allocation_that_comes_and_goes() -> None:
    roster = Roster()
    apply_user(roster, UserFact("u", Membership.ADDED, 5, "evt_1"))
    apply_allocation(roster, Allocation("u", True, 6))
    apply_absence(roster, frozenset())
    assert roster.counts().missing == 1


def test_a_removal_is_not_outranked_by_the_seat_that_our_own_repair_made() -> None:
    roster = Roster()
    apply_user(roster, UserFact("u", Membership.ADDED, 5, "evt_1"))
    apply_seated(roster, "u")
    assert roster.counts().seated == 1
    apply_user(roster, UserFact("u", Membership.REMOVED, 6, "evt_2"))
    assert roster.counts().orphaned == 1


@given(st.lists(EVENTS).map(consistent), st.lists(ROWS), SNAPSHOTS, st.randoms())
def test_readings_in_one_order_with_events_and_a_snapshot_anywhere_between_end_the_same(
    events: list[UserFact], rows: list[Allocation], snapshot: RosterFact, rng: random.Random
) -> None:
    outcomes = []
    for _ in range(2):
        facts: list[Fact] = [*events, snapshot]
        rng.shuffle(facts)
        slots = sorted(rng.choices(range(len(facts) + 1), k=len(rows)), reverse=True)
        for slot, row in zip(slots, reversed(rows), strict=True):
            facts.insert(slot, row)
        roster = Roster()
        for fact in facts:
            apply(roster, fact)
        outcomes.append(needing(roster))
    assert outcomes[0] == outcomes[1]


def test_a_list_is_the_host_apps_newest_word_about_whoever_it_leaves_out_even_where_a_newer_seat_speaks() -> None:
    roster = Roster()
    apply_user(roster, UserFact("u", Membership.ADDED, 100, "evt_1"))
    apply_allocation(roster, Allocation("u", True, 300))
    apply_snapshot(roster, RosterFact((), 200, "ros_1"))
    assert roster.counts().seated == 1
    apply_absence(roster, frozenset())
    assert roster.counts().needed == 0
