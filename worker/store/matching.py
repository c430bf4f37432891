"""Matching: which tenant a payment event belongs to, and what becomes of one that belongs to none yet."""

from enum import StrEnum

from worker.core.facts import PaymentFact
from worker.core.upgrade import PURPOSE, State
from worker.store.interface import Store

HINTED_AT_MOST = 100
"""Upgrades of a state that an unmatched event makes worth another look."""


class Delivery(StrEnum):
    """What became of a payment event."""

    MATCHED = "matched"
    PARKED = "parked"
    IGNORED = "ignored"
    FOREIGN = "foreign"


async def deliver(store: Store, payment: PaymentFact) -> Delivery:
    """Put a payment event into the inbox of the tenant it is about, or keep it until its tenant is known.

    Once this returns the event is stored, or it is of no concern: about something else than seats, or foreign and of
    nobody here. Safe to repeat.

    Raises:
        StoreError: nothing is promised then.
    """
    if await _append(store, payment):
        return Delivery.MATCHED
    if payment.foreign:
        return Delivery.FOREIGN
    if payment.purpose not in (None, PURPOSE):
        return Delivery.IGNORED
    await store.park(payment)
    # The checkout's answer may have been linked since the first look. Whoever links it looks at the parked events
    # after that, so parking first and looking again leaves no moment in which both miss each other.
    if await redeliver(store, payment):
        return Delivery.MATCHED
    await _hint(store)
    return Delivery.PARKED


async def redeliver(store: Store, payment: PaymentFact) -> bool:
    """Try a parked event again; True where its tenant was found and has it.

    Raises:
        StoreError: nothing is promised then.
    """
    if not await _append(store, payment):
        return False
    await store.unpark([payment.id])
    return True


async def tenants_of(store: Store, payment: PaymentFact) -> list[str]:
    """The tenants a payment event is about: by its session, by its proration, or by a tenant it refers to.

    Where several tenants are referred to by name, none is: an id such as ``13`` may just as well be a number of seats.
    """
    if linked := await store.linked_tenants([payment.session]):
        return linked
    if payment.purpose not in (None, PURPOSE) or not payment.references:
        return []
    if linked := await store.linked_tenants(payment.references):
        return linked
    named = await store.known_tenants(payment.references)
    return named if len(named) == 1 else []


async def is_of_no_other(store: Store, payment: PaymentFact, tenant: str) -> bool:
    """Whether a parked event that refers to this tenant refers to no other."""
    named = await store.known_tenants(payment.references)
    linked = await store.linked_tenants([payment.session, *payment.references])
    return {tenant}.issuperset((*named, *linked))


async def _append(store: Store, payment: PaymentFact) -> bool:
    tenants = await tenants_of(store, payment)
    if tenants:
        await store.append({tenant: [payment] for tenant in tenants}, bounded=False)
    return bool(tenants)


async def _hint(store: Store) -> None:
    """Some checkout was paid or has ended, and it may be one whose answer was lost: have those looked at now."""
    for state in (State.UNKNOWN, State.REQUESTING):
        rows, _ = await store.upgrades(state, None, HINTED_AT_MOST)
        if rows:
            await store.mark_due(dict.fromkeys(row.tenant for row in rows))
