"""What a store promises. Redis and the in-memory store pass the same tests of it.

Every call may raise ``StoreUnavailable``, and those about a tenant ``TenantBroken``; every write is safe to repeat
after that. Instants and durations are microseconds by the store's own clock, so that workers whose clocks differ agree
on what is due.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from worker.core.facts import Fact, Outcome, PaymentFact
from worker.core.journal import Json, Note
from worker.core.roster import Counts, Entry, Standing
from worker.core.tenant import Status, Tenant
from worker.core.times import MINUTE
from worker.core.upgrade import State, Upgrade
from worker.store.alert_log import AlertLog

INBOX_LIMIT = 100_000
"""Facts an inbox may hold; a publisher is told to come back later beyond that."""

FACTS_AT_ONCE = 5_000
"""Facts one pass folds in."""

SMALL_ROSTER = 512
"""Rosters up to this size are read whole with the record."""

WENT_BACK = MINUTE
"""A state that was last seen so much earlier than a process remembers is an old copy. A server that is killed, or that
a replica stands in for, forgets less."""

UNKNOWN_FULLNESS = -1.0
"""Stands in the order of fullness for a tenant that was never looked at: after all others."""


@dataclass(frozen=True, slots=True)
class Wake:
    """A leased tenant: whoever holds the token reconciles it."""

    tenant: str
    token: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a scheduler gets: tenants to wake, and how long until the next is due (None: nothing is known to be)."""

    wakes: tuple[Wake, ...]
    next_in: int | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A tenant as it was at ``now``.

    ``entries`` is the whole roster where ``whole`` is true, else what it holds of the users that user facts among
    ``facts`` are about. ``facts`` are the oldest of ``pending`` facts;
    ``accepted`` says when each of them came (0: not known), ``traces`` which requests brought them (where that is
    traced); ``unreadable`` are those of the ``read`` ones that could not be decoded, as they were written.
    ``saved_by`` names the pass that saved this version ('': none has), ``digest`` stands for the ``read`` facts.
    """

    tenant: Tenant
    version: int
    counts: Counts
    now: int
    facts: tuple[Fact, ...] = ()
    accepted: tuple[int, ...] = ()
    traces: tuple[str, ...] = ()
    read: int = 0
    pending: int = 0
    unreadable: tuple[bytes, ...] = ()
    entries: Mapping[str, Entry] = field(default_factory=dict)
    whole: bool = True
    saved_by: str = ""
    digest: str = ""

    @property
    def known(self) -> bool:
        """Whether this tenant has ever been reconciled."""
        return self.version > 0

    @property
    def erased(self) -> bool:
        """Whether this tenant was erased, and all that came since is how calls of its old life ended."""
        return self.version < 0 and self.pending == sum(isinstance(fact, Outcome) for fact in self.facts)


@dataclass(frozen=True, slots=True)
class Commit:
    """One pass's write. ``pass_id`` makes repeating it harmless; ``unless_newer`` refuses it if facts have come since.

    ``set_aside`` are facts nobody could read: they leave the inbox, and are kept apart for whoever can.
    ``durable`` asks for the write to be on disk before the call returns, where the server can promise that.
    ``after`` and ``digest`` are ``saved_by`` and ``digest`` of what was read (None and '': not looked at). After a
    failover a version of the same number may be another one, and the oldest facts may be others.
    """

    tenant: Tenant
    version: int
    pass_id: str
    folded: int
    changes: Mapping[str, Entry | None] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    set_aside: Sequence[bytes] = ()
    at: int = 0
    unless_newer: bool = False
    durable: bool = False
    after: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a wake-up ends: the tenant is due again at ``look_at``, and listed with its status and upgrades.

    ``fullness`` is how many percent of its seats are taken; None where that is not known.
    """

    wake: Wake
    look_at: int
    status: Status
    upgrades: Sequence[Upgrade] = ()
    fullness: float | None = None


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant in a list."""

    tenant: str
    status: Status


class Order(StrEnum):
    """How a list of tenants is sorted: by id, fullest first, or by the latest change of status."""

    ID = "id"
    FULLEST = "fullest"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class ListedTenant:
    """A tenant in a list that people look through. ``since`` is when it got its status."""

    tenant: str
    status: Status
    since: int


@dataclass(frozen=True, slots=True)
class TenantPage:
    """Some of ``total`` tenants."""

    total: int
    rows: tuple[ListedTenant, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A tenant's record and how many users stand where, without its roster and inbox. Version 0: not known.

    ``broken``: what is kept of it can't be read, and this is an empty one.
    """

    tenant: Tenant
    version: int
    counts: Counts
    broken: bool = False


