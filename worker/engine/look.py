"""Look: observe what Crovver shows of a tenant, with as few calls as will do.

A first look, and one now and then, reads all pages. Between them one page is enough as long as its summary agrees with
what is known; where it does not, the last page may explain it, and only then all pages are read again.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from worker.core import roster as rosters
from worker.core.allocation import Allocation, Summary
from worker.core.journal import Note, NoteKind
from worker.core.roster import Roster
from worker.core.tenant import Look, Tenant, Trouble, TroubleKind
from worker.core.times import MINUTE, SECOND
from worker.crovver.errors import CrovverError, Refused
from worker.crovver.walk import PAGE_SIZE, walk
from worker.engine.ports import Ports
from worker.store.interface import Loaded

FIRST_WAIT = SECOND
LAST_WAIT = MINUTE
LONG_WAIT = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Observed:
    """The record after a look; ``fresh`` says that Crovver was read completely. The roster was updated in place."""

    tenant: Tenant
    fresh: bool
    notes: tuple[Note, ...] = ()


async def know(ports: Ports, loaded: Loaded, roster: Roster, users: Iterable[str]) -> None:
    """Have the stored entries of these users at hand in the working copy."""
    if not loaded.whole and (wanted := [user for user in users if user not in roster.entries]):
        roster.entries.update(await ports.store.entries(loaded.tenant.id, wanted))


async def know_all(ports: Ports, loaded: Loaded, roster: Roster) -> None:
    """Have every stored entry at hand in the working copy."""
    if not loaded.whole:
        roster.entries.update(await ports.store.whole_roster(loaded.tenant.id))


async def observe(ports: Ports, loaded: Loaded, roster: Roster) -> Observed:
    """Look at Crovver. A failure becomes part of the record: what it was, since when, and when to try again."""
    tenant = loaded.tenant
    try:
        look, reads = await _read(ports, loaded, roster)
    except CrovverError as error:
        return _failed(ports, tenant, error, loaded.now)
    if look is None:
        why = "seats kept changing while they were read"
        trouble = _trouble(tenant, TroubleKind.UNSETTLED, why, loaded.now, LAST_WAIT)
        return Observed(replace(tenant, trouble=trouble), fresh=False)
    notes: list[Note] = []
    known = tenant.look
    if known is None or known.summary != look.summary or tenant.trouble is not None:
        notes.append(_look_note(look.summary, reads))
    return Observed(replace(tenant, look=look, trouble=None), fresh=True, notes=tuple(notes))


async def _read(ports: Ports, loaded: Loaded, roster: Roster) -> tuple[Look | None, int]:
    """The look, or None where seats would not hold still; and how many pages it took."""
    tenant, known = loaded.tenant, loaded.tenant.look
    first = await ports.crovver.allocations_page(tenant.id, page=1, limit=PAGE_SIZE, status="all")
    walked_at = known.walked_at if known else None
    reads = 1
    page = _fingerprint(first.rows, roster, loaded.now)
    recently = walked_at is not None and loaded.now < walked_at + ports.pace.walk_every
    if known is not None and page and (page, first.summary) == (known.page, known.summary):
        # The very page that was seen before, and the roster has its rows: nothing has moved.
        if first.total_pages == 1:
            known = replace(known, walked_at=loaded.now)
        if (recently or first.total_pages == 1) and known.agrees(roster.counts()):
            return replace(known, at=loaded.now), reads
    if first.total_pages > 1 and recently:
        assert known is not None
        look = replace(known, at=loaded.now, summary=first.summary, page=page)
        await _apply(ports, loaded, roster, first.rows)
        if look.agrees(roster.counts()):
            return look, reads
        last = await ports.crovver.allocations_page(tenant.id, page=first.total_pages, limit=PAGE_SIZE, status="all")
        reads += 1
        await _apply(ports, loaded, roster, last.rows)
        look = replace(look, summary=last.summary)
        if look.agrees(roster.counts()):
            return look, reads
        first = await ports.crovver.allocations_page(tenant.id, page=1, limit=PAGE_SIZE, status="all")
        page = _fingerprint(first.rows, roster, loaded.now)
        reads += 1
    walked = await walk(ports.crovver.allocations_page, tenant.id, first=first, together=ports.together)
    reads += walked.reads
    await _apply(ports, loaded, roster, walked.rows)
    if not walked.settled:
        look = Look(loaded.now, walked.summary, walked_at, known.unexplained if known else (0, 0))
        return (look if look.agrees(roster.counts()) else None), reads
    users = frozenset(row.user for row in walked.rows)
    if roster.counts().listed > len(users):
        # Only then may somebody be known to have an allocation who is not listed any more.
        await know_all(ports, loaded, roster)
        rosters.apply_absence(roster, users)
    counts = roster.counts()
    unexplained = (walked.summary.active_count - counts.active, walked.summary.total - counts.listed)
    return Look(loaded.now, walked.summary, loaded.now, unexplained, page), reads


def _fingerprint(rows: Sequence[Allocation], roster: Roster, now: int) -> str:
    """What tells a page, and what its rows mean for this roster, from any other; '' where that changes with time."""
    if any(row.at > now for row in rows):
        return ""
    words = [f"{row.user!r} {row.active:d} {row.at} {row.email!r} {row.name!r}" for row in rows]
    text = "\n".join([f"{roster.floor} {roster.horizon}", *words])
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


async def _apply(ports: Ports, loaded: Loaded, roster: Roster, rows: tuple[Allocation, ...]) -> None:
    await know(ports, loaded, roster, (row.user for row in rows))
    for row in rows:
        # A row from the future would outrank every event until then.
        rosters.apply_allocation(roster, row if row.at <= loaded.now else replace(row, at=loaded.now))


def _failed(ports: Ports, tenant: Tenant, error: CrovverError, now: int) -> Observed:
    kind, longest = TroubleKind.UNREACHABLE, LAST_WAIT
    if isinstance(error, Refused):
        longest = LONG_WAIT
        kind = TroubleKind.CREDENTIALS if error.credentials else TroubleKind.REFUSED
        if error.no_subscription:
            # Nothing is broken: a tenant that never subscribes is looked at no more often than any other.
            kind, longest = TroubleKind.NO_SUBSCRIPTION, max(LONG_WAIT, ports.policy.sweep_every)
    trouble = _trouble(tenant, kind, str(error), now, longest, error.retry_after)
    changed = tenant.trouble is None or tenant.trouble.kind is not kind
    note = Note(NoteKind.TROUBLE, {"trouble": kind.value, "message": trouble.message})
    return Observed(replace(tenant, trouble=trouble), fresh=False, notes=(note,) if changed else ())


def _trouble(
    tenant: Tenant, kind: TroubleKind, message: str, now: int, longest: int, retry_after: int | None = None
) -> Trouble:
    """The trouble as it stands after one more failure: asked again soon at first, then less and less often."""
    before = tenant.trouble
    if before is not None and TroubleKind.NO_SUBSCRIPTION in (before.kind, kind) and before.kind is not kind:
        before = None  # that was an answer, and this is not, or the other way round
    attempts = (before.attempts if before else 0) + 1
    wait = min(FIRST_WAIT << min(attempts - 1, 20), longest)
    wait = max(wait, min((retry_after or 0) * SECOND, LONG_WAIT))
    return Trouble(kind, message[:300], before.since if before else now, attempts, now + wait)


def _look_note(summary: Summary, reads: int) -> Note:
    return Note(
        NoteKind.LOOK,
        {
            "active": summary.active_count,
            "capacity": summary.capacity_units,
            "exceeded": summary.exceeded,
            "listed": summary.total,
            "reads": reads,
        },
    )
