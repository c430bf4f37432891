"""The roster: who should hold a seat, and who holds one in Crovver.

One entry per user keeps the newest fact about it and what Crovver shows. Each entry falls into exactly one class, and
every count is the size of a class: nothing is incremented, so nothing can be counted twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from worker.core.allocation import Allocation
from worker.core.facts import Membership, RosterFact, UserFact

Key = tuple[int, str]
"""What orders facts about a user: the instant, then the event id."""

NEVER: Key = (-1, "")

MOST_USERS = 100_000
"""Users a snapshot may name."""


class Seat(StrEnum):
    """What Crovver shows of a user."""

    NONE = "none"
    ACTIVE = "active"
    REMOVED = "removed"


class Standing(StrEnum):
    """The class an entry falls into."""

    SEATED = "seated"
    MISSING = "missing"
    ORPHANED = "orphaned"
    GONE = "gone"


# What every event asks for several times; Python 3.11 takes 0.2 µs to find a member of an enum by its name.
_ADDED = Membership.ADDED
_NO_SEAT, _ACTIVE, _REMOVED = Seat.NONE, Seat.ACTIVE, Seat.REMOVED
_SEATED, _MISSING, _ORPHANED, _GONE = Standing


class Entry(NamedTuple):
    """One user: the newest word of the host app about it, and its seat in Crovver.

    ``said`` is what the host app's newest fact, an event or a snapshot of ``(at, id)``, says of its seat; None where it
    has never said anything. ``seat_at`` is the instant that Crovver's row speaks of. Both are kept, so that a row that
    comes and goes never erases what the host app has said.

    A named tuple, as ``UserFact``: one of each is made for every event, which takes a frozen dataclass 0.9 µs.
    """

    said: bool | None
    at: int = 0
    id: str = ""
    seat: Seat = _NO_SEAT
    seat_at: int = 0
    email: str | None = None
    name: str | None = None

    @property
    def key(self) -> Key:
        """When the host app last spoke."""
        return NEVER if self.said is None else (self.at, self.id)

    @property
    def newest(self) -> Key:
        """When anybody last spoke. A host fact of the same instant outranks a row, which carries no event id."""
        return self.key if self.seat is _NO_SEAT else max(self.key, (self.seat_at, ""))

    @property
    def needs(self) -> bool:
        """Whether the newest fact says that it holds a seat."""
        # As ``newest > key`` says, and asked of every entry of every pass: without the tuples it takes a third.
        if self.seat is not _NO_SEAT and self.seat_at > (NEVER[0] if self.said is None else self.at):
            return self.seat is _ACTIVE
        return bool(self.said)

    @property
    def standing(self) -> Standing:
        if self.seat is _ACTIVE:
            return _SEATED if self.needs else _ORPHANED
        return _MISSING if self.needs else _GONE


UNHEARD_OF = Entry(None)
"""What is known of a user of whom nobody has said anything."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many users stand where; ``removed`` counts those Crovver lists as removed, whatever they need."""

    seated: int = 0
    missing: int = 0
    orphaned: int = 0
    gone: int = 0
    removed: int = 0

    @property
    def needed(self) -> int:
        """Users whose newest fact says they hold a seat."""
        return self.seated + self.missing

    @property
    def active(self) -> int:
        """Users with an active allocation, as far as Crovver has been read."""
        return self.seated + self.orphaned

    @property
    def listed(self) -> int:
        """Users Crovver lists at all, active or removed."""
        return self.active + self.removed


class RosterMoved(Exception):
    """The entries at hand are not those that were counted: someone has saved between the two readings."""


@dataclass(slots=True)
class Roster:
    """A working copy of one tenant's roster: stored counts, the entries at hand, and the changes made to them.

    ``entries`` must hold every stored entry of the users a fold will touch; an absent user is a user never heard of.
    ``floor`` is the newest roster snapshot applied: a fact that is not newer has been overruled for every user.
    ``horizon`` is the newest tombstone that was dropped, if one ever was (see ``worker.core.retention``): a fact that
    is not newer may have been overruled for every user of whom no word of the host app is on record.
    """

    stored: Counts = Counts()
    entries: dict[str, Entry] = field(default_factory=dict)
    floor: Key = NEVER
    horizon: Key = NEVER
    changes: dict[str, Entry | None] = field(default_factory=dict)

    def get(self, user: str) -> Entry | None:
        return self.changes[user] if user in self.changes else self.entries.get(user)

    def put(self, user: str, entry: Entry | None) -> None:
        if self.get(user) != entry:
            self.changes[user] = entry

    def known_since(self, user: str) -> Key:
        """The newest word of the host app about a user that may have been heard, were it kept or not."""
        entry = self.get(user)
        return self.horizon if entry is None or entry.said is None else entry.key

    def is_behind_horizon(self, user: str, key: Key) -> bool:
        """Whether a fact about a user counts for nothing only because it can't be known what it was overruled by."""
        entry = self.get(user)
        return (entry is None or entry.said is None) and self.floor < key <= self.horizon

    def users(self) -> Iterable[str]:
        """Every user at hand, changed or not."""
        return self.entries.keys() | self.changes.keys()

    def counts(self) -> Counts:
        """The counts with all changes applied.

        Raises:
            RosterMoved: entries that were read after the counts show that these have been overtaken.
        """
        tally = {standing: getattr(self.stored, standing) for standing in Standing}
        removed = self.stored.removed
        for user, new in self.changes.items():
            old = self.entries.get(user)
            if old is not None:
                tally[old.standing] -= 1
                removed -= old.seat is _REMOVED
            if new is not None:
                tally[new.standing] += 1
                removed += new.seat is _REMOVED
        if min(*tally.values(), removed) < 0:
            raise RosterMoved
        return Counts(removed=removed, **{standing.value: count for standing, count in tally.items()})


