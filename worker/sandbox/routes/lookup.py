"""Finding the tenant that a public call names."""

from ..answers import NO_SUBSCRIPTION, Refused, RefusedWithCode
from ..state import SandboxState
from ..tenants import Tenant


def required_text(value: object, name: str) -> str:
    """A member that has to be there.

    Raises:
        Refused: 400, it is missing or no text.
    """
    if not isinstance(value, str) or not value:
        raise Refused(400, f"{name} is required")
    return value


def known_tenant(state: SandboxState, tenant_id: str) -> Tenant:
    """The tenant.

    Raises:
        RefusedWithCode: 404, ``TENANT_NOT_FOUND``.
    """
    tenant = state.tenants.get(tenant_id)
    if tenant is None:
        raise RefusedWithCode(404, "TENANT_NOT_FOUND", "No tenant with the given external ID")
    return tenant


def subscribed_tenant(state: SandboxState, tenant_id: str) -> Tenant:
    """The tenant, if it has an active subscription.

    Raises:
        Refused: 404, no such tenant or no active subscription.
    """
    tenant = known_tenant(state, tenant_id)
    if not tenant.subscription.active:
        raise Refused(404, NO_SUBSCRIPTION)
    return tenant
