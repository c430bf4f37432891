"""Retention: what is dropped changes nothing for whatever is said within its lifetime."""

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core import retention
from worker.core.allocation import Allocation
from worker.core.facts import Membership, RosterFact, RosterUser, UserFact
from worker.core.retention import Kept, Retention, hear, tidy
from worker.core.roster import (
    NEVER,
    Entry,
    Roster,
    Seat,
    Standing,
    apply_absence,
    apply_allocation,
    apply_snapshot,
    apply_user,
    count,
)
from worker.core.times import DAY

LIFETIME = 10
RULES = Retention(journal=LIFETIME, tombstones=LIFETIME, personal=4)
USERS = [f"u{number}" for number in range(4)]
START = 100


@dataclass(slots=True)
class Side:
    """A tenant's roster, with or without retention, as passes save it."""

    tidies: bool
    entries: dict[str, Entry] = field(default_factory=dict)
    floor: tuple[int, str] = NEVER
    kept: Kept = field(default_factory=Kept)
    dropped: int = 0

    def working_copy(self) -> Roster:
        return Roster(count(self.entries), dict(self.entries), self.floor, self.kept.horizon)

    def save(self, roster: Roster) -> None:
        for user, entry in roster.changes.items():
            if entry is None:
                self.entries.pop(user, None)
            else:
                self.entries[user] = entry
        self.floor = roster.floor
        assert roster.counts() == count(self.entries)

    def tidy(self, now: int, read_at: int | None) -> None:
        if self.tidies:
            roster, before = self.working_copy(), len(self.entries)
            self.kept = tidy(roster, self.kept, RULES, now, read_at)
            self.save(roster)
            self.dropped += before - len(self.entries)

    def standing(self) -> dict[str, Standing]:
        return {user: entry.standing for user, entry in self.entries.items() if entry.standing is not Standing.GONE}


class Pair:
    """The same things said to one who forgets and to one who does not, at an instant that only moves on."""

    def __init__(self) -> None:
        self.now = START
        self.sides = (Side(tidies=True), Side(tidies=False))
        self.crovver: dict[str, tuple[bool, int]] = {}
        self.read_at: int | None = None
        self.serial = 0

    def step(self, kind: str, user: str, age: int) -> None:
        self.serial += 1
        ident, at = f"evt_{self.serial * 7919 % 1000:03}", self.now - age
        match kind:
            case "added" | "removed":
                self._each(lambda roster: apply_user(roster, UserFact(user, Membership(kind), at, ident)))
            case "roster":
                named = tuple(RosterUser(name) for number, name in enumerate(USERS) if (number + self.serial) % 2)
                self._each(lambda roster: apply_snapshot(roster, RosterFact(named, at, ident)))
            case "allocate" | "release":
                self.crovver[user] = (kind == "allocate", self.now)
            case "vanish":
                self.crovver.pop(user, None)
            case "look":
                rows = [Allocation(name, active, since) for name, (active, since) in self.crovver.items()]
                self._each(lambda roster: self._look(roster, rows))
                self.read_at = self.now
            case "tidy":
                for side in self.sides:
                    side.tidy(self.now, self.read_at)
            case "wait":
                self.now += age + 1
        forgetful, elephant = self.sides
        assert forgetful.standing() == elephant.standing(), (kind, user, age)

    def _each(self, say) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        for side in self.sides:
            roster = side.working_copy()
            say(roster)
            side.save(roster)

    @staticmethod
    def _look(roster: Roster, rows: list[Allocation]) -> None:
        for row in rows:
            apply_allocation(roster, row)
        apply_absence(roster, frozenset(row.user for row in rows))


KINDS = ["added", "removed", "roster", "allocate", "release", "vanish", "look", "tidy", "wait"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(USERS), st.integers(0, LIFETIME - 1)), max_size=60)


@settings(max_examples=500, deadline=None)
@given(STEPS)
def test_nothing_that_is_dropped_changes_what_younger_facts_come_to(steps: list[tuple[str, str, int]]) -> None:
    pair = Pair()
    for step in steps:
        pair.step(*step)


def test_the_same_over_long_histories_in_which_much_is_dropped() -> None:
    rng = random.Random(11)
    dropped = 0
    for _ in range(60):
        pair = Pair()
        for _ in range(300):
            pair.step(rng.choice(KINDS), rng.choice(USERS), rng.randrange(LIFETIME))
        dropped += pair.sides[0].dropped
    assert dropped > 100


def roster_of(**entries: Entry) -> Roster:
    return Roster(count(entries), dict(entries))


