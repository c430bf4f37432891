"""Everything one sandbox knows. It lives in memory and is only touched on the event loop, so nothing is locked."""

from .calls import Calls
from .checkouts import Checkouts
from .config import SandboxConfig
from .deliveries import Deliveries
from .faults import Faults
from .payments import Payments
from .tenants import Tenant
from .timers import Timers

MAX_TENANTS = 10_000
MAX_TENANT_ID = 255


class SandboxState:
    """The rooms of one running sandbox."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.tenants: dict[str, Tenant] = {}
        self.checkouts = Checkouts()
        self.faults = Faults()
        self.calls = Calls()
        self.timers = Timers()
        self.deliveries = Deliveries(config.webhook_targets(), config.delivery_waits)
        self.payments = Payments(self.tenants, self.checkouts, self.deliveries, self.timers, config.org_id)

    def put_tenant(self, tenant: Tenant) -> None:
        """Create a tenant, or replace it whole. Its checkouts stay.

        Raises:
            ValueError: more tenants than a sandbox keeps, or an id that is empty or too long.
        """
        if not 1 <= len(tenant.id) <= MAX_TENANT_ID:
            raise ValueError(f"a tenant id is 1 to {MAX_TENANT_ID} characters")
        if tenant.id not in self.tenants and len(self.tenants) >= MAX_TENANTS:
            raise ValueError(f"a sandbox keeps {MAX_TENANTS:,} tenants at most")
        self.tenants[tenant.id] = tenant

    def reset(self) -> None:
        """Forget tenants, checkouts, faults, counts and deliveries. Webhook targets stay."""
        self.timers.cancel_all()
        self.tenants.clear()
        self.checkouts.clear()
        self.faults.clear()
        self.calls.clear()
        self.deliveries.clear()

    async def close(self) -> None:
        """Stop everything that would happen later."""
        self.timers.cancel_all()
        await self.deliveries.close()
