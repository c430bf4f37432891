"""Checkout sessions and their events as Stripe writes them."""

import secrets
import time
from enum import StrEnum

from .checkouts import Checkout, CheckoutState, PaymentStatus

STRIPE_VERSION = "2025-03-31.basil"


class StripeEventType(StrEnum):
    COMPLETED = "checkout.session.completed"
    EXPIRED = "checkout.session.expired"
    ASYNC_SUCCEEDED = "checkout.session.async_payment_succeeded"
    ASYNC_FAILED = "checkout.session.async_payment_failed"


def new_session_id() -> str:
    """An id that names a session and cannot be guessed."""
    return f"cs_test_{secrets.token_hex(29)}"


def session_object(checkout: Checkout) -> dict[str, object]:
    """The checkout session as ``GET /v1/checkout/sessions/{id}`` and events show it."""
    is_open = checkout.state is CheckoutState.OPEN
    amount, currency = checkout.proration.amount, checkout.proration.currency
    return {
        "id": checkout.session,
        "object": "checkout.session",
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": checkout.cancel_url,
        "client_reference_id": checkout.tenant,
        "created": int(checkout.created_at),
        "currency": currency,
        "customer": None,
        "customer_details": None,
        "customer_email": None,
        "expires_at": int(checkout.expires_at),
        "livemode": False,
        "locale": None,
        "metadata": {
            "event_type": "seat_proration",
            "prorationId": checkout.proration_id,
            "tenantId": checkout.tenant,
            "newCapacity": str(checkout.new_capacity),
        },
        "mode": "payment",
        "payment_intent": _payment_intent(checkout),
        "payment_link": None,
        "payment_method_types": ["card", "us_bank_account"],
        "payment_status": checkout.payment.value,
        "status": checkout.state.value,
        "submit_type": None,
        "subscription": None,
        "success_url": checkout.success_url,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted",
        "url": checkout.url if is_open else None,
    }


def session_event(kind: StripeEventType, checkout: Checkout) -> dict[str, object]:
    """An event about a checkout session, with an id of its own."""
    return {
        "id": f"evt_{secrets.token_hex(12)}",
        "object": "event",
        "api_version": STRIPE_VERSION,
        "created": int(time.time()),
        "data": {"object": session_object(checkout)},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind.value,
    }


def _payment_intent(checkout: Checkout) -> str | None:
    if checkout.state is not CheckoutState.COMPLETE or checkout.payment is PaymentStatus.NOT_REQUIRED:
        return None
    return f"pi_{checkout.proration_id.replace('-', '')[:24]}"
