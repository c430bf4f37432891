"""The shapes of answers, for ``/openapi.json``. The tests hold every answer against them."""

from typing import Literal

from pydantic import BaseModel

from worker.core.alerts import AlertKind, Severity
from worker.core.credits import LimitBehavior
from worker.core.facts import OperatorAction
from worker.core.tenant import Rule, Status
from worker.core.upgrade import State

Json = str | int | float | bool | None


class Accepted(BaseModel):
    """How many facts are safe in the store now."""

    accepted: int


class ReconcileAccepted(Accepted):
    """The tenant will be looked at."""

    tenantId: str


class Received(BaseModel):
    """The webhook is dealt with and need not be sent again."""

    received: Literal[True]


class TenantUpgrade(BaseModel):
    """An upgrade. ``checkoutUrl`` can be paid by whoever holds it, and is given only while it waits for that.

    ``prorationAmount`` and ``prorationDetails`` are Crovver's, as given.
    """

    id: str
    state: State
    newCapacity: int
    fromCapacity: int
    prorationId: str | None
    checkoutUrl: str | None
    prorationAmount: int | float | None
    prorationDetails: dict[str, str] | None
    reason: str | None
    createdAt: str
    requestedAt: str | None
    paidAt: str | None
    confirmedAt: str | None
    closedAt: str | None


class Upgrade(TenantUpgrade):
    """An upgrade and its tenant."""

    tenantId: str


class Drift(BaseModel):
    """Users who need a seat and have none, and seats whose users need none; the lists hold 1,000 each at most."""

    missing: list[str]
    orphaned: list[str]
    missingCount: int
    orphanedCount: int


class Decision(BaseModel):
    """What was decided last, by which rule, from which numbers."""

    rule: Rule
    at: str
    inputs: dict[str, Json]


class TenantRow(BaseModel):
    """A tenant's main numbers; what Crovver says is null until it has been read."""

    tenantId: str
    seatsNeeded: int
    activeCount: int | None
    capacityUnits: int | None
    exceeded: bool
    status: Status
    lastReconciledAt: str | None


class ActiveAlert(BaseModel):
    """An alert that is not over. ``key`` tells several of a kind apart: the credit pool, say."""

    kind: AlertKind
    severity: Severity
    key: str
    since: str
    data: dict[str, Json]


class Pool(BaseModel):
    """A credit pool, in Crovver's own members."""

    poolKey: str
    displayName: str
    baseRemaining: int | None
    addonRemaining: int | None
    total: int | None
    limit: int | None
    limitBehavior: LimitBehavior | None
    nextExpiry: str | None
    usagePercent: int | float | None


class TenantCredits(BaseModel):
    """Credit pools by key, as read at ``readAt`` (null: never). ``trouble`` is why the last try brought nothing.

    No pools: the tenant has no active subscription, or its plan has none.
    """

    readAt: str | None
    trouble: str | None
    pools: dict[str, Pool]


class Credits(TenantCredits):
    """A tenant's credits."""

    tenantId: str


class Forecast(BaseModel):
    """How the need grew over the last two weeks; ``daysUntilFull`` is null where it does not grow."""

    seatsPerDay: float
    daysUntilFull: float | None


class Tenant(TenantRow):
    """Everything about a tenant. ``upgrade`` is the open one or else the latest. ``unreadableFacts`` were set aside."""

    drift: Drift
    upgrade: TenantUpgrade | None
    decision: Decision | None
    alerts: list[ActiveAlert]
    credits: TenantCredits
    forecast: Forecast | None
    unreadableFacts: int


class Tenants(BaseModel):
    """A page of tenants, in the order of their ids."""

    tenants: list[TenantRow]
    next: str | None


class Upgrades(BaseModel):
    """A page of upgrades, newest first."""

    upgrades: list[Upgrade]
    next: str | None


class JournalEntry(BaseModel, extra="allow"):
    """Something that happened to a tenant; what else it says depends on its kind."""

    id: str
    at: str
    kind: str


class Journal(BaseModel):
    """A page of journal entries, newest first."""

    entries: list[JournalEntry]
    next: str | None


class DeadLetterRow(BaseModel):
    """A message that gave up. ``actor`` is null where it can't be decoded; what may be personal is masked."""

    id: str
    queue: str
    actor: str | None
    args: list[Json]
    kwargs: dict[str, Json]
    problem: str
    sentAt: str | None
    diedAt: str
    size: int


class DeadLetter(DeadLetterRow):
    """All there is to show of a message that gave up; ``body`` is its escaped bytes where it can't be decoded."""

    traceback: str | None
    body: str | None


class DeadLetters(BaseModel):
    """A page of dead letters, newest first."""

    deadLetters: list[DeadLetterRow]
    next: str | None


class DeadLetterDone(BaseModel):
    """What became of a dead letter."""

    id: str
    outcome: Literal["requeued", "discarded"]


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"]


class Check(BaseModel):
    """One check, and the numbers behind it."""

    ok: bool
    reason: str | None = None
    due: int | None = None
    leased: int | None = None
    oldestSeconds: float | None = None


class Ready(BaseModel):
    """Every check went well."""

    ready: bool
    checks: dict[Literal["broker", "state", "backlog"], Check]


class FieldError(BaseModel):
    """One thing that is wrong: which event or user, which member of it, and why."""

    index: int | None
    field: str
    reason: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class BadEntries(Problem):
    """Everything that is wrong with the events or users that were sent."""

    errors: list[FieldError] = []


class DrasticRoster(Problem):
    """A roster that would remove most users."""

    removed: int
    needed: int
    named: int


class WrongState(Problem):
    """A decision that does not fit the upgrade's state, and those that do."""

    state: State
    possible: list[OperatorAction]


class NotReady(Problem, Ready):
    """Not every check went well."""
