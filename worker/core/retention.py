"""Retention: how long what was said of people who have left is kept, and what may be dropped without changing anything.

A removed user's entry is a tombstone: it keeps an older fact that comes late from bringing the user back. It may be
dropped once it has nothing left to outrank but facts as old as the configured lifetime, and these are told apart by the
*horizon*: the newest tombstone that was ever dropped. Of a user who has no word of the host app on record, a fact that
is not newer than the horizon is not believed, since a dropped tombstone may have overruled it. Facts younger than the
lifetime are always newer than the horizon, so for them it is as if nothing had ever been dropped.

A tombstone is dropped when all of this holds:

- Its fact is older than the lifetime.
- Crovver does not list the user, and all of its list was read after the user was removed: an allocation that shows up
  later is newer than the removal, with and without the tombstone.
- For as long as the lifetime, no fact older than the lifetime has been heard of this tenant. A host app that is filling
  in its past, or that gives its users' birthdays for the time of an event, would be misunderstood otherwise.

E-mail addresses and names are needed for one thing, to record missing users in Crovver, and go sooner.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from worker.core.facts import Fact, UserFact
from worker.core.roster import NEVER, Entry, Key, Roster, Seat
from worker.core.times import DAY

EVERY = DAY
"""How often a tenant is gone through."""

AT_ONCE = 5_000
"""Entries that one pass may drop or change; the rest waits for the next."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Lifetimes, in microseconds: of journal entries, of tombstones, and of the personal data of removed users."""

    journal: int = 90 * DAY
    tombstones: int = 90 * DAY
    personal: int = 30 * DAY


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered about keeping, for one tenant.

    ``at`` is when it was last gone through, ``horizon`` the newest tombstone that was dropped, and ``old_news_at`` when
    a fact older than the lifetime of tombstones was last heard.
    """

    at: int = 0
    horizon: Key = NEVER
    old_news_at: int = 0

    def due(self, now: int) -> bool:
        """Whether the tenant is to be gone through."""
        return now >= self.at + EVERY


def hear(kept: Kept, facts: Iterable[Fact], retention: Retention, now: int) -> Kept:
    """Take note of facts that are older than they should be."""
    oldest = min((fact.at for fact in facts if isinstance(fact, UserFact)), default=now)
    return replace(kept, old_news_at=now) if oldest <= now - retention.tombstones else kept


def tidy(roster: Roster, kept: Kept, retention: Retention, now: int, read_at: int | None) -> Kept:
    """Drop tombstones and erase personal data whose time is over.

    ``roster`` must hold every entry of the tenant. ``read_at`` is when all of Crovver's list was last read, None where
    it never was.
    """
    quiet = now - kept.old_news_at >= retention.tombstones
    left = AT_ONCE
    for user in list(roster.users()):
        entry = roster.get(user)
        if entry is None or entry.needs:
            continue
        if quiet and read_at is not None and _is_over(entry, now - retention.tombstones, read_at):
            roster.horizon = max(roster.horizon, entry.key)
            roster.put(user, None)
        elif (entry.email or entry.name) and entry.newest[0] <= now - retention.personal:
            roster.put(user, replace(entry, email=None, name=None))
        else:
            continue
        left -= 1
        if left == 0:
            return replace(kept, horizon=roster.horizon)
    return replace(kept, at=now, horizon=roster.horizon)


def _is_over(entry: Entry, cut: int, read_at: int) -> bool:
    return entry.said is False and entry.seat is Seat.NONE and entry.at <= cut and entry.at < read_at
