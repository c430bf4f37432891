"""Act: carry out the one effect of a saved verdict, and say as facts how it ended."""

from collections.abc import Sequence

import structlog

from worker.core.decide import ALLOCATE_AT_ONCE
from worker.core.effects import Allocate, CheckSession, Effect, ExpireSession, FindSession, StartCheckout
from worker.core.facts import SETTLED, AllocateFact, CallOutcome, CheckoutFact, Fact, SessionFact
from worker.core.fold import payment_of_session
from worker.core.tenant import Tenant
from worker.core.times import HOUR, MINUTE, SECOND
from worker.core.upgrade import PURPOSE
from worker.crovver.errors import CrovverError, NotSent, OutcomeUnknown, Refused
from worker.engine.ports import Ports
from worker.payments.errors import PaymentsError, StripeUnavailable
from worker.payments.sessions import ExpireOutcome, SessionState
from worker.store.errors import StoreError, StoreUnavailable

log = structlog.get_logger(__name__)


async def act(ports: Ports, tenant: Tenant, effect: Effect, now: int, decided_at: float) -> Sequence[Fact]:
    """Carry out an effect. Never raises for what the outside world does: that is what the facts tell.

    ``decided_at`` is the engine's monotonic time of the verdict, and so of its claim.
    """
    match effect:
        case StartCheckout():
            return [await _start_checkout(ports, tenant, effect, now, decided_at)]
        case ExpireSession():
            return [await _expire_session(ports, tenant, effect, now)]
        case CheckSession():
            return [await _check_session(ports, tenant, effect, now)]
        case FindSession():
            return [await _find_session(ports, tenant, effect, now)]
        case Allocate():
            return [await _allocate(ports, tenant, effect, now)]


async def _start_checkout(
    ports: Ports, tenant: Tenant, effect: StartCheckout, now: int, decided_at: float
) -> CheckoutFact:
    def ended(outcome: CallOutcome, reason: str | None = None, wait: int | None = None) -> CheckoutFact:
        ident = ports.new_id("out")
        return CheckoutFact(effect.upgrade, effect.claim, outcome, now, ident, reason=reason, retry_after=wait)

    def claim_is_fresh() -> bool:
        # A process may stand still after it has claimed, or wait long for its turn under the fleet's rate. Others count
        # a claim that old as run out, so it must not be used: this is asked right before the call is sent.
        return ports.monotonic() - decided_at <= ports.pace.claim_use_seconds

    options = ports.checkout
    try:
        # Once more after the claim was saved: a state that was lost just before would have taken it as a new tenant's.
        if await ports.guard.lost_at() is not None:
            return ended(CallOutcome.NOT_SENT, "the state was lost")
    except StoreError as error:
        return ended(CallOutcome.NOT_SENT, str(error))
    try:
        with structlog.contextvars.bound_contextvars(upgrade=effect.upgrade, claim=effect.claim):
            checkout = await ports.crovver.proration_checkout(
                tenant.id,
                effect.new_capacity,
                plan_id=options.plan_id,
                success_url=options.success_url,
                cancel_url=options.cancel_url,
                still_wanted=claim_is_fresh,
            )
    except NotSent as error:
        return ended(CallOutcome.NOT_SENT, str(error), (error.retry_after or 0) * SECOND)
    except Refused as error:
        return ended(CallOutcome.REFUSED, error.message)
    except StoreUnavailable as error:
        # The fleet's rate is asked for right before a call is sent: without it nothing was.
        return ended(CallOutcome.NOT_SENT, str(error))
    except (OutcomeUnknown, CrovverError) as error:
        return ended(CallOutcome.UNKNOWN, str(error))
    except Exception:
        log.exception("the checkout call broke in an unforeseen way", tenant=tenant.id, upgrade=effect.upgrade)
        return ended(CallOutcome.UNKNOWN, "the worker broke while it called Crovver")
    return CheckoutFact(effect.upgrade, effect.claim, CallOutcome.STARTED, now, ports.new_id("out"), checkout=checkout)


async def _expire_session(ports: Ports, tenant: Tenant, effect: ExpireSession, now: int) -> Fact:
    assert ports.sessions is not None
    try:
        outcome = await ports.sessions.expire(effect.session)
        if outcome is ExpireOutcome.NOT_OPEN:
            return _found(ports, tenant, effect.upgrade, await ports.sessions.get(effect.session), now)
    except PaymentsError as error:
        return _no_answer(ports, tenant, effect.upgrade, error, now)
    return SessionFact(effect.upgrade, now, ports.new_id("out"), open=False, session=effect.session)


async def _check_session(ports: Ports, tenant: Tenant, effect: CheckSession, now: int) -> Fact:
    assert ports.sessions is not None
    try:
        state = await ports.sessions.get(effect.session)
    except PaymentsError as error:
        return _no_answer(ports, tenant, effect.upgrade, error, now)
    upgrade = tenant.find(effect.upgrade)
    told = upgrade is not None and upgrade.completed_at is not None
    if told and state.status == "complete" and state.payment_status not in SETTLED:
        return SessionFact(effect.upgrade, now, ports.new_id("out"), retry_after=HOUR)
    return _found(ports, tenant, effect.upgrade, state, now)


async def _find_session(ports: Ports, tenant: Tenant, effect: FindSession, now: int) -> Fact:
    assert ports.sessions is not None
    try:
        found = await ports.sessions.find({tenant.id}, effect.since)
    except PaymentsError as error:
        return _no_answer(ports, tenant, effect.upgrade, error, now)
    known = {upgrade.session for upgrade in tenant.upgrades}
    ours = [state for state in found if state.id not in known and state.purpose in (None, PURPOSE)]
    if len(ours) != 1:
        return SessionFact(effect.upgrade, now, ports.new_id("out"), retry_after=MINUTE)
    return _found(ports, tenant, effect.upgrade, ours[0], now)


def _found(ports: Ports, tenant: Tenant, upgrade: str, state: SessionState, now: int) -> Fact:
    """What Stripe shows of a session, as the fact a webhook would have been."""
    if state.status == "complete":
        paid = state.payment_status in SETTLED
        return payment_of_session(state.id, paid, now, tenant.id)
    known = state.status == "open" if state.status in ("open", "expired") else None
    return SessionFact(upgrade, now, ports.new_id("out"), open=known, session=state.id, url=state.url)


def _no_answer(ports: Ports, tenant: Tenant, upgrade: str, error: PaymentsError, now: int) -> SessionFact:
    log.warning("Stripe could not be asked", tenant=tenant.id, upgrade=upgrade, reason=str(error))
    wait = error.retry_after if isinstance(error, StripeUnavailable) else None
    return SessionFact(upgrade, now, ports.new_id("out"), retry_after=max(MINUTE, (wait or 0) * SECOND))


async def _allocate(ports: Ports, tenant: Tenant, effect: Allocate, now: int) -> AllocateFact:
    ident = ports.new_id("out")
    try:
        done = await ports.crovver.bulk_allocate(tenant.id, effect.users)
    except Refused as error:
        return AllocateFact(CallOutcome.REFUSED, now, ident, reason=error.message)
    except CrovverError as error:
        return AllocateFact(CallOutcome.UNKNOWN, now, ident, reason=str(error))
    complete = len(effect.users) == ALLOCATE_AT_ONCE and {user.user for user in effect.users} == set(done.allocated)
    seated = (*done.allocated, *done.skipped)
    return AllocateFact(CallOutcome.STARTED, now, ident, seated, done.rejected, complete=complete)
