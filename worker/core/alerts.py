"""Alerts: what people are told, by kind. What to say of each stands in ``config/alerts.toml``.

Some kinds last (a condition that begins and, later, ends: told when it begins, when it gets worse and when it is
over), others are moments (told once).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Datum = str | int | float | bool | None


class Severity(StrEnum):
    """How much it matters, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class AlertKind(StrEnum):
    """What an alert is about."""

    NEAR_CAPACITY = "near_capacity"
    CAPACITY_EXCEEDED = "capacity_exceeded"
    FULL_SOON = "full_soon"
    UPGRADE_STARTED = "upgrade_started"
    APPROVAL_WANTED = "approval_wanted"
    PAYMENT_CONFIRMED = "payment_confirmed"
    PAYMENT_FAILED = "payment_failed"
    CHECKOUT_EXPIRED = "checkout_expired"
    UPGRADE_FAILED = "upgrade_failed"
    PAID_NOT_APPLIED = "paid_not_applied"
    PAID_FOR_NOTHING = "paid_for_nothing"
    OUTCOME_UNKNOWN = "outcome_unknown"
    DECISION_WANTED = "decision_wanted"
    BEYOND_CAP = "beyond_cap"
    NO_SUBSCRIPTION = "no_subscription"
    CROVVER_UNREACHABLE = "crovver_unreachable"
    UNMATCHED_PAYMENT = "unmatched_payment"
    FOREIGN_PAYMENT = "foreign_payment"
    DRIFT = "drift"
    ROSTER_REFUSED = "roster_refused"
    CREDITS_LOW = "credits_low"
    CREDITS_EXHAUSTED = "credits_exhausted"
    CREDITS_EXPIRING = "credits_expiring"
    UNREADABLE_FACTS = "unreadable_facts"
    TOO_OLD_FACTS = "too_old_facts"
    DEAD_LETTER = "dead_letter"
    STATE_LOST = "state_lost"


class Phase(StrEnum):
    """What an alert tells of its subject."""

    RAISED = "raised"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell people, once for each channel that wants to know.

    ``tenant`` is '' where it is about the fleet. ``key`` tells apart alerts of one kind that stand side by side (a
    credit pool, an upgrade). ``serial`` grows within the tenant: whoever gathers alerts knows by it which are new.
    ``severity`` of a resolved note is that of the alert it ends, so that it goes where that went. ``data`` never holds
    a payable link, a name or an e-mail address; instants in it stand under ``at`` or ``…_at``, in microseconds.
    """

    serial: int
    tenant: str
    kind: AlertKind
    severity: Severity
    phase: Phase
    at: int
    key: str = ""
    data: Mapping[str, Datum] = field(default_factory=dict)
