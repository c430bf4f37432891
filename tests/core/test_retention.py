"""Retention: by default nothing said is ever lost; with a lifetime, nothing younger, and nothing older in silence."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core import retention
from worker.core.allocation import Allocation, Summary
from worker.core.facts import Membership, RosterFact, RosterUser, UserFact
from worker.core.fold import fold
from worker.core.journal import NoteKind
from worker.core.retention import Kept, Retention, hear, tidy
from worker.core.roster import (
    NEVER,
    Entry,
    Key,
    Roster,
    Seat,
    Standing,
    apply_absence,
    apply_allocation,
    apply_snapshot,
    apply_user,
    count,
)
from worker.core.tenant import Look, Tenant
from worker.core.times import DAY

LIFETIME = 10
RULES = Retention(journal=LIFETIME, tombstones=LIFETIME, personal=4)
FOR_GOOD = replace(RULES, tombstones=None)
USERS = [f"u{number}" for number in range(4)]
START = 100
GRACE = 2


@pytest.fixture(autouse=True, scope="module")
def short_grace() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "GRACE", GRACE)
        yield


@dataclass(slots=True)
class Side:
    """A tenant's roster, with or without retention, as passes save it."""

    rules: Retention | None
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
        if self.rules is not None:
            roster, before = self.working_copy(), len(self.entries)
            self.kept = tidy(roster, self.kept, self.rules, now, read_at)
            self.save(roster)
            self.dropped += before - len(self.entries)

    def standing(self) -> dict[str, Standing]:
        return {user: entry.standing for user, entry in self.entries.items() if entry.standing is not Standing.GONE}


class Pair:
    """The same things said to one who forgets and to one who does not, at an instant that only moves on.

    ``too_old`` are the users of whom something was said that the one who forgets may not believe, and says so.
    """

    def __init__(self, rules: Retention = RULES) -> None:
        self.now = START
        self.sides = (Side(rules), Side(None))
        self.too_old: set[str] = set()
        self.crovver: dict[str, tuple[bool, int]] = {}
        self.read_at: int | None = None
        self.serial = 0

    def step(self, kind: str, user: str, age: int) -> None:
        self.serial += 1
        ident, at = f"evt_{self.serial * 7919 % 1000:03}", self.now - age
        match kind:
            case "added" | "removed":
                if self.sides[0].working_copy().is_behind_horizon(user, (at, ident)):
                    self.too_old.add(user)
                self._each(lambda roster: apply_user(roster, UserFact(user, Membership(kind), at, ident)))
            case "roster":
                at = self.now - age % LIFETIME
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
        one, other = (
            {user: word for user, word in side.standing().items() if user not in self.too_old}
            for side in (forgetful, elephant)
        )
        assert one == other, (kind, user, age)

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
Steps = list[tuple[str, str, int]]


def steps(oldest: int) -> st.SearchStrategy[Steps]:
    return st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(USERS), st.integers(0, oldest)), max_size=60)


@settings(max_examples=500, deadline=None)
@given(steps(LIFETIME))
def test_nothing_that_is_dropped_changes_what_younger_facts_come_to(history: Steps) -> None:
    pair = Pair()
    for step in history:
        pair.step(*step)
    assert not pair.too_old, "nor is anything young called too old"


@settings(max_examples=500, deadline=None)
@given(steps(START))
def test_what_older_facts_come_to_is_the_same_too_or_is_told(history: Steps) -> None:
    pair = Pair()
    for step in history:
        pair.step(*step)


@settings(max_examples=500, deadline=None)
@given(steps(START))
def test_without_a_lifetime_nothing_is_ever_dropped_whatever_its_age(history: Steps) -> None:
    pair = Pair(FOR_GOOD)
    for step in history:
        pair.step(*step)
    assert pair.sides[0].dropped == 0
    assert not pair.too_old
    assert pair.sides[0].entries.keys() == pair.sides[1].entries.keys()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(USERS), st.booleans(), st.integers(0, START), st.booleans()), max_size=40))
