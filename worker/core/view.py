"""What people are shown of a tenant, in the words of the public contract. Times are RFC 3339."""

from collections.abc import Mapping, Sequence

from worker.core.alert_book import Active
from worker.core.credits import CreditPool, Credits
from worker.core.forecast import Forecast, forecast
from worker.core.journal import Json
from worker.core.policy import Policy
from worker.core.roster import Counts
from worker.core.tenant import Decision, Tenant, capacity_of, is_exceeded, status
from worker.core.times import format_instant
from worker.core.upgrade import State, Upgrade

DRIFT_SHOWN = 1_000
"""Users of a class that are named; the counts say how many there are."""


def tenant_view(
    tenant: Tenant, counts: Counts, policy: Policy, missing: Sequence[str], orphaned: Sequence[str]
) -> dict[str, Json]:
    """Everything about a tenant. ``missing`` and ``orphaned`` are users of those classes, as many as are at hand."""
    return {
        **tenant_summary(tenant, counts, policy),
        "drift": {
            "missing": [*sorted(missing)[:DRIFT_SHOWN]],
            "orphaned": [*sorted(orphaned)[:DRIFT_SHOWN]],
            "missingCount": counts.missing,
            "orphanedCount": counts.orphaned,
        },
        "upgrade": _upgrade(tenant.upgrade) if tenant.upgrade else None,
        "decision": _decision(tenant.decision) if tenant.decision else None,
        "alerts": [_alert(active) for active in tenant.alerts if active.told],
        "credits": _credits(tenant.credits),
        "forecast": _forecast(tenant),
    }


def tenant_summary(tenant: Tenant, counts: Counts, policy: Policy) -> dict[str, Json]:
    """A tenant's main numbers. ``activeCount`` and ``capacityUnits`` are None before the first look at Crovver."""
    return {
        "tenantId": tenant.id,
        "seatsNeeded": counts.needed,
        "activeCount": tenant.look.summary.active_count if tenant.look else None,
        "capacityUnits": capacity_of(tenant),
        "exceeded": is_exceeded(tenant, counts),
        "status": status(tenant, counts, policy).value,
        "lastReconciledAt": _time(tenant.reconciled_at),
    }


def credits_view(tenant: Tenant) -> dict[str, Json]:
    """A tenant's credit pools as they were read last; no pools where it has no active subscription."""
    return {"tenantId": tenant.id, **_credits(tenant.credits)}


def outlook(tenant: Tenant) -> Forecast | None:
    """How a tenant's need grows and when it is full, as of its last reconcile; None until that can be told."""
    if tenant.look is None:
        return None
    return forecast(tenant.growth, tenant.look.summary.capacity_units, tenant.reconciled_at or tenant.look.at)


def upgrade_view(upgrade: Upgrade, tenant: str) -> dict[str, Json]:
    """One upgrade, with the tenant it belongs to."""
    return {"tenantId": tenant, **_upgrade(upgrade)}


def note_view(note: Mapping[str, Json]) -> dict[str, Json]:
    """A journal entry as the store gives it, its times readable. User events become objects in place of rows."""
    shown: dict[str, Json] = {name: _readable(name, value) for name, value in note.items()}
    events = note.get("events")
    if isinstance(events, list):
        shown["events"] = [_event(row) for row in events]
    return shown


def _event(row: Json) -> Json:
    """A row of a ``facts`` note (``worker.core.fold``): sign, user, instant, id, and whether it was news."""
    if not isinstance(row, list) or len(row) != 5:
        return row
    sign, user, at, ident, applied = row
    kind = "user.added" if sign == "+" else "user.removed"
    return {"type": kind, "userId": user, "time": _readable("at", at), "id": ident, "applied": applied}


def _upgrade(upgrade: Upgrade) -> dict[str, Json]:
    checkout = upgrade.checkout
    # The link of a closed or paid upgrade is of no use to anyone, and must not tempt anyone to pay twice.
    payable = checkout is not None and upgrade.state is State.AWAITING_PAYMENT
    return {
        "id": upgrade.id,
        "state": upgrade.state.value,
        "newCapacity": upgrade.new_capacity,
        "fromCapacity": upgrade.from_capacity,
        "prorationId": checkout.proration_id if checkout else None,
        "checkoutUrl": checkout.url if checkout and payable else None,
        "prorationAmount": checkout.amount if checkout else None,
        "prorationDetails": {**checkout.details} if checkout else None,
        "reason": upgrade.reason,
        "createdAt": _time(upgrade.created_at),
        "requestedAt": _time(upgrade.requested_at),
        "paidAt": _time(upgrade.paid_at),
        "confirmedAt": _time(upgrade.confirmed_at),
        "closedAt": _time(upgrade.closed_at),
    }


def _alert(active: Active) -> dict[str, Json]:
    data: dict[str, Json] = {name: _readable(name, value) for name, value in active.data.items()}
    return {
        "kind": active.kind.value,
        "severity": active.severity.value,
        "key": active.key,
        "since": _time(active.since),
        "data": data,
    }


def _credits(credits: Credits | None) -> dict[str, Json]:
    known = credits or Credits()
    return {
        "readAt": _time(known.at),
        "trouble": known.trouble,
        "pools": {pool.key: _pool(pool) for pool in known.pools},
    }


def _pool(pool: CreditPool) -> dict[str, Json]:
    """A pool under the names Crovver gives its members."""
    return {
        "poolKey": pool.key,
        "displayName": pool.name,
        "baseRemaining": pool.base_remaining,
        "addonRemaining": pool.addon_remaining,
        "total": pool.total,
        "limit": pool.limit,
        "limitBehavior": pool.limit_behavior.value if pool.limit_behavior else None,
        "nextExpiry": _time(pool.next_expiry),
        "usagePercent": pool.usage_percent,
    }


def _forecast(tenant: Tenant) -> dict[str, Json] | None:
    """How need grows; None until it has been watched for some days."""
    ahead = outlook(tenant)
    if ahead is None:
        return None
    return {
        "seatsPerDay": round(ahead.per_day, 2),
        "daysUntilFull": None if ahead.days_left is None else round(ahead.days_left, 1),
    }


def _decision(decision: Decision) -> dict[str, Json]:
    inputs: dict[str, Json] = {name: _readable(name, value) for name, value in decision.inputs.items()}
    return {"rule": decision.rule.value, "at": _time(decision.at), "inputs": inputs}


def _time(at: int | None) -> str | None:
    return None if at is None else format_instant(at)


def _readable(name: str, value: Json) -> Json:
    """Instants in notes and inputs are the whole numbers under names like ``at`` and ``ready_at``."""
    if isinstance(value, int) and not isinstance(value, bool) and (name == "at" or name.endswith("_at")):
        return format_instant(value)
    return value
