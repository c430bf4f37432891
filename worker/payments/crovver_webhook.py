"""Crovver's own webhooks: signed hints that a subscription changed (beyond the seeds)."""

import hmac
from dataclasses import dataclass
from typing import Final

from worker.core.secret import same
from worker.payments.document import is_text, read_object, text_of
from worker.payments.errors import BadSignature

_PREFIX: Final = "sha256="
_LONGEST_HEADER: Final = 256


@dataclass(frozen=True, slots=True)
class CrovverHint:
    """Something about a tenant may have changed. ``tenant`` is None where the webhook names none (``webhook.test``)."""

    id: str
    type: str
    tenant: str | None


def verify(payload: bytes, header: str | None, secret: str) -> None:
    """Return if ``secret`` signed ``payload``: ``X-Crovver-Signature: sha256=<hex HMAC-SHA256 of the raw body>``.

    There is no timestamp in the scheme, so an old webhook can be sent again; as a mere hint to look it does no harm.

    Raises:
        BadSignature: anything else.
    """
    if not header:
        raise BadSignature("the X-Crovver-Signature header is missing")
    if len(header) > _LONGEST_HEADER or not header.isascii() or not header.startswith(_PREFIX):
        raise BadSignature("the X-Crovver-Signature header is malformed")
    expected = hmac.digest(secret.encode(), payload, "sha256").hex()
    # Anyone can sign with the empty secret.
    if not same(header.removeprefix(_PREFIX).strip().lower(), expected) or not secret:
        raise BadSignature("it does not match; is SEATS_CROVVER_WEBHOOK_SECRET the secret of this endpoint?")


def read_hint(payload: bytes) -> CrovverHint:
    """The hint in a verified webhook.

    Raises:
        MalformedEvent: no JSON object with an ``id`` and a ``type``.
    """
    event = read_object(payload)
    data = event.get("data")
    tenant = data.get("external_tenant_id") if isinstance(data, dict) else None
    return CrovverHint(
        id=text_of(event, "id", "id"),
        type=text_of(event, "type", "type"),
        tenant=str(tenant) if is_text(tenant) else None,
    )
