"""Retention: how long what was said of people who have left is kept, and what may be dropped without changing anything.

A removed user's entry is a tombstone: it keeps an older fact that comes late from bringing the user back. Once it is
dropped, such a fact looks like any other about a user never heard of: that somebody has been there for years, say. So
tombstones are kept for good unless the operator gives them a lifetime. They are small: e-mail addresses and names are
needed for one thing, to record missing users in Crovver, and go sooner in any case.

Where there is a lifetime, the doors refuse what is older, and the *horizon*, the newest tombstone that was ever
dropped, tells what is left: of a user who has no word of the host app on record, a fact that is not newer than the
horizon is not believed, and the journal says so (``too_old``), since a dropped tombstone may have overruled it. Facts
that were taken in while they were younger than the lifetime are always newer than the horizon, so for them it is as if
nothing had ever been dropped.

A tombstone is dropped when all of this holds:

- Its fact is older than the lifetime, by a margin (``GRACE``), and no fact waits that was taken in before.
- Crovver does not list the user, and all of its list was read after the user was removed: an allocation that shows up
  later is newer than the removal, with and without the tombstone.
- For as long as the lifetime, the tenant has been watched and no fact older than the lifetime has been heard of it. A
  host app that is filling in its past, by ways that no door guards, would be misunderstood otherwise.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from worker.core.facts import Fact, RosterFact, UserFact
from worker.core.roster import NEVER, Entry, Key, Roster, Seat
from worker.core.times import DAY

EVERY = DAY
"""How often a tenant is gone through."""

GRACE = DAY
"""By how much a tombstone outlives its lifetime: what a door has just let in by another clock is still judged by it."""

AT_ONCE = 5_000
"""Entries that one pass may drop or change; the rest waits for the next."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Lifetimes, in microseconds: of journal entries, of tombstones (None: kept for good), and of the personal data of
    removed users."""

    journal: int = 90 * DAY
    tombstones: int | None = None
    personal: int = 30 * DAY


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered about keeping, for one tenant.

    ``at`` is when it was last gone through, ``horizon`` the newest tombstone that was dropped, and ``old_news_at`` the
    last instant of which it can't be said that no fact older than the lifetime of tombstones was heard.
    """

    at: int = 0
    horizon: Key = NEVER
    old_news_at: int = 0

    def due(self, now: int) -> bool:
        """Whether the tenant is to be gone through."""
        return now >= self.at + EVERY


def hear(kept: Kept, facts: Iterable[Fact], retention: Retention, now: int) -> Kept:
    """Take note of facts that are older than they should be; of a time at which nobody did, nothing is known."""
    if retention.tombstones is None or kept.at == 0:
        return replace(kept, old_news_at=now)
    oldest = min((fact.at for fact in facts if isinstance(fact, UserFact | RosterFact)), default=now)
    return replace(kept, old_news_at=now) if oldest <= now - retention.tombstones else kept


def tidy(roster: Roster, kept: Kept, retention: Retention, now: int, read_at: int | None) -> Kept:
    """Drop tombstones and erase personal data whose time is over.

    ``roster`` must hold every entry of the tenant, and every fact taken in before must have been folded. ``read_at`` is
    when all of Crovver's list was last read, None where it never was, or not all of it could be.
    """
    cut = _cut(kept, retention, now)
    left = AT_ONCE
    for user in list(roster.users()):
        entry = roster.get(user)
        if entry is None or entry.needs:
            continue
        if cut is not None and read_at is not None and _is_over(entry, cut, read_at):
            roster.horizon = max(roster.horizon, entry.key)
            roster.put(user, None)
        elif (entry.email or entry.name) and entry.newest[0] <= now - retention.personal:
            roster.put(user, entry._replace(email=None, name=None))
        else:
            continue
        left -= 1
        if left == 0:
            return replace(kept, horizon=roster.horizon)
    return replace(kept, at=now, horizon=roster.horizon)


def _cut(kept: Kept, retention: Retention, now: int) -> int | None:
    """The newest instant that a tombstone to be dropped may be of; None where none is to be."""
    if retention.tombstones is None or now - kept.old_news_at < retention.tombstones:
        return None
    return now - retention.tombstones - GRACE


def _is_over(entry: Entry, cut: int, read_at: int) -> bool:
    return entry.said is False and entry.seat is Seat.NONE and entry.at <= cut and entry.at < read_at
