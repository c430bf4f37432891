"""Every metric there is: its name, its labels with the values they take, and what it tells.

A label's values are named here, so that a series exists from the start and reads 0, not "no data". Only ``channel`` is
open: its values are the names of the alert channels that were in use. No label ever holds a tenant, a user or a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from worker.core.tenant import Status
from worker.core.upgrade import CLOSED, State

QUEUES: Final = ("alerts", "reconcile", "seat-events")
DOORS: Final = ("events", "roster", "stripe", "crovver", "operator", "message")
RECONCILE_OUTCOMES: Final = ("settled", "contended", "put_off", "failed")
ENDPOINTS: Final = ("allocations", "proration-checkout", "credits-balance", "bulk-allocate")
CALL_OUTCOMES: Final = ("ok", "not_sent", "unknown", "refused", "unauthorized", "transient", "cancelled")


class Kind(StrEnum):
    """Counters and histograms are gathered by processes, gauges are read from the state when they are asked for."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``labels`` gives the values each label takes, none where they are open; ``buckets`` are seconds."""

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()


FACTS_ACCEPTED: Final = Metric(
    "seats_facts_accepted_total",
    Kind.COUNTER,
    "Facts taken in and safe in the state, by the door they came through. SeatEvents writes past all doors.",
    {"door": DOORS},
)
LAG: Final = Metric(
    "seats_fact_to_decision_seconds",
    Kind.HISTOGRAM,
    "From the acceptance of a fact, by whichever door or SeatEvents, to the saved decision that took it in.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
RECONCILES: Final = Metric(
    "seats_reconciles_total",
    Kind.COUNTER,
    "Wake-ups worked on: settled; contended, left to whoever else was at it; put_off, the state was away; failed.",
    {"outcome": RECONCILE_OUTCOMES},
)
CROVVER_CALLS: Final = Metric(
    "seats_crovver_calls_total",
    Kind.COUNTER,
    "HTTP calls to Crovver, each attempt counted, by endpoint and outcome; unauthorized: its key was not accepted.",
    {"endpoint": ENDPOINTS, "outcome": CALL_OUTCOMES},
)
CROVVER_SECONDS: Final = Metric(
    "seats_crovver_call_seconds",
    Kind.HISTOGRAM,
    "How long an HTTP call to Crovver took.",
    {"endpoint": ENDPOINTS},
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
UPGRADE_MOVES: Final = Metric(
    "seats_upgrade_moves_total",
    Kind.COUNTER,
    "Upgrades that entered a state.",
    {"state": tuple(state.value for state in State)},
)
ALERTS: Final = Metric(
    "seats_alerts_total",
    Kind.COUNTER,
    "Alerts by channel: delivered; dropped, too many were waiting; failed counts attempts, each of which is repeated.",
    {"channel": (), "outcome": ("delivered", "dropped", "failed")},
)
ALERTS_PENDING: Final = Metric(
    "seats_alerts_pending", Kind.GAUGE, "Alerts that wait to be delivered, by channel.", {"channel": ()}
)
ALERTS_OLDEST: Final = Metric(
    "seats_alerts_oldest_pending_seconds",
    Kind.GAUGE,
    "How long the alert that has waited for a channel longest has waited; 0: none does.",
    {"channel": ()},
)
CHANNEL_FAILING: Final = Metric(
    "seats_alert_channel_failing_seconds",
    Kind.GAUGE,
    "For how long alerts could not be delivered to a channel; 0: they can.",
    {"channel": ()},
)
UPGRADES: Final = Metric(
    "seats_upgrades", Kind.GAUGE, "Upgrades by state.", {"state": tuple(state.value for state in State)}
)
UPGRADES_OLDEST: Final = Metric(
    "seats_upgrades_oldest_seconds",
    Kind.GAUGE,
    "How long the upgrade that has been in an open state longest has been in it; 0: there is none.",
    {"state": tuple(state.value for state in State if state not in CLOSED)},
)
TENANTS: Final = Metric(
    "seats_tenants", Kind.GAUGE, "Tenants by status.", {"status": tuple(status.value for status in Status)}
)
BACKLOG_DUE: Final = Metric("seats_backlog_due_tenants", Kind.GAUGE, "Tenants that are due and not being reconciled.")
BACKLOG_LEASED: Final = Metric("seats_backlog_leased_tenants", Kind.GAUGE, "Tenants woken or being reconciled.")
BACKLOG_OLDEST: Final = Metric(
    "seats_backlog_oldest_seconds", Kind.GAUGE, "How long the tenant that has been due longest has waited; 0: none is."
)
UNMATCHED: Final = Metric(
    "seats_unmatched_payments",
    Kind.GAUGE,
    "Payments (money came) that belong to no checkout known, among the 1,000 events kept longest until one is.",
)
DEAD_LETTERS: Final = Metric(
    "seats_dead_letters", Kind.GAUGE, "Messages that gave up, kept for people, by queue.", {"queue": QUEUES}
)

CATALOGUE: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metric in (
        FACTS_ACCEPTED, LAG, RECONCILES, CROVVER_CALLS, CROVVER_SECONDS, UPGRADE_MOVES,
        ALERTS, ALERTS_PENDING, ALERTS_OLDEST, CHANNEL_FAILING,
        UPGRADES, UPGRADES_OLDEST, TENANTS, BACKLOG_DUE, BACKLOG_LEASED, BACKLOG_OLDEST, UNMATCHED, DEAD_LETTERS,
    )
}  # fmt: skip
