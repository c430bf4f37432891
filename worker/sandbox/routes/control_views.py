"""How the control API shows what the sandbox knows."""

from datetime import UTC, datetime

from ..calls import Call, Count
from ..checkouts import Checkout
from ..deliveries import Delivery
from ..faults import Fault
from ..tenants import Tenant
from ..times import iso, now
from .credits import balance


def tenant_view(tenant: Tenant) -> dict[str, object]:
    """A tenant and its subscription; users only as counts (GET allocations lists them)."""
    subscription = tenant.subscription
    return {
        "id": tenant.id,
        "provider": subscription.provider.value,
        "subscribed": subscription.active,
        "capacity": subscription.capacity,
        "taken": tenant.seats.active_count,
        "utilizationPercentage": tenant.utilization,
        "exceeded": tenant.exceeded,
        "pricePerSeat": subscription.price_per_seat,
        "currency": subscription.currency,
        "minSeats": subscription.min_seats,
        "maxSeats": subscription.max_seats,
        "planId": subscription.plan_id,
        "periodDays": subscription.period.days,
        "daysRemaining": subscription.period.days_left(now()),
        "applyDelaySeconds": subscription.apply_delay,
        "checkoutLifetimeSeconds": subscription.checkout_lifetime,
        "webhooks": subscription.webhooks.value,
        "credits": {key: balance(key, pool) for key, pool in subscription.credits.items()},
    }


def checkout_view(checkout: Checkout) -> dict[str, object]:
    """A checkout or invoice; ``id`` is the proration id, ``session`` and ``url`` are null for an invoice."""
    return {
        "id": checkout.proration_id,
        "session": checkout.session,
        "tenant": checkout.tenant,
        "kind": "invoice" if checkout.is_invoice else "checkout",
        "state": checkout.state.value,
        "paymentStatus": checkout.payment.value,
        "debit": checkout.debit.value if checkout.debit else None,
        "applied": checkout.applied,
        "declines": checkout.declines,
        "newCapacity": checkout.new_capacity,
        "addedSeats": checkout.proration.added_seats,
        "amount": checkout.proration.amount,
        "currency": checkout.proration.currency,
        "calculation": checkout.proration.calculation,
        "planId": checkout.plan_id,
        "successUrl": checkout.success_url,
        "cancelUrl": checkout.cancel_url,
        "url": checkout.url,
        "createdAt": iso(datetime.fromtimestamp(checkout.created_at, UTC)),
        "expiresAt": None if checkout.is_invoice else iso(datetime.fromtimestamp(checkout.expires_at, UTC)),
    }


def call_view(call: Call) -> dict[str, object]:
    return {
        "number": call.number,
        "at": iso(call.at),
        "endpoint": call.endpoint.value,
        "method": call.method,
        "tenant": call.tenant,
        "summary": call.summary,
        "outcome": call.outcome,
    }


def count_view(count: Count) -> dict[str, object]:
    return {
        "endpoint": count.endpoint.value,
        "tenant": count.tenant,
        "method": count.method,
        "count": count.count,
    }


def fault_view(fault: Fault) -> dict[str, object]:
    return {
        "endpoint": fault.endpoint,
        "tenant": fault.tenant,
        "kind": fault.kind.value,
        "seconds": fault.seconds,
        "retryAfter": fault.retry_after,
        "status": fault.status,
        "times": fault.times,
        "afterCommit": fault.after_commit,
    }


def delivery_view(delivery: Delivery) -> dict[str, object]:
    return {
        "id": delivery.id,
        "sender": delivery.sender.value,
        "tenant": delivery.tenant,
        "eventId": delivery.event["id"],
        "type": delivery.event["type"],
        "state": delivery.state.value,
        "createdAt": iso(delivery.created_at),
        "attempts": [
            {"at": iso(attempt.at), "status": attempt.status, "error": attempt.error} for attempt in delivery.attempts
        ],
        "event": delivery.event,
    }