@dataclass(frozen=True, slots=True)
class StuckUpgrade:
    """An open upgrade that has been in its state for longer than it should."""

    upgrade: str
    tenant: str
    state: State
    since: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """Some of ``total`` stuck upgrades, longest stuck first within each state."""

    total: int
    rows: tuple[StuckUpgrade, ...]


@dataclass(frozen=True, slots=True)
class UpgradeRow:
    """An upgrade in a list."""

    upgrade: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits: tenants due now, tenants being reconciled, and how long the oldest has waited (microseconds)."""

    due: int
    leased: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Census:
    """How many tenants have each status, upgrades are in each state, and payment events match nothing yet.

    ``oldest`` says of each open state how long the upgrade that has been in it longest has been (0: there is none).
    """

    tenants: Mapping[Status, int]
    upgrades: Mapping[State, int]
    oldest: Mapping[State, int]
    parked: int


@dataclass(frozen=True, slots=True)
class ParkedPayment:
    """A payment event that matched nothing when it came."""

    fact: PaymentFact
    since: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Which state this is, as of ``now``.

    ``identity`` is unlike any other state's, given at ``made_at``. ``seen_at`` is when somebody looked, to within ten
    seconds. ``lost_at`` is when somebody noticed that the state before this one was lost; None where that never was, or
    everything was swept since.
    """

    identity: str
    made_at: int
    seen_at: int
    lost_at: int | None
    now: int