def count(entries: Mapping[str, Entry]) -> Counts:
    """The counts of a whole roster, from nothing: what every other way of counting must agree with."""
    tally = dict.fromkeys(Standing, 0)
    for entry in entries.values():
        tally[entry.standing] += 1
    removed = sum(entry.seat is _REMOVED for entry in entries.values())
    return Counts(removed=removed, **{standing.value: number for standing, number in tally.items()})


def apply_user(roster: Roster, fact: UserFact) -> bool:
    """Fold a user event. True where it was news; False where the host app has said something as new already."""
    known = roster.get(fact.user) or UNHEARD_OF
    key = (fact.at, fact.id)
    if key <= roster.floor or key <= (roster.horizon if known.said is None else known.key):
        return False
    said = fact.membership is _ADDED
    email, name = fact.email or known.email, fact.name or known.name
    roster.changes[fact.user] = Entry(said, fact.at, fact.id, known.seat, known.seat_at, email, name)
    return True


def removed_by(roster: Roster, fact: RosterFact) -> list[str]:
    """The users a snapshot would take the seat of: they need one, are not named, and nothing newer speaks for them."""
    named = {user.user for user in fact.users}
    key = (fact.at, fact.id)
    return [
        user
        for user in roster.users()
        if user not in named and (entry := roster.get(user)) is not None and entry.needs and entry.newest < key
    ]


def is_drastic(removed: int, needed: int) -> bool:
    """A snapshot that takes more than half of the users, and more than ten, is more likely a mistake than a wish."""
    return removed > 10 and removed * 2 > needed


def apply_snapshot(roster: Roster, fact: RosterFact) -> bool:
    """Fold a roster snapshot. ``roster`` must hold every entry of the tenant. False where a newer one is known."""
    key = (fact.at, fact.id)
    if key <= roster.floor:
        return False
    users = {user.user for user in fact.users}
    for user in list(roster.users()):
        entry = roster.get(user)
        # Also where a newer seat speaks for the user now: when that goes, the list is the host app's newest word.
        if entry is not None and user not in users and entry.key < key and (entry.said or entry.needs):
            roster.put(user, entry._replace(said=False, at=fact.at, id=fact.id))
    for named in fact.users:
        known = roster.get(named.user)
        overruled = roster.known_since(named.user) >= key
        if known is None and overruled:
            continue
        entry = known or UNHEARD_OF
        entry = entry._replace(email=named.email or entry.email, name=named.name or entry.name)
        if not overruled:
            entry = entry._replace(said=True, at=fact.at, id=fact.id)
        roster.put(named.user, entry)
    roster.floor = key
    return True


def apply_allocation(roster: Roster, row: Allocation) -> None:
    """Fold a row of Crovver's list. Of two readings the later one counts; whether it speaks for the user's need depends
    on what the host app has said since. An e-mail address or a name is taken from it only for users who need a seat."""
    known = roster.get(row.user) or UNHEARD_OF
    newer = known.said is None and roster.floor < min(roster.horizon, (row.at, ""))
    if known.key < roster.floor and not newer:
        # Whoever a snapshot named has a word as new as the snapshot: this user was not named. Of one whose row is newer
        # that need not be said, and a word would hide that a still newer one may have been dropped.
        at, ident = roster.floor
        known = known._replace(said=False, at=at, id=ident)
    seat = _ACTIVE if row.active else _REMOVED
    entry = known._replace(seat=seat, seat_at=row.at)
    if entry.needs:
        entry = entry._replace(email=known.email or row.email, name=known.name or row.name)
    roster.put(row.user, entry)


def apply_seated(roster: Roster, user: str) -> None:
    """Crovver has said that it seated a user on our own call: a consequence of a need, not a new fact about it."""
    known = roster.get(user)
    if known is not None:
        roster.put(user, known._replace(seat=_ACTIVE, seat_at=known.at))


def apply_absence(roster: Roster, listed: frozenset[str]) -> None:
    """After a complete, settled walk: whoever Crovver does not list holds no allocation, and none speaks for it."""
    for user in list(roster.users()):
        entry = roster.get(user)
        if entry is None or user in listed or entry.seat is _NO_SEAT:
            continue
        roster.put(user, None if entry.said is None else entry._replace(seat=_NO_SEAT, seat_at=0))
