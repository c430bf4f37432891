"""POST /api/public/capacity/proration-checkout (seed 003).

Every call that passes makes a new payable checkout or invoice: there is no idempotency key, exactly as with Crovver.
"""

from urllib.parse import urlsplit

from starlette.responses import Response

from ..answers import Refused, RefusedWithCode, success
from ..checkouts import Checkout, TooManyCheckouts
from ..keys import must_be_authorized
from ..public_call import PublicCall
from ..state import SandboxState
from ..tenants import Subscription
from .lookup import required_text, subscribed_tenant

MAX_URL = 2_000
CHECKOUT_MESSAGE = "Checkout session created. Capacity will be upgraded after payment confirmation."
INVOICE_MESSAGE = "Invoice generated. Capacity will be updated after payment confirmation."


def proration_checkout(state: SandboxState, call: PublicCall) -> Response:
    """Start the payment of more seats."""
    must_be_authorized(state.config, call, needs_org=True)
    tenant_id = required_text(call.body.get("externalTenantId"), "externalTenantId")
    new_capacity = call.body.get("newCapacity")
    if not isinstance(new_capacity, int) or isinstance(new_capacity, bool):
        raise Refused(400, "newCapacity must be an integer")
    plan_id = _optional_text(call, "planId")
    success_url, cancel_url = _url(call, "successUrl"), _url(call, "cancelUrl")
    tenant = subscribed_tenant(state, tenant_id)
    _must_fit(tenant.subscription, new_capacity, plan_id)
    lifetime = tenant.subscription.checkout_lifetime
    try:
        checkout = state.payments.start(
            tenant,
            new_capacity,
            pay_url_prefix=f"{call.base_url}/pay/",
            lifetime=state.config.checkout_lifetime if lifetime is None else lifetime,
            plan_id=plan_id,
            success_url=success_url or state.config.success_url,
            cancel_url=cancel_url or state.config.cancel_url,
        )
    except TooManyCheckouts as full:
        raise Refused(503, str(full)) from full
    return success(_answer(checkout))


def _answer(checkout: Checkout) -> dict[str, object]:
    answer: dict[str, object] = {
        "prorationId": checkout.proration_id,
        "checkoutUrl": checkout.url,
        "requiresPayment": not checkout.is_invoice,
        "prorationAmount": checkout.proration.amount,
    }
    if checkout.is_invoice:
        return answer | {"message": INVOICE_MESSAGE}
    details = {"description": checkout.proration.description, "calculation": checkout.proration.calculation}
    return answer | {"prorationDetails": details, "message": CHECKOUT_MESSAGE}


def _must_fit(subscription: Subscription, new_capacity: int, plan_id: str | None) -> None:
    if plan_id and subscription.plan_id and plan_id != subscription.plan_id:
        raise RefusedWithCode(404, "PLAN_NOT_FOUND", f"Plan {plan_id} is not the tenant's active plan")
    if new_capacity <= subscription.capacity:
        raise Refused(400, f"newCapacity must be greater than current capacity ({subscription.capacity})")
    if subscription.max_seats is not None and new_capacity > subscription.max_seats:
        raise Refused(400, f"newCapacity exceeds the plan's max_seats ({subscription.max_seats})")
    if new_capacity < subscription.min_seats:
        raise Refused(400, f"newCapacity is below the plan's min_seats ({subscription.min_seats})")


def _optional_text(call: PublicCall, name: str) -> str | None:
    value = call.body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, f"{name} must be a string")
    return value or None


def _url(call: PublicCall, name: str) -> str | None:
    value = _optional_text(call, name)
    if value is None:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc or len(value) > MAX_URL or not value.isprintable():
        raise Refused(400, f"{name} must be an http or https URL")
    return value