def test_without_a_lifetime_the_newest_word_about_every_user_counts(said: list[tuple[str, bool, int, bool]]) -> None:
    side, now, newest = Side(FOR_GOOD), START, dict[str, tuple[int, str, bool]]()
    for number, (user, added, age, waits) in enumerate(said):
        fact = UserFact(user, Membership.ADDED if added else Membership.REMOVED, now - age, f"evt_{number:02}")
        roster = side.working_copy()
        apply_user(roster, fact)
        side.save(roster)
        newest[user] = max(newest.get(user, (-1, "", False)), (fact.at, fact.id, added))
        now += 3 * LIFETIME * waits
        side.tidy(now, read_at=now)
    assert {user: entry.needs for user, entry in side.entries.items()} == {u: word[2] for u, word in newest.items()}


@pytest.mark.parametrize(("oldest", "told"), [(LIFETIME + 1, False), (START, True)])
def test_the_same_over_long_histories_in_which_much_is_dropped(oldest: int, told: bool) -> None:
    rng = random.Random(11)
    dropped, too_old = 0, 0
    for _ in range(60):
        pair = Pair()
        for _ in range(300):
            pair.step(rng.choice(KINDS), rng.choice(USERS), rng.randrange(oldest))
        dropped += pair.sides[0].dropped
        too_old += len(pair.too_old)
    assert dropped > 100
    assert bool(too_old) is told


def roster_of(**entries: Entry) -> Roster:
    return Roster(count(entries), dict(entries))


GONE = Entry(False, 50, "evt_5", email="a@example.com", name="A")


def test_a_dropped_tombstone_still_outranks_what_is_older_and_no_newer_fact() -> None:
    roster = roster_of(u=GONE)
    kept = tidy(roster, Kept(), RULES, 50 + LIFETIME + GRACE, read_at=51)
    assert (roster.get("u"), kept.horizon, kept.at) == (None, (50, "evt_5"), 50 + LIFETIME + GRACE)
    later = Roster(roster.counts(), {}, horizon=kept.horizon)
    for at, ident in ((49, "evt_9"), (50, "evt_5"), (50, "evt_4")):
        assert not apply_user(later, UserFact("u", Membership.ADDED, at, ident))
    apply_snapshot(later, RosterFact((RosterUser("u", "late@example.com"),), 40, "ros_1"))
    assert later.get("u") is None, "nor does a list from before bring it back"
    assert apply_user(later, UserFact("u", Membership.ADDED, 50, "evt_6"))


