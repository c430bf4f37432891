"""The two ways webhooks are signed."""

import hashlib
import hmac


def stripe_signature(payload: bytes, secret: str, timestamp: int) -> str:
    """Stripe's ``Stripe-Signature`` header: HMAC-SHA256 over ``<timestamp>.<payload>``, scheme v1."""
    signed = f"{timestamp}.".encode() + payload
    return f"t={timestamp},v1={_hmac(secret, signed)}"


def crovver_signature(payload: bytes, secret: str) -> str:
    """Crovver's ``X-Crovver-Signature`` header: HMAC-SHA256 of the raw body."""
    return f"sha256={_hmac(secret, payload)}"


def _hmac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
