"""Credits: read a tenant's balances when they are due, as part of a wake-up, under the fleet's rate like any call."""

from worker.core.facts import CreditsFact
from worker.core.policy import Policy
from worker.core.tenant import Tenant, credits_at
from worker.crovver.errors import CrovverError
from worker.engine.ports import Ports

REASON_SHOWN = 300


def credits_are_due(tenant: Tenant, policy: Policy, now: int) -> bool:
    at = credits_at(tenant, policy)
    return at is not None and at <= now


async def read_credits(ports: Ports, tenant: Tenant, now: int) -> CreditsFact:
    """Read the balances. Never raises for what Crovver does: the fact tells."""
    ident = ports.new_id("crd")
    try:
        pools = await ports.crovver.credits_balance(tenant.id)
    except CrovverError as error:
        return CreditsFact(now, ident, None, str(error)[:REASON_SHOWN])
    return CreditsFact(now, ident, tuple(pools[key] for key in sorted(pools)))