class Store(AlertLog, Protocol):
    """Durable state of all tenants."""

    async def now(self) -> int:
        """The store's clock."""

    async def append(
        self, facts: Mapping[str, Sequence[Fact]], *, settle: int = 0, bounded: bool = True, trace: str = ""
    ) -> None:
        """Put facts in their tenants' inboxes and make the tenants due ``settle`` from now.

        ``bounded`` False takes facts that nobody could send again, whatever the inbox holds. ``trace`` is the W3C
        ``traceparent`` of what brought them, kept with them.

        Raises:
            InboxFull: a tenant's inbox is full; nothing of that tenant was taken.
        """

    async def mark_due(self, tenants: Iterable[str], *, delay: int = 0) -> None:
        """Make tenants due ``delay`` from now, or leave them due earlier."""

    async def claim_due(self, limit: int, lease: int) -> Claimed:
        """Lease up to ``limit`` due tenants to the caller."""

    async def adopt(self, after: str | None, limit: int) -> str | None:
        """Make tenants due that are listed and neither due nor leased, among ``limit`` tenants in order of their ids,
        those after ``after``. The last of these, to go on after; None where there are no more."""

    async def wait_bell(self, seconds: float) -> None:
        """Sleep at most ``seconds``, less when a tenant becomes due earlier than any other."""

    async def renew(self, wake: Wake, lease: int) -> bool:
        """Prolong a lease; False where it is not the caller's any more."""

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
        """Give a lease back, make the tenant due at ``look_at``, and list it and its upgrades.

        ``fullness`` is how many percent of its seats are taken; None where that is not known. ``saved_by`` is the pass
        all this rests on: where another saved the tenant last, as after a failover that took this one's save back, the
        tenant is due at once.
        """

    async def resume(self, wake: Wake, lease: int) -> Loaded | None:
        """Prolong a lease and read its tenant, in one round trip; None where the lease is not the caller's any more. A
        wake-up without a token has no lease, and needs none."""

    async def load(self, tenant: str) -> Loaded:
        """Read a tenant; one never heard of is an empty record of version 0."""

    async def entries(self, tenant: str, users: Iterable[str]) -> dict[str, Entry]:
        """The stored roster entries of these users."""

    async def whole_roster(self, tenant: str) -> dict[str, Entry]:
        """Every stored roster entry of a tenant."""

    async def standing(self, tenant: str, standing: Standing, limit: int) -> list[str]:
        """Up to ``limit`` users of a class (missing, orphaned or gone), in no particular order."""

    async def commit(self, commit: Commit, ending: Ending | None = None) -> bool:
        """Save a pass. False where someone else saved first, the facts to fold are not those that were read, or newer
        facts came and ``unless_newer`` was asked.

        With an ``ending`` the wake-up ends by it, in the same round trip on one server, where the pass was saved.
        """

    async def journal(self, tenant: str, *, before: str | None, limit: int) -> tuple[list[dict[str, Json]], str | None]:
        """Journal notes, newest first, and the cursor to go on with."""

    async def trim_journal(self, tenant: str, before: int) -> None:
        """Drop the journal notes that were written before an instant."""

    async def tenants(self, status: Status | None, after: str | None, limit: int) -> list[TenantRow]:
        """Tenants in order of their ids, those after ``after``."""

    async def find_tenants(
        self, *, status: Status | None, prefix: str, order: Order, offset: int, limit: int
    ) -> TenantPage:
        """A page of tenants that have the status and whose ids begin with ``prefix``. Ids come in the order of their
        UTF-8 bytes; a prefix goes with the order by id alone, and is not looked at otherwise."""

    async def records(self, tenants: Sequence[str]) -> dict[str, Record]:
        """The records of these tenants, for lists."""

    async def stuck(self, waits: Mapping[State, int], limit: int) -> Stuck:
        """Open upgrades that have been in a state for longer than ``waits`` allows, ``limit`` of each state at most."""

    async def decisions(self, tenant: str, limit: int) -> list[dict[str, Json]]:
        """The decisions among the newest ``limit`` journal notes, oldest first."""

    async def tenant_count(self) -> int:
        """How many tenants are known."""

    async def known_tenants(self, names: Iterable[str]) -> list[str]:
        """Those of the names that are tenants."""

    async def upgrades(
        self, state: State | None, cursor: str | None, limit: int
    ) -> tuple[list[UpgradeRow], str | None]:
        """Upgrades, newest first, and the cursor to go on with."""

    async def owner(self, upgrade: str) -> str | None:
        """The tenant an upgrade belongs to."""

    async def backlog(self) -> Backlog:
        """How much work waits."""

    async def census(self) -> Census:
        """How many there are of what is kept."""

    async def add_counts(self, source: str, serial: int, counts: Mapping[str, int]) -> None:
        """Add what a process has counted to the sums of all. A ``source`` numbers its own calls from 1 up: one whose
        ``serial`` it has used before is a repetition, and changes nothing."""

    async def counts(self) -> dict[str, int]:
        """The sums of what all processes have counted."""

    async def hold(self, tenant: str, lease: int) -> Wake | None:
        """Lease one tenant to the caller, due or not; None where somebody is at it."""

    async def erase(self, tenant: str, version: int, pending: int) -> bool:
        """Erase all that is kept of a tenant itself; False where someone has saved since ``version`` was read, or more
        facts than those ``pending`` then have come.

        Its version is negative then, until it is saved again, and for a day at most.
        """

    async def unlist(self, wake: Wake, names: Collection[str]) -> bool:
        """Take an erased tenant, its upgrades and its alerts off all lists, and end its lease. ``names`` are those its
        checkouts may be asked for by. False where the lease is not the caller's any more: the tenant stays listed."""

    async def unreadable(self, tenant: str) -> int:
        """How many facts of a tenant nobody could read; they are kept for 30 days."""

    async def drop_unreadable(self, tenant: str, user: str) -> int:
        """Drop facts nobody could read that seem to be about a user; how many."""

    async def link_checkout(self, names: Iterable[str], tenant: str) -> None:
        """Remember that a session or proration id belongs to a tenant, for as long as its webhooks may come."""

    async def linked_tenants(self, names: Iterable[str]) -> list[str]:
        """The tenants these session and proration ids belong to."""

    async def park(self, payment: PaymentFact) -> bool:
        """Keep a payment event that matches nothing yet; False where it is kept already."""

    async def parked_for(self, names: Iterable[str]) -> list[PaymentFact]:
        """Parked events that carry any of these names."""

    async def parked(self, limit: int) -> list[ParkedPayment]:
        """The oldest parked events."""

    async def unpark(self, events: Iterable[str]) -> None:
        """Forget parked events."""

    async def take_rate(self, spacing: int, burst: int) -> int:
        """Take a place in the fleet-wide call rate; how long to wait for it."""

    async def end_session(self, session: str, seconds: int) -> None:
        """Remember for ``seconds`` that a session of the dashboard has been ended."""

    async def session_ended(self, session: str) -> bool:
        """Whether a session of the dashboard has been ended."""

    async def vouch(self, known: str, seen_at: int, fresh: str) -> Mark:
        """Which state this is. A caller that remembers another identity, or to have seen this one later than it knows
        of, reports a loss by that, which is noted.

        ``known`` is '' for a caller that remembers none, ``fresh`` an identity nobody has used, for a state that has
        none yet.
        """

    async def lost_at(self) -> int | None:
        """When the state was lost; None where it was not, or everything was swept since."""

    async def end_loss(self, lost_at: int) -> bool:
        """Everything was swept since this loss. False where that is not the loss that is noted."""

    async def ping(self) -> None:
        """Return if the store answers and takes writes."""