@pytest.mark.parametrize(
    ("entry", "now", "read_at", "old_news_at"),
    [
        (GONE, 49 + LIFETIME + GRACE, 55, 0),
        (GONE, 50 + LIFETIME + GRACE, None, 0),
        (GONE, 50 + LIFETIME + GRACE, 50, 0),
        (GONE, 50 + LIFETIME + GRACE, 55, 51 + GRACE),
        (GONE._replace(seat=Seat.REMOVED, seat_at=40), 500, 499, 0),
        (GONE._replace(seat=Seat.ACTIVE, seat_at=40), 500, 499, 0),
        (GONE._replace(said=True), 500, 499, 0),
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


def said(at: int) -> UserFact:
    return UserFact("u", Membership.ADDED, at, "evt_1")


def test_a_host_app_that_tells_of_its_past_keeps_every_tombstone_for_a_lifetime() -> None:
    watched = Kept(at=7, old_news_at=7)
    assert hear(watched, [said(90), said(95)], RULES, 100).old_news_at == 100
    assert hear(watched, [RosterFact((), 90, "ros_1")], RULES, 100).old_news_at == 100
    assert hear(watched, [said(91), RosterFact((), 91, "ros_1")], RULES, 100) == watched
    assert hear(watched, [], RULES, 100) == watched


def test_nothing_is_known_of_the_time_before_a_tenant_was_watched() -> None:
    assert hear(Kept(), [], RULES, 100).old_news_at == 100, "another release may have had it before"
    assert hear(Kept(at=7), [], FOR_GOOD, 100).old_news_at == 100, "and with no lifetime nobody minds ages"


def folded(*facts: UserFact | RosterFact, horizon: Key, **entries: Entry) -> list[object]:
    roster = Roster(count(entries), dict(entries), horizon=horizon)
    notes = fold(Tenant("t", look=Look(1, Summary(0, 9, False, 0))), roster, facts, 100).notes
    return [note.data for note in notes if note.kind is NoteKind.TOO_OLD]


def test_a_fact_that_counts_for_nothing_because_of_the_horizon_is_told() -> None:
    old, horizon = said(40), (50, "evt_5")
    assert folded(old, horizon=horizon) == [{"count": 1, "events": [["+", "u", 40, "evt_1"]]}]
    assert folded(said(60), horizon=horizon) == []
    assert folded(old, horizon=NEVER) == []
    assert folded(old, horizon=horizon, u=GONE._replace(at=30)) == [], "it counts: a word of the host app is on record"
    assert folded(old, horizon=horizon, u=GONE._replace(at=45)) == [], "a newer word is"


def test_a_row_of_crovvers_that_comes_after_does_not_hide_that_a_newer_word_may_have_been_dropped() -> None:
    roster = Roster(floor=(30, "ros_1"), horizon=(50, "evt_5"))
    apply_allocation(roster, Allocation("u", True, 60))
    assert not apply_user(roster, said(40))
    assert roster.is_behind_horizon("u", (40, "evt_1"))
    apply_absence(roster, frozenset())
    assert roster.get("u") is None
    apply_allocation(roster, Allocation("u", True, 20))
    entry = roster.get("u")
    assert entry is not None
    assert entry.standing is Standing.ORPHANED, "a list of the host app is newer, and did not name the user"


def test_a_list_that_is_too_old_to_seat_somebody_tells_so() -> None:
    named = (RosterUser("known"), RosterUser("u"))
    assert folded(RosterFact(named, 40, "ros_1"), horizon=(50, "evt_5"), known=GONE._replace(at=30)) == [
        {"count": 1, "events": [["+", "u", 40, "ros_1"]]}
    ]


def test_what_is_told_of_facts_too_old_is_bounded() -> None:
    facts = [UserFact(f"u{number}", Membership.ADDED, 40, "evt_1") for number in range(1000)]
    [data] = folded(*facts, horizon=(50, "evt_5"))
    assert isinstance(data, dict)
    assert (data["count"], len(data["events"])) == (1000, 200)


def test_personal_data_goes_with_its_lifetime_unless_the_user_needs_a_seat() -> None:
    entries = {
        "gone": GONE._replace(at=90),
        "young": GONE._replace(at=97),
        "orphaned": GONE._replace(at=90, seat=Seat.ACTIVE, seat_at=60),
        "just seated and released": GONE._replace(at=60, seat=Seat.REMOVED, seat_at=97),
        "missing": GONE._replace(at=60, said=True),
        "of crovver": Entry(None, seat=Seat.REMOVED, seat_at=60, email="c@example.com"),
    }
    roster = Roster(count(entries), dict(entries))
    before = roster.counts()
    tidy(roster, Kept(), RULES, 100, None)
    assert set(roster.changes) == {"gone", "orphaned", "of crovver"}
    for user, entry in roster.changes.items():
        assert entry == entries[user]._replace(email=None, name=None)
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
    entries = {f"u{number}": GONE._replace(at=number) for number in range(8)}
    kept, passes = Kept(), 0
    while kept.due(DAY):
        roster = Roster(count(entries), dict(entries), horizon=kept.horizon)
        kept = tidy(roster, kept, RULES, DAY, read_at=DAY)
        entries = {user: entry for user in roster.users() if (entry := roster.get(user)) is not None}
        passes += 1
    assert (passes, entries, kept.horizon) == (3, {}, (7, "evt_5"))
    assert not kept.due(2 * DAY - 1)