GONE = Entry(False, 50, "evt_5", email="a@example.com", name="A")


def test_a_dropped_tombstone_still_outranks_what_is_older_and_no_newer_fact() -> None:
    roster = roster_of(u=GONE)
    kept = tidy(roster, Kept(), RULES, 50 + LIFETIME, read_at=51)
    assert (roster.get("u"), kept.horizon, kept.at) == (None, (50, "evt_5"), 50 + LIFETIME)
    later = Roster(roster.counts(), {}, horizon=kept.horizon)
    for at, ident in ((49, "evt_9"), (50, "evt_5"), (50, "evt_4")):
        assert not apply_user(later, UserFact("u", Membership.ADDED, at, ident))
    apply_snapshot(later, RosterFact((RosterUser("u", "late@example.com"),), 40, "ros_1"))
    assert later.get("u") is None, "nor does a list from before bring it back"
    assert apply_user(later, UserFact("u", Membership.ADDED, 50, "evt_6"))


@pytest.mark.parametrize(
    ("entry", "now", "read_at", "old_news_at"),
    [
        (GONE, 49 + LIFETIME, 55, 0),
        (GONE, 50 + LIFETIME, None, 0),
        (GONE, 50 + LIFETIME, 50, 0),
        (GONE, 50 + LIFETIME, 55, 51),
        (replace(GONE, seat=Seat.REMOVED, seat_at=40), 500, 499, 0),
        (replace(GONE, seat=Seat.ACTIVE, seat_at=40), 500, 499, 0),
        (replace(GONE, said=True), 500, 499, 0),
    ],
    ids=["young", "never read", "not read since", "old news", "listed as removed", "orphaned", "needed"],
)
def test_a_tombstone_that_may_still_be_needed_stays(
    entry: Entry, now: int, read_at: int | None, old_news_at: int
) -> None:
    roster = roster_of(u=entry)
    kept = tidy(roster, Kept(old_news_at=old_news_at), RULES, now, read_at)
    assert roster.get("u") is not None
    assert kept.horizon == NEVER


def test_a_host_app_that_tells_of_its_past_keeps_every_tombstone_for_a_lifetime() -> None:
    def said(at: int) -> UserFact:
        return UserFact("u", Membership.ADDED, at, "evt_1")

    assert hear(Kept(), [said(90), said(95)], RULES, 100).old_news_at == 100
    assert hear(Kept(), [said(91)], RULES, 100).old_news_at == 0
    assert hear(Kept(old_news_at=7), [], RULES, 100).old_news_at == 7


def test_personal_data_goes_with_its_lifetime_unless_the_user_needs_a_seat() -> None:
    entries = {
        "gone": replace(GONE, at=90),
        "young": replace(GONE, at=97),
        "orphaned": replace(GONE, at=90, seat=Seat.ACTIVE, seat_at=60),
        "just seated and released": replace(GONE, at=60, seat=Seat.REMOVED, seat_at=97),
        "missing": replace(GONE, at=60, said=True),
        "of crovver": Entry(None, seat=Seat.REMOVED, seat_at=60, email="c@example.com"),
    }
    roster = Roster(count(entries), dict(entries))
    before = roster.counts()
    tidy(roster, Kept(), RULES, 100, None)
    assert set(roster.changes) == {"gone", "orphaned", "of crovver"}
    for user, entry in roster.changes.items():
        assert entry == replace(entries[user], email=None, name=None)
    assert roster.counts() == before


def test_crovvers_list_brings_personal_data_only_of_those_who_need_a_seat() -> None:
    roster = Roster()
    apply_user(roster, UserFact("left", Membership.REMOVED, 50, "evt_1"))
    for user, active in (("left", True), ("here", True), ("released", False)):
        apply_allocation(roster, Allocation(user, active, 40, f"{user}@example.com", "Name"))
    contacts = {user: entry.email for user in roster.users() if (entry := roster.get(user)) is not None}
    assert contacts == {"left": None, "here": "here@example.com", "released": None}


def test_a_pass_does_a_bounded_part_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 3)
    entries = {f"u{number}": replace(GONE, at=number) for number in range(8)}
    kept, passes = Kept(), 0
    while kept.due(DAY):
        roster = Roster(count(entries), dict(entries), horizon=kept.horizon)
        kept = tidy(roster, kept, RULES, DAY, read_at=DAY)
        entries = {user: entry for user in roster.users() if (entry := roster.get(user)) is not None}
        passes += 1
    assert (passes, entries, kept.horizon) == (3, {}, (7, "evt_5"))
    assert not kept.due(2 * DAY - 1)
