"""The tenant record: all the worker knows of one tenant besides its roster."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from worker.core.alert_book import Book
from worker.core.alerts import Alert
from worker.core.allocation import Summary
from worker.core.credits import Credits
from worker.core.facts import PaymentFact, RosterFact
from worker.core.forecast import Sample
from worker.core.policy import Policy
from worker.core.retention import Kept
from worker.core.roster import NEVER, Counts, Key
from worker.core.upgrade import State, Upgrade

HISTORY = 20
"""Closed upgrades kept in the record; older ones live on in the journal."""


class Status(StrEnum):
    """A tenant's status, as the public contract names it."""

    OK = "ok"
    NEAR_CAPACITY = "near_capacity"
    EXCEEDED = "exceeded"
    UPGRADING = "upgrading"
    NO_SUBSCRIPTION = "no_subscription"
    UNREACHABLE = "unreachable"


class TroubleKind(StrEnum):
    """Why Crovver could not be read."""

    UNREACHABLE = "unreachable"
    CREDENTIALS = "credentials"
    REFUSED = "refused"
    NO_SUBSCRIPTION = "no_subscription"
    UNSETTLED = "unsettled"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Reading Crovver has failed ``attempts`` times in a row since ``since``; the next try is at ``retry_at``."""

    kind: TroubleKind
    message: str
    since: int
    attempts: int
    retry_at: int


@dataclass(frozen=True, slots=True)
class Look:
    """The last successful look at Crovver.

    ``walked_at`` is the last walk of all pages that settled (None: never). ``page`` is a fingerprint of the first page,
    whose rows the roster has ('': none was taken). ``unexplained`` is by how much the summary's
    active and total numbers differed from the rows even then; a later summary agrees when it differs by no more.
    """

    at: int
    summary: Summary
    walked_at: int | None = None
    unexplained: tuple[int, int] = (0, 0)
    page: str = ""

    def agrees(self, counts: Counts) -> bool:
        """Whether the summary is explained by the rows that are known."""
        active, total = self.unexplained
        return (
            self.walked_at is not None
            and self.summary.active_count == counts.active + active
            and self.summary.total == counts.listed + total
        )


class Rule(StrEnum):
    """The rule behind a decision; ``explain`` says each in plain words."""

    ENOUGH = "enough"
    NOT_LOOKED = "not_looked"
    NO_SUBSCRIPTION = "no_subscription"
    UNREACHABLE = "unreachable"
    LOOK_INCOMPLETE = "look_incomplete"
    ALERT_ONLY = "alert_only"
    WANTS_APPROVAL = "wants_approval"
    WAITS_FOR_SWEEP = "waits_for_sweep"
    STARTED = "started"
    BEYOND_CAP = "beyond_cap"
    CAP_REACHED = "cap_reached"
    WAITS_TO_ASK_AGAIN = "waits_to_ask_again"
    ASKED_TOO_OFTEN = "asked_too_often"
    OPERATOR_CANCELLED = "operator_cancelled"
    OLD_LINK_PAYABLE = "old_link_payable"
    OUTCOME_LOST = "outcome_lost"
    ROSTER_REFUSED = "roster_refused"
    CALL_UNDER_WAY = "call_under_way"
    CALL_WAITS = "call_waits"
    OUTCOME_UNKNOWN = "outcome_unknown"
    AWAITING_PAYMENT = "awaiting_payment"
    PAYMENT_PROCESSING = "payment_processing"
    INVOICED = "invoiced"
    PAID_NOT_APPLIED = "paid_not_applied"
    SUPERSEDES = "supersedes"
    WITHDRAWS = "withdraws"


Inputs = Mapping[str, int | str | None]
"""The numbers and words a decision rests on."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, by which rule, from which numbers."""

    rule: Rule
    at: int
    inputs: Inputs = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant's record. ``upgrades`` are oldest first; at most one is open.

    ``refused_roster`` is set while the last full list of users was not believed: how many it would have removed, of how
    many. ``waiting_roster`` is one that came before Crovver could be read. ``early`` are payment events that fitted no
    upgrade when they came, and may fit one whose answer is yet to come. ``drift_since`` is since when missing or
    orphaned users have been seen at every decision. ``outbox`` are alerts that are yet to be handed over, saved with
    what they tell of; ``alert_serial`` is the last alert's number. ``kept`` is how far its past has been dropped.
    """

    id: str
    look: Look | None = None
    trouble: Trouble | None = None
    floor: Key = NEVER
    upgrades: tuple[Upgrade, ...] = ()
    decision: Decision | None = None
    payments_seen: tuple[str, ...] = ()
    early: tuple[PaymentFact, ...] = ()
    refused_roster: tuple[int, int] | None = None
    waiting_roster: RosterFact | None = None
    reconciled_at: int | None = None
    repair_after: int = 0
    drift_since: int | None = None
    growth: tuple[Sample, ...] = ()
    credits: Credits | None = None
    alerts: Book = ()
    alert_serial: int = 0
    outbox: tuple[Alert, ...] = ()
    kept: Kept = field(default_factory=Kept)

    @property
    def upgrade(self) -> Upgrade | None:
        """The open upgrade, or else the latest."""
        return self.open_upgrade or (self.upgrades[-1] if self.upgrades else None)

    @property
    def open_upgrade(self) -> Upgrade | None:
        return next((upgrade for upgrade in reversed(self.upgrades) if upgrade.open), None)

    def find(self, upgrade_id: str) -> Upgrade | None:
        return next((upgrade for upgrade in self.upgrades if upgrade.id == upgrade_id), None)

    def with_upgrade(self, upgrade: Upgrade) -> "Tenant":
        """The record with this upgrade put in place of its older self, or added.

        Two open upgrades of one tenant are asserted against here, where every change passes through.
        """
        others = tuple(known for known in self.upgrades if known.id != upgrade.id)
        if len(others) == len(self.upgrades):
            upgrades = (*self.upgrades, upgrade)
        else:
            upgrades = tuple(upgrade if known.id == upgrade.id else known for known in self.upgrades)
        assert sum(known.open for known in upgrades) <= 1, "two open upgrades of one tenant"
        closed = [known.id for known in upgrades if not known.open]
        dropped = set(closed[:-HISTORY])
        return replace(self, upgrades=tuple(known for known in upgrades if known.id not in dropped))


def capacity_of(tenant: Tenant) -> int | None:
    return tenant.look.summary.capacity_units if tenant.look else None


def is_exceeded(tenant: Tenant, counts: Counts) -> bool:
    """More seats are needed, or held, than the subscription has."""
    if tenant.look is None:
        return False
    summary = tenant.look.summary
    return summary.exceeded or max(counts.needed, summary.active_count) > summary.capacity_units


def utilization(tenant: Tenant, counts: Counts) -> float | None:
    """Seats needed or held, whichever is more, in percent of capacity; None before the first look."""
    if tenant.look is None:
        return None
    summary = tenant.look.summary
    used = max(counts.needed, summary.active_count)
    if summary.capacity_units == 0:
        return 100.0 if used else 0.0
    return 100.0 * used / summary.capacity_units


def status(tenant: Tenant, counts: Counts, policy: Policy) -> Status:
    """One word for a tenant; what stops the worker from seeing outranks what it saw."""
    trouble = tenant.trouble
    if trouble is not None and trouble.kind is TroubleKind.NO_SUBSCRIPTION:
        return Status.NO_SUBSCRIPTION
    if trouble is not None and (tenant.look is None or trouble.attempts >= 3):
        return Status.UNREACHABLE
    if tenant.open_upgrade is not None:
        return Status.UPGRADING
    if is_exceeded(tenant, counts):
        return Status.EXCEEDED
    used = utilization(tenant, counts)
    if used is not None and policy.warn_at and used >= policy.warn_at[0]:
        return Status.NEAR_CAPACITY
    return Status.OK


def paid_for_nothing(tenant: Tenant) -> list[Upgrade]:
    """Upgrades whose payment bought nothing: another payment had bought those seats, or they were never granted."""
    paid = [upgrade for upgrade in tenant.upgrades if upgrade.paid_at is not None]
    capacity = capacity_of(tenant) or 0
    return [
        upgrade
        for upgrade in paid
        if (not upgrade.open and upgrade.confirmed_at is None and upgrade.new_capacity > capacity)
        or any(_bought_before(other, upgrade) for other in paid)
    ]


def _bought_before(other: Upgrade, upgrade: Upgrade) -> bool:
    """Whether another payment had bought the seats of an upgrade before that was paid, while both were there to pay."""
    assert upgrade.paid_at is not None
    assert other.paid_at is not None
    if other.id == upgrade.id or other.new_capacity < upgrade.new_capacity:
        return False
    if other.confirmed_at is not None and other.paid_at <= other.confirmed_at:
        return upgrade.created_at <= other.confirmed_at <= upgrade.paid_at
    return upgrade.confirmed_at is not None and other.paid_at <= upgrade.confirmed_at < upgrade.paid_at


def credits_at(tenant: Tenant, policy: Policy) -> int | None:
    """When the credit balances are to be read again; None where they are not watched, or can't be read now."""
    trouble = tenant.trouble
    if policy.credits_every is None or (trouble is not None and trouble.kind is not TroubleKind.NO_SUBSCRIPTION):
        return None
    return (tenant.credits or Credits()).read_at(policy.credits_every)


def asks_in_a_row(tenant: Tenant) -> int:
    """Upgrades that came to nothing since the last success or operator decision."""
    asks = 0
    for upgrade in reversed(tenant.upgrades):
        if upgrade.state not in (State.EXPIRED, State.FAILED) or upgrade.retried_at is not None:
            break
        asks += upgrade.counts_as_ask
    return asks
