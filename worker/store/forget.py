"""Forgetting: a tenant with all that is kept of it, or the personal data of one of its users.

What the host app or Crovver says of them afterwards is news: a tenant that is heard of again starts anew, and a user
that Crovver or the host app names again is known by what they say.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from worker.core.facts import AllocateFact, CheckoutFact, Fact, PaymentFact, RosterFact, UserFact
from worker.core.journal import Note, NoteKind
from worker.core.roster import Entry
from worker.core.tenant import Tenant
from worker.core.times import MINUTE
from worker.core.upgrade import Upgrade
from worker.store.errors import StoreError
from worker.store.interface import Commit, Loaded, Store
from worker.store.matching import is_of_no_other

HELD_FOR: Final = MINUTE
"""How long a tenant is kept from being reconciled while it is erased, should nobody be there to end that."""

_TRIES: Final = 20


class NotForgotten(StoreError):
    """Nothing was erased; the text says why, as part of a sentence."""


class TenantBusy(NotForgotten):
    """Somebody is at work on the tenant: to be tried again in a moment."""


class MayBePaid(NotForgotten):
    """Money may come for the tenant, or has come and is not seen to: nobody would know whose it is.

    ``upgrade`` is the one whose money that is, where there is one.
    """

    def __init__(self, reason: str, upgrade: Upgrade | None = None) -> None:
        self.upgrade = upgrade
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class ForgottenUser:
    """What was erased of a user. ``entry`` is what stays in the roster; None: nothing does."""

    contact: bool
    entry: Entry | None
    unreadable: int


def may_be_paid(loaded: Loaded) -> MayBePaid | None:
    """What money would lose its owner with the tenant; None where none would, as far as can be known."""
    for upgrade in reversed(loaded.tenant.upgrades):
        if upgrade.open or upgrade.payable(loaded.now):
            return MayBePaid(f"upgrade {upgrade.id} is {upgrade.state.value} and may still be paid", upgrade)
    for payment in loaded.tenant.early:
        if payment.settles:
            return MayBePaid(f"payment event {payment.id} tells of money that no upgrade is known for")
    if any(isinstance(one, CheckoutFact) or (isinstance(one, PaymentFact) and not one.foreign) for one in loaded.facts):
        return MayBePaid("news of a checkout or a payment waits to be folded in")
    if loaded.pending > loaded.read:
        return MayBePaid("more facts wait to be folded in than can be looked through, and some may tell of a payment")
    return None


async def forget(store: Store, tenant: str, *, force: bool = False) -> bool:
    """Erase a tenant. False where nothing is known of it. Safe to repeat after an error: it goes on.

    Whoever has read the tenant before finds afterwards that somebody has saved since, and drops what it made of it.

    Raises:
        MayBePaid: something stands in the way, and ``force`` is not given.
        TenantBusy: it is being reconciled.
        StoreError: some of it may be erased by now.
    """
    for _ in range(_TRIES):
        loaded = await store.load(tenant)
        if not loaded.known and not loaded.pending and not await store.known_tenants([tenant]):
            return False
        if not force and (money := may_be_paid(loaded)):
            raise money
        wake = await store.hold(tenant, HELD_FOR)
        if wake is None:
            raise TenantBusy(f"tenant {tenant!r} is being reconciled")
        if not await store.erase(tenant, loaded.version, loaded.pending):
            await store.renew(wake, 0)
            continue
        names = [name for one in loaded.tenant.upgrades for name in _names(one)]
        early = await store.parked_for([tenant, *names])
        await store.unpark([fact.id for fact in early if await is_of_no_other(store, fact, tenant)])
        ended = await store.unlist(wake, names)
        anew = await store.load(tenant)
        if not ended or anew.pending or anew.known:
            # Facts that came meanwhile are the first ones of its new life. Where this took longer than the lease,
            # somebody may have begun that: whoever is woken lists it, or ends what is left to do here.
            await store.mark_due([tenant])
        return True
    raise TenantBusy(f"tenant {tenant!r} is being reconciled")


async def forget_user(store: Store, tenant: str, user: str) -> ForgottenUser:
    """Erase the e-mail address and the name of one user, wherever the state has them. Safe to repeat.

    The user's id stays, in the roster and in the journal: it is the host app's key, and what says that a user was
    removed has to outlive what is said late about it.

    The tenant is held meanwhile: whoever repeats a commit, as its reply was lost, must find that nobody else has saved.
    It is due at once afterwards.

    Raises:
        TenantBusy: it is being reconciled, facts about this user wait to be folded in, or somebody keeps saving.
        StoreError: nothing was erased, as far as is known.
    """
    wake = await store.hold(tenant, HELD_FOR)
    if wake is None:
        raise TenantBusy(f"tenant {tenant!r} is being reconciled")
    try:
        return await _forget_user(store, tenant, user)
    finally:
        await store.renew(wake, 0)


async def _forget_user(store: Store, tenant: str, user: str) -> ForgottenUser:
    for _ in range(_TRIES):
        loaded = await store.load(tenant)
        if loaded.pending > loaded.read or any(_names_user(fact, user) for fact in loaded.facts):
            raise TenantBusy(f"facts about user {user!r} wait to be folded in")
        known = (await store.entries(tenant, [user])).get(user)
        entry = known._replace(email=None, name=None) if known is not None else None
        record = _without(loaded.tenant, user)
        dropped = await store.drop_unreadable(tenant, user)
        contact = entry != known or record != loaded.tenant
        if not contact or await _save(store, loaded, record, {} if entry == known else {user: entry}):
            return ForgottenUser(contact, entry, dropped)
    raise TenantBusy(f"tenant {tenant!r} is being reconciled")


async def _save(store: Store, loaded: Loaded, record: Tenant, changes: dict[str, Entry | None]) -> bool:
    note = Note(NoteKind.HINT, {"source": "operator who had a user's personal data erased"})
    commit = Commit(
        record, loaded.version, f"forget_{uuid.uuid4().hex}", folded=0, changes=changes, notes=[note], at=loaded.now,
        after=loaded.saved_by,
    )  # fmt: skip
    return await store.commit(commit)


def _names(upgrade: Upgrade) -> Iterable[str]:
    proration = upgrade.checkout.proration_id if upgrade.checkout is not None else None
    return [name for name in (upgrade.session, proration) if name]


def _names_user(fact: Fact, user: str) -> bool:
    match fact:
        case UserFact():
            return fact.user == user
        case RosterFact():
            return any(named.user == user for named in fact.users)
        case AllocateFact():
            return user in (*fact.seated, *fact.rejected)
        case _:
            return False


def _without(tenant: Tenant, user: str) -> Tenant:
    """The record with nothing but the id of a user in the roster that waits to be judged."""
    waiting = tenant.waiting_roster
    if waiting is None:
        return tenant
    users = tuple(replace(one, email=None, name=None) if one.user == user else one for one in waiting.users)
    return replace(tenant, waiting_roster=replace(waiting, users=users))
