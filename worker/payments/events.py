"""Stripe's events about checkout sessions, as facts.

Read from plain JSON: the stripe library's own event objects raise AttributeError on a signed ``[]``.
"""

from typing import Final

from worker.core.facts import PaymentEvent, PaymentFact
from worker.core.times import SECOND
from worker.payments.document import is_text, object_of, read_object, text_of
from worker.payments.errors import MalformedEvent
from worker.payments.references import references_of

_PREFIX: Final = "checkout.session."
_EVENTS: Final = {_PREFIX + event: event for event in PaymentEvent}
# The last second a four-digit year has.
_LATEST: Final = 253_402_300_799


def read_event(payload: bytes) -> PaymentFact | None:
    """The fact a verified event states; None for a type that is of no interest.

    Raises:
        MalformedEvent: not an event as Stripe documents it.
    """
    event = read_object(payload)
    event_id = text_of(event, "id", "id")
    kind = _EVENTS.get(text_of(event, "type", "type"))
    if kind is None:
        return None
    session = object_of(object_of(event, "data", "data"), "object", "data.object")
    metadata = None if session.get("metadata") is None else object_of(session, "metadata", "data.object.metadata")
    purpose = (metadata or {}).get("event_type")
    return PaymentFact(
        event=kind,
        session=text_of(session, "id", "data.object.id"),
        at=_created(event) * SECOND,
        id=event_id,
        payment_status=_optional_text(session, "payment_status"),
        livemode=_livemode(event),
        purpose=str(purpose) if is_text(purpose) else None,
        references=references_of(metadata, session.get("client_reference_id")),
    )


def _created(event: dict[str, object]) -> int:
    # Nothing is decided by it, so an event that was handed on without it is worth no less.
    created = event.get("created", 0)
    if isinstance(created, bool) or not isinstance(created, int) or not 0 <= created <= _LATEST:
        raise MalformedEvent("created is no whole number of seconds")
    return created


def _livemode(event: dict[str, object]) -> bool | None:
    livemode = event.get("livemode")
    if livemode is not None and not isinstance(livemode, bool):
        raise MalformedEvent("livemode is neither true nor false")
    return livemode


def _optional_text(session: dict[str, object], name: str) -> str | None:
    return None if session.get(name) is None else text_of(session, name, f"data.object.{name}")
