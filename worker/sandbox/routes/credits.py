"""GET /api/public/credits/balance (seed 004)."""

from starlette.responses import Response

from ..answers import success
from ..keys import must_be_key_or_public_key
from ..public_call import PublicCall
from ..state import SandboxState
from ..tenants import CreditPool
from .lookup import known_tenant, required_text


def credits_balance(state: SandboxState, call: PublicCall) -> Response:
    """The pools by key; an empty object for a tenant without an active subscription."""
    must_be_key_or_public_key(call, state.config)
    tenant = known_tenant(state, required_text(call.query.get("tenantId"), "tenantId"))
    if not tenant.subscription.active:
        return success({})
    return success({key: balance(key, pool) for key, pool in tenant.subscription.credits.items()})


def balance(key: str, pool: CreditPool) -> dict[str, object]:
    return {
        "poolKey": key,
        "displayName": pool.display_name,
        "baseRemaining": pool.base_remaining,
        "addonRemaining": pool.addon_remaining,
        "total": pool.base_remaining + pool.addon_remaining,
        "limit": pool.limit,
        "limitBehavior": pool.limit_behavior.value,
        "nextExpiry": pool.next_expiry,
        "usagePercent": pool.usage_percent,
    }
