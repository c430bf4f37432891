"""The store in memory: for the simulator, and as the plainest statement of what the Redis one does.

It passes the same tests. Values are kept as they are; the clock is the caller's. ``step`` is awaited before every
operation, so that a simulator can let others go first, or fail the operation.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from worker.core.facts import Fact, PaymentFact, UserFact
from worker.core.journal import Json
from worker.core.roster import Entry, Standing, count
from worker.core.tenant import Status, Tenant
from worker.core.times import HOUR, SECOND
from worker.core.upgrade import CLOSED, State, Upgrade
from worker.store.checkouts import PARKED_AT_MOST, names_of
from worker.store.errors import InboxFull
from worker.store.interface import (
    FACTS_AT_ONCE,
    INBOX_LIMIT,
    SMALL_ROSTER,
    UNKNOWN_FULLNESS,
    WENT_BACK,
    Backlog,
    Census,
    Claimed,
    Commit,
    Ending,
    ListedTenant,
    Loaded,
    Mark,
    Order,
    ParkedPayment,
    Record,
    Stuck,
    StuckUpgrade,
    TenantPage,
    TenantRow,
    UpgradeRow,
    Wake,
)
from worker.store.memory_alerts import MemoryAlerts


@dataclass(slots=True)
class _Kept:
    """What is kept of one tenant."""

    record: Tenant
    version: int = 0
    by: str = ""
    inbox: list[tuple[int, str, Fact]] = field(default_factory=list)
    roster: dict[str, Entry] = field(default_factory=dict)
    journal: list[tuple[int, dict[str, Json]]] = field(default_factory=list)


async def _at_once(operation: str) -> None:
    """The step of a store that nobody interrupts."""


class MemoryStore(MemoryAlerts):
    """Implements ``worker.store.interface.Store`` in one process."""

    def __init__(
        self,
        clock: Callable[[], int],
        step: Callable[[str], Awaitable[None]] = _at_once,
        *,
        journal_length: int = 1000,
        inbox_limit: int = INBOX_LIMIT,
    ) -> None:
        super().__init__(clock, step)
        self.journal_length = journal_length
        self.inbox_limit = inbox_limit
        self._kept: dict[str, _Kept] = {}
        self._due: dict[str, int] = {}
        self._leases: dict[str, tuple[int, str]] = {}
        self._again: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self._serial = 0
        self._statuses: dict[str, Status] = {}
        self._since: dict[str, int] = {}
        self._fullness: dict[str, float] = {}
        self._moved: dict[str, int] = {}
        self._upgrades: dict[str, tuple[int, State, str]] = {}
        self._links: dict[str, str] = {}
        self._parked: dict[str, ParkedPayment] = {}
        self._next_call = 0
        self._counts: dict[str, int] = {}
        self._sources: dict[str, int] = {}
        self._ended_sessions: dict[str, int] = {}
        self._bell = asyncio.Event()
        self._identity: Mark | None = None
        self._replaces: set[str] = set()

    async def now(self) -> int:
        await self.step("now")
        return self.clock()

    async def ping(self) -> None:
        await self.step("ping")

    async def vouch(self, known: str, seen_at: int, fresh: str) -> Mark:
        await self.step("vouch")
        now = self.clock()
        mark = self._identity or Mark(fresh, now, now, None, now)
        is_copy = known == mark.identity and mark.seen_at + WENT_BACK < seen_at
        if is_copy or (known not in ("", mark.identity) and known not in self._replaces):
            self._replaces.add(known)
            mark = replace(mark, lost_at=now if mark.lost_at is None else mark.lost_at)
            mark = replace(mark, identity=fresh, made_at=now) if is_copy else mark
        if mark.seen_at + 10 * SECOND <= now:
            mark = replace(mark, seen_at=now)
        self._identity = replace(mark, now=now)
        return self._identity

    async def lost_at(self) -> int | None:
        await self.step("lost_at")
        return self._identity.lost_at if self._identity else None

    async def end_loss(self, lost_at: int) -> bool:
        await self.step("end_loss")
        if self._identity is None or self._identity.lost_at != lost_at:
            return False
        self._identity = replace(self._identity, lost_at=None)
        return True

    async def aclose(self) -> None:
        """Nothing to close."""

    async def append(
        self, facts: Mapping[str, Sequence[Fact]], *, settle: int = 0, bounded: bool = True, trace: str = ""
    ) -> None:
        await self.step("append")
        full, now = None, self.clock()
        for tenant, batch in facts.items():
            inbox = self._tenant(tenant).inbox
            if bounded and len(inbox) + len(batch) > self.inbox_limit:
                full = full or tenant
            else:
                inbox.extend((now, trace, fact) for fact in batch)
        self._mark(facts, settle)
        if full is not None:
            raise InboxFull(full, self.inbox_limit)

    async def mark_due(self, tenants: Iterable[str], *, delay: int = 0) -> None:
        await self.step("mark_due")
        self._mark(tenants, delay)

    async def claim_due(self, limit: int, lease: int) -> Claimed:
        await self.step("claim_due")
        now = self.clock()
        ended = [tenant for tenant, (until, _) in self._leases.items() if until <= now]
        for tenant in heapq.nsmallest(limit, ended, key=lambda name: (self._leases[name][0], name)):
            del self._leases[tenant]
            self._again.pop(tenant, None)
            self._due[tenant] = min(now, self._due.get(tenant, now))
        ready = [(at, tenant) for tenant, at in self._due.items() if at <= now]
        wakes = []
        for since, tenant in heapq.nsmallest(limit, ready):
            self._serial += 1
            del self._due[tenant]
            self._leases[tenant] = (now + lease, str(self._serial))
            self._waiting.setdefault(tenant, since)
            wakes.append(Wake(tenant, str(self._serial)))
        upcoming = [*self._due.values(), *(until for until, _ in self._leases.values())]
        return Claimed(tuple(wakes), max(0, min(upcoming) - now) if upcoming else None)

    async def adopt(self, after: str | None, limit: int) -> str | None:
        await self.step("adopt")
        names = sorted(self._statuses, key=lambda name: name.encode())
        found = [name for name in names if after is None or name.encode() > after.encode()][:limit]
        for name in found:
            if name not in self._due and name not in self._leases:
                self._due[name] = self.clock()
        return found[-1] if len(found) == limit else None

    async def wait_bell(self, seconds: float) -> None:
        await self.step("wait_bell")
        try:
            await asyncio.wait_for(self._bell.wait(), seconds)
        except TimeoutError:
            return
        self._bell.clear()

    async def renew(self, wake: Wake, lease: int) -> bool:
        await self.step("renew")
        held = self._leases.get(wake.tenant)
        if held is None or held[1] != wake.token:
            return False
        self._leases[wake.tenant] = (self.clock() + lease, wake.token)
        return True

    async def finish(
        self,
        wake: Wake,
        look_at: int,
        status: Status,
        upgrades: Sequence[Upgrade],
        fullness: float | None = None,
        *,
        saved_by: str | None = None,
    ) -> None:
        await self.step("finish")
        tenant = wake.tenant
        kept = self._kept.get(tenant)
        if saved_by is not None and (kept is None or kept.by != saved_by):
            look_at = self.clock()
        held = self._leases.get(tenant)
        if wake.token and (held is None or held[1] != wake.token) and (held or tenant not in self._statuses):
            if held:
                self._again[tenant] = min(look_at, self._again.get(tenant, look_at))
            return
        if self._statuses.get(tenant) is not status:
            self._since[tenant] = self.clock()
        self._statuses[tenant] = status
        self._fullness[tenant] = UNKNOWN_FULLNESS if fullness is None else round(fullness, 3)
        for upgrade in upgrades:
            known = self._upgrades.get(upgrade.id)
            if known is None or known[1] is not upgrade.state:
                self._moved[upgrade.id] = self.clock()
            self._upgrades[upgrade.id] = (upgrade.created_at, upgrade.state, tenant)
        if held is not None and held[1] != wake.token:
            self._again[tenant] = min(look_at, self._again.get(tenant, look_at))
            return
        look_at = min(look_at, self._again.pop(tenant, look_at))
        self._leases.pop(tenant, None)
        self._waiting.pop(tenant, None)
        self._due[tenant] = min(look_at, self._due.get(tenant, look_at))
        self._bell.set()

    async def resume(self, wake: Wake, lease: int) -> Loaded | None:
        if wake.token and not await self.renew(wake, lease):
            return None
        return await self.load(wake.tenant)

    async def load(self, tenant: str) -> Loaded:
        await self.step("load")
        kept = self._kept.get(tenant) or _Kept(Tenant(tenant))
        oldest = kept.inbox[:FACTS_AT_ONCE]
        whole = len(kept.roster) <= SMALL_ROSTER
        users = kept.roster.keys() if whole else {fact.user for _, _, fact in oldest if isinstance(fact, UserFact)}
        return Loaded(
            tenant=kept.record,
            version=kept.version,
            counts=count(kept.roster),
            now=self.clock(),
            facts=tuple(fact for _, _, fact in oldest),
            accepted=tuple(at for at, _, _ in oldest),
            traces=tuple(dict.fromkeys(trace for _, trace, _ in oldest if trace)),
            read=len(oldest),
            pending=len(kept.inbox),
            saved_by=kept.by,
            digest=_digest(oldest),
            entries={user: kept.roster[user] for user in users if user in kept.roster},
            whole=whole,
        )

    async def entries(self, tenant: str, users: Iterable[str]) -> dict[str, Entry]:
        await self.step("entries")
        roster = self._tenant(tenant).roster
        return {user: roster[user] for user in users if user in roster}

    async def whole_roster(self, tenant: str) -> dict[str, Entry]:
        await self.step("whole_roster")
        return dict(self._tenant(tenant).roster)

    async def standing(self, tenant: str, standing: Standing, limit: int) -> list[str]:
        await self.step("standing")
        roster = self._tenant(tenant).roster
        return [user for user, entry in roster.items() if entry.standing is standing][:limit]

    async def commit(self, commit: Commit, ending: Ending | None = None) -> bool:
        saved = await self._save(commit)
        if saved and ending is not None:
            await self.finish(
                ending.wake, ending.look_at, ending.status, ending.upgrades, ending.fullness, saved_by=commit.pass_id
            )
        return saved

    async def _save(self, commit: Commit) -> bool:
        await self.step("commit")
        kept = self._tenant(commit.tenant.id)
        if kept.version != commit.version or commit.after not in (None, kept.by):
            return kept.by == commit.pass_id
        if commit.folded and commit.digest not in ("", _digest(kept.inbox[: commit.folded])):
            return False
        if commit.unless_newer and len(kept.inbox) > commit.folded:
            return False
        kept.record, kept.version, kept.by = commit.tenant, abs(kept.version) + 1, commit.pass_id
        del kept.inbox[: commit.folded]
        for user, entry in commit.changes.items():
            if entry is None:
                kept.roster.pop(user, None)
            else:
                kept.roster[user] = entry
        serial = kept.journal[-1][0] if kept.journal else 0
        for number, note in enumerate(commit.notes, serial + 1):
            kept.journal.append((number, {"at": commit.at, "kind": note.kind.value, **note.data}))
        del kept.journal[: -self.journal_length]
        return True

    async def journal(self, tenant: str, *, before: str | None, limit: int) -> tuple[list[dict[str, Json]], str | None]:
        await self.step("journal")
        kept = self._kept.get(tenant)
        rows = [row for row in reversed(kept.journal if kept else []) if before is None or row[0] < int(before)][:limit]
        notes: list[dict[str, Json]] = [{"id": str(number), **note} for number, note in rows]
        return notes, str(rows[-1][0]) if len(rows) == limit else None

    async def trim_journal(self, tenant: str, before: int) -> None:
        await self.step("trim_journal")
        journal = self._tenant(tenant).journal
        journal[:] = [row for row in journal if _written_at(row[1]) >= before]

    async def tenants(self, status: Status | None, after: str | None, limit: int) -> list[TenantRow]:
        await self.step("tenants")
        # In the order of their UTF-8 bytes, which is Redis's.
        names = sorted(self._statuses, key=lambda name: name.encode())
        rows = (TenantRow(name, self._statuses[name]) for name in names if after is None or name > after)
        return [row for row in rows if status is None or row.status is status][:limit]

    async def find_tenants(
        self, *, status: Status | None, prefix: str, order: Order, offset: int, limit: int
    ) -> TenantPage:
        await self.step("find_tenants")
        names = [name for name, word in self._statuses.items() if status in (None, word)]
        if order is Order.ID:
            names = sorted((name for name in names if name.startswith(prefix)), key=str.encode)
        else:
            scores: Mapping[str, float] = self._fullness if order is Order.FULLEST else self._since
            names.sort(key=lambda name: (scores[name], name.encode()), reverse=True)
        page = names[offset : offset + limit]
        return TenantPage(
            len(names), tuple(ListedTenant(name, self._statuses[name], self._since[name]) for name in page)
        )

    async def records(self, tenants: Sequence[str]) -> dict[str, Record]:
        await self.step("records")
        kept = {tenant: self._kept.get(tenant) or _Kept(Tenant(tenant)) for tenant in tenants}
        return {tenant: Record(one.record, one.version, count(one.roster)) for tenant, one in kept.items()}

    async def stuck(self, waits: Mapping[State, int], limit: int) -> Stuck:
        await self.step("stuck")
        now, total = self.clock(), 0
        rows: list[StuckUpgrade] = []
        for state, wait in waits.items():
            found = [
                StuckUpgrade(ident, tenant, state, self._moved[ident])
                for ident, (_, word, tenant) in self._upgrades.items()
                if word is state and state not in CLOSED and self._moved[ident] < now - wait
            ]
            total += len(found)
            rows += sorted(found, key=lambda row: (row.since, row.upgrade))[:limit]
        return Stuck(total, tuple(rows))

    async def decisions(self, tenant: str, limit: int) -> list[dict[str, Json]]:
        await self.step("decisions")
        kept = self._kept.get(tenant)
        return [{**note} for _, note in (kept.journal if kept else [])[-limit:] if note["kind"] == "decision"]

    async def tenant_count(self) -> int:
        await self.step("tenant_count")
        return len(self._statuses)

    async def known_tenants(self, names: Iterable[str]) -> list[str]:
        await self.step("known_tenants")
        return [name for name in dict.fromkeys(names) if name in self._statuses]

    async def upgrades(
        self, state: State | None, cursor: str | None, limit: int
    ) -> tuple[list[UpgradeRow], str | None]:
        await self.step("upgrades")
        found = sorted(
            (
                (created, ident, tenant)
                for ident, (created, now, tenant) in self._upgrades.items()
                if state in (None, now)
            ),
            reverse=True,
        )
        start = int(cursor) if cursor else 0
        rows = [UpgradeRow(ident, tenant) for _, ident, tenant in found[start : start + limit]]
        return rows, str(start + limit) if len(rows) == limit else None

    async def owner(self, upgrade: str) -> str | None:
        await self.step("owner")
        known = self._upgrades.get(upgrade)
        return known[2] if known else None

    async def backlog(self) -> Backlog:
        await self.step("backlog")
        now = self.clock()
        due = [at for at in self._due.values() if at <= now]
        oldest = min([*due, *self._waiting.values()], default=now)
        return Backlog(len(due), len(self._leases), max(0, now - oldest))

    async def census(self) -> Census:
        await self.step("census")
        statuses = Counter(self._statuses.values())
        states = Counter(state for _, state, _ in self._upgrades.values())
        by_status, by_state = {status: statuses[status] for status in Status}, {state: states[state] for state in State}
        now = self.clock()
        oldest = {state: 0 for state in State if state not in CLOSED}
        for upgrade, (_, state, _) in self._upgrades.items():
            if state in oldest:
                oldest[state] = max(oldest[state], now - self._moved[upgrade])
        return Census(by_status, by_state, oldest, len(self._parked))

    async def add_counts(self, source: str, serial: int, counts: Mapping[str, int]) -> None:
        await self.step("add_counts")
        if serial > self._sources.get(source, 0):
            self._sources[source] = serial
            for name, by in counts.items():
                self._counts[name] = self._counts.get(name, 0) + by

    async def counts(self) -> dict[str, int]:
        await self.step("counts")
        return dict(self._counts)

    async def hold(self, tenant: str, lease: int) -> Wake | None:
        await self.step("hold")
        held, now = self._leases.get(tenant), self.clock()
        if held is not None and held[0] > now:
            return None
        self._serial += 1
        self._due.pop(tenant, None)
        self._leases[tenant] = (now + lease, str(self._serial))
        return Wake(tenant, str(self._serial))

    async def erase(self, tenant: str, version: int, pending: int) -> bool:
        await self.step("erase")
        kept = self._tenant(tenant)
        if kept.version != version or len(kept.inbox) > pending:
            return False
        self._kept[tenant] = _Kept(Tenant(tenant), -abs(version) - 1)
        return True

    async def unlist(self, wake: Wake, names: Collection[str]) -> bool:
        await self.step("unlist")
        tenant, held = wake.tenant, self._leases.get(wake.tenant)
        if (held[1] if held is not None else "") != wake.token:
            return False
        for name in names:
            if self._links.get(name) == tenant:
                del self._links[name]
        self._forget_alerts(tenant)
        for upgrade in [ident for ident, (_, _, owner) in self._upgrades.items() if owner == tenant]:
            del self._upgrades[upgrade]
            self._moved.pop(upgrade, None)
        for known in (
            self._due, self._leases, self._again, self._waiting, self._statuses, self._since, self._fullness,
        ):  # fmt: skip
            known.pop(tenant, None)
        return True

    async def unreadable(self, tenant: str) -> int:
        await self.step("unreadable")
        return 0  # values are kept as they are

    async def drop_unreadable(self, tenant: str, user: str) -> int:
        await self.step("drop_unreadable")
        return 0

    async def link_checkout(self, names: Iterable[str], tenant: str) -> None:
        await self.step("link_checkout")
        self._links.update(dict.fromkeys(names, tenant))

    async def linked_tenants(self, names: Iterable[str]) -> list[str]:
        await self.step("linked_tenants")
        return list(dict.fromkeys(self._links[name] for name in names if name in self._links))

    async def park(self, payment: PaymentFact) -> bool:
        await self.step("park")
        fresh = payment.id not in self._parked
        if fresh:
            self._parked[payment.id] = ParkedPayment(payment, self.clock())
        while len(self._parked) > PARKED_AT_MOST:
            del self._parked[next(iter(self._parked))]
        return fresh

    async def parked_for(self, names: Iterable[str]) -> list[PaymentFact]:
        await self.step("parked_for")
        asked = set(names)
        return [parked.fact for parked in self._parked.values() if asked.intersection(names_of(parked.fact))]

    async def parked(self, limit: int) -> list[ParkedPayment]:
        await self.step("parked")
        return list(self._parked.values())[:limit]

    async def unpark(self, events: Iterable[str]) -> None:
        await self.step("unpark")
        for event in events:
            self._parked.pop(event, None)

    async def take_rate(self, spacing: int, burst: int) -> int:
        await self.step("take_rate")
        now = self.clock()
        at = min(max(self._next_call, now - burst), now + HOUR)
        self._next_call = at + spacing
        return max(0, at - now)

    async def end_session(self, session: str, seconds: int) -> None:
        await self.step("end_session")
        now = self.clock()
        self._ended_sessions = {known: until for known, until in self._ended_sessions.items() if until > now}
        self._ended_sessions[session] = now + seconds * SECOND

    async def session_ended(self, session: str) -> bool:
        await self.step("session_ended")
        return self._ended_sessions.get(session, 0) > self.clock()

    def _tenant(self, tenant: str) -> _Kept:
        return self._kept.setdefault(tenant, _Kept(Tenant(tenant)))

    def _mark(self, tenants: Iterable[str], delay: int) -> None:
        at = self.clock() + delay
        for tenant in tenants:
            known = self._again if tenant in self._leases else self._due
            known[tenant] = min(at, known.get(tenant, at))
        self._bell.set()


def _digest(accepted: Sequence[tuple[int, str, Fact]]) -> str:
    return "\n".join(fact.id for _, _, fact in accepted)


def _written_at(note: dict[str, Json]) -> int:
    at = note["at"]
    assert isinstance(at, int)
    return at
