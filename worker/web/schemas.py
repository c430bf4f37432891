"""The shapes of answers, for ``/openapi.json``. The tests hold every answer against them."""

from typing import Literal

from pydantic import BaseModel

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


class Tenant(TenantRow):
    """Everything about a tenant. ``upgrade`` is the open one or else the latest."""

    drift: Drift
    upgrade: TenantUpgrade | None
    decision: Decision | None


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
