"""Crovver's own outgoing webhooks."""

import uuid
from datetime import datetime

from .tenants import Tenant
from .times import iso, now

SUBSCRIPTION_UPDATED = "subscription.updated"


def subscription_updated(tenant: Tenant, org_id: str) -> dict[str, object]:
    """The event that fires when the seat count of a subscription changes."""
    moment = now()
    subscription = tenant.subscription
    ends_at = subscription.period.end_after(moment)
    starts_at: datetime = ends_at - (subscription.period.end_after(ends_at) - ends_at)
    return {
        "id": str(uuid.uuid4()),
        "type": SUBSCRIPTION_UPDATED,
        "created_at": iso(moment),
        "org_id": org_id,
        "data": {
            "id": f"sub_{uuid.uuid5(uuid.NAMESPACE_URL, tenant.id).hex[:24]}",
            "status": "active" if subscription.active else "canceled",
            "plan_id": subscription.plan_id or "plan_sandbox",
            "billing_mode": "recurring",
            "external_tenant_id": tenant.id,
            "tenant_name": tenant.id,
            "plan_name": "Sandbox",
            "product_name": "Sandbox",
            "product_slug": "sandbox",
            "current_period_start": iso(starts_at),
            "current_period_end": iso(ends_at),
            "capacity_units": subscription.capacity,
            "created_at": iso(starts_at),
            "updated_at": iso(moment),
            "credits": [
                {
                    "pool_key": key,
                    "qty_remaining": pool.base_remaining + pool.addon_remaining,
                    "qty_granted": pool.limit,
                }
                for key, pool in subscription.credits.items()
            ],
        },
    }
