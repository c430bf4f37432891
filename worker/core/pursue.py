"""Pursue: what becomes of an open upgrade as time passes and Crovver shows what it shows."""

from dataclasses import replace

from worker.core.case import Case, Step
from worker.core.effects import CheckSession, ExpireSession, FindSession, StartCheckout
from worker.core.policy import Mode
from worker.core.tenant import Inputs, Rule
from worker.core.times import HOUR, MINUTE, SECOND
from worker.core.upgrade import CHECKOUT_LIFETIME, Closing, State, Upgrade, expire, move

CLAIM_TIMEOUT = 90 * SECOND
"""A claim older than this is nobody's any more: its call was given up on long before, and its outcome is unknown."""

LEAST_HOLD_ABANDONED = 10 * MINUTE
"""However short the hold: whoever claimed a call and went silent may have been stopped, and may go on and make it."""

SUPERSEDE_AFTER = MINUTE
"""A checkout younger than this is not replaced by a larger one: a growing team would be sent link after link."""

WITHDRAW_AFTER = 15 * MINUTE
"""Nor is one taken back sooner than this because the need went: it may come back, and the same link serve it."""

ASK_FOR = 6 * HOUR
"""How long Stripe is asked how a checkout that has outlived its time ended, where it gives no answer."""

FIRST_POLL = 2 * SECOND


def claim(upgrade: Upgrade, case: Case) -> Upgrade:
    """The upgrade claimed for one checkout call by this pass."""
    return replace(
        upgrade,
        claim=case.claim,
        claimed_at=case.now,
        requested_at=case.now,
        attempts=upgrade.attempts + 1,
        retry_at=None,
        needed=case.counts.needed,
        reason=None,
    )


def settle(case: Case, upgrade: Upgrade) -> tuple[Upgrade, str]:
    """What time and a fresh look make of an open upgrade, and why: confirmed, expired, unknown, given up, withdrawn."""
    state, now = upgrade.state, case.now
    called = upgrade.called
    look = case.tenant.look if case.fresh else None
    if called and look is not None and look.summary.capacity_units >= upgrade.new_capacity:
        # Even while the call is under way: its answer, if it comes, is kept all the same.
        return move(upgrade, State.CONFIRMED, now), "Crovver shows the capacity"
    if state is State.REQUESTING and upgrade.claim is not None:
        assert upgrade.claimed_at is not None
        if now < upgrade.claimed_at + CLAIM_TIMEOUT:
            return upgrade, ""
        upgrade = move(upgrade, State.UNKNOWN, now, reason="whoever made the call never said how it ended")
        upgrade = replace(upgrade, abandoned=True)
        return upgrade, "the claim ran out"
    if look is None:
        return upgrade, ""
    if not called and not _still_wanted(case, upgrade, look.summary.capacity_units):
        return move(upgrade, State.CANCELLED, now, closing=Closing.NEED_GONE), "no longer needed"
    if state is State.AWAITING_APPROVAL and upgrade.approved_at is None:
        size = case.policy.size(case.counts.needed)
        return replace(upgrade, new_capacity=size, needed=case.counts.needed), "the need changed"
    if state is State.UNKNOWN and upgrade.claimed_at is not None:
        if now >= upgrade.claimed_at + hold(case, upgrade):
            return move(upgrade, State.FAILED, now, closing=Closing.HOLD_OVER), "the hold is over"
    elif state is State.AWAITING_PAYMENT and upgrade.completed_at is None:
        if upgrade.lifetime_over(now) and not asks_how_it_ended(case, upgrade):
            closing = upgrade.closing or Closing.LIFETIME_OVER
            return expire(replace(upgrade, closing=closing), now), "a checkout lives 24 hours at most"
        if upgrade.closing is Closing.OPERATOR and not case.powers.stripe_key:
            return move(upgrade, State.CANCELLED, now, closing=Closing.OPERATOR), "operator: cancel"
    return upgrade, ""


def asks_how_it_ended(case: Case, upgrade: Upgrade) -> bool:
    """Whether Stripe is asked before a checkout counts as expired by its age alone: it may have been completed by a
    debit that takes days, and the event that told so be lost."""
    asked_until = (upgrade.requested_at or 0) + CHECKOUT_LIFETIME + ASK_FOR
    return case.powers.stripe_key and upgrade.session is not None and case.now < asked_until


def hold(case: Case, upgrade: Upgrade) -> int:
    """How long after its call an upgrade of unknown outcome bars another."""
    return max(case.policy.ambiguous_hold, LEAST_HOLD_ABANDONED if upgrade.abandoned else 0)


def _still_wanted(case: Case, upgrade: Upgrade, capacity: int) -> bool:
    """Whether an upgrade that nobody has been asked to pay for should still go ahead under the policy of today."""
    policy, needed = case.policy, case.counts.needed
    if not policy.lacks_room(needed, capacity):
        return False
    if upgrade.approved_at is not None:
        return upgrade.new_capacity > capacity and (policy.cap is None or upgrade.new_capacity <= policy.cap)
    if policy.mode is Mode.ALERT or (policy.mode is Mode.APPROVAL and upgrade.state is State.REQUESTING):
        return False
    return not policy.beyond_cap(needed) and policy.size(needed) > capacity


def poll(since: int | None, now: int, at_most: int) -> int:
    """When to look again at something that has been pending since then: the longer, the less often."""
    age = now - since if since is not None else 0
    return now + min(max(age // 10, FIRST_POLL), at_most)


def pursue(case: Case, upgrade: Upgrade) -> Step:
    """The next step for an upgrade that stays open."""
    now = case.now
    about: Inputs = {"upgrade": upgrade.id, "size": upgrade.new_capacity}
    trouble = case.tenant.trouble
    retry_at = trouble.retry_at if trouble is not None else None
    match upgrade.state:
        case State.AWAITING_APPROVAL if upgrade.approved_at is None:
            return Step(Rule.WANTS_APPROVAL, look_at=retry_at, inputs=about)
        case State.AWAITING_APPROVAL | State.REQUESTING if upgrade.claim is None:
            return _call(case, upgrade, retry_at)
        case State.REQUESTING:
            assert upgrade.claimed_at is not None
            return Step(Rule.CALL_UNDER_WAY, look_at=upgrade.claimed_at + CLAIM_TIMEOUT, inputs=about)
        case State.UNKNOWN:
            assert upgrade.claimed_at is not None
            look_at = min(poll(upgrade.claimed_at, now, MINUTE), upgrade.claimed_at + hold(case, upgrade))
            look_at = retry_at or max(look_at, now + SECOND)
            effect = None
            if case.powers.stripe_key and case.fresh and now >= upgrade.stripe_after:
                effect = FindSession(upgrade.id, upgrade.claimed_at - 5 * MINUTE)
            return Step(Rule.OUTCOME_UNKNOWN, None, effect, look_at, {**about, "reason": upgrade.reason})
        case State.AWAITING_PAYMENT:
            return _await_payment(case, upgrade, retry_at)
        case State.INVOICED:
            return Step(Rule.INVOICED, None, None, retry_at or poll(upgrade.requested_at, now, 5 * MINUTE), about)
        case _:
            assert upgrade.state is State.PAID
            return Step(Rule.PAID_NOT_APPLIED, None, None, retry_at or poll(upgrade.paid_at, now, MINUTE), about)


def _call(case: Case, upgrade: Upgrade, retry_at: int | None) -> Step:
    """Make the call of an approved upgrade, or of one whose last call did not reach Crovver, once that is due."""
    due_at = max(upgrade.retry_at or 0, retry_at or 0)
    about: Inputs = {"upgrade": upgrade.id, "reason": upgrade.reason}
    if not case.fresh or case.now < due_at:
        return Step(Rule.CALL_WAITS, look_at=max(due_at, case.now), inputs=about)
    approved = upgrade.approved_at is not None
    size = upgrade.new_capacity if approved else case.policy.size(case.counts.needed)
    asked = move(upgrade, State.REQUESTING, case.now) if upgrade.state is State.AWAITING_APPROVAL else upgrade
    claimed = replace(claim(asked, case), new_capacity=size)
    effect = StartCheckout(claimed.id, case.claim, size)
    return Step(Rule.STARTED, claimed, effect, case.now + CLAIM_TIMEOUT, {"upgrade": claimed.id, "size": size})


def _await_payment(case: Case, upgrade: Upgrade, retry_at: int | None) -> Step:
    """A payable checkout: wait for the payer, or, where Stripe can be asked, take back one that no longer fits."""
    now, policy, needed = case.now, case.policy, case.counts.needed
    assert case.tenant.look is not None
    about: Inputs = {"upgrade": upgrade.id, "size": upgrade.new_capacity}
    look_at = retry_at or poll(upgrade.requested_at, now, 5 * MINUTE)
    if upgrade.completed_at is not None:
        # A debit takes days, and the event that tells how it ended may be lost or not be subscribed to.
        effect = None
        ask_at = max(upgrade.stripe_after, upgrade.completed_at + HOUR)
        if case.powers.stripe_key and upgrade.session is not None and now >= ask_at:
            effect = CheckSession(upgrade.id, upgrade.session)
        return Step(Rule.PAYMENT_PROCESSING, None, effect, look_at, about)
    if upgrade.session is not None and upgrade.lifetime_over(now) and asks_how_it_ended(case, upgrade):
        effect = CheckSession(upgrade.id, upgrade.session) if case.fresh and now >= upgrade.stripe_after else None
        return Step(Rule.AWAITING_PAYMENT, None, effect, min(look_at, max(upgrade.stripe_after, now + SECOND)), about)
    capacity = case.tenant.look.summary.capacity_units
    age = now - upgrade.requested_at if upgrade.requested_at is not None else 0
    if upgrade.closing is Closing.OPERATOR:
        rule, closing = Rule.WITHDRAWS, Closing.OPERATOR
    elif not policy.lacks_room(needed, capacity) and age >= WITHDRAW_AFTER:
        rule, closing = Rule.WITHDRAWS, Closing.NEED_GONE
    elif policy.size(needed) > upgrade.new_capacity and not policy.beyond_cap(needed) and age >= SUPERSEDE_AFTER:
        rule, closing = Rule.SUPERSEDES, Closing.SUPERSEDED
    else:
        rule, closing = Rule.AWAITING_PAYMENT, Closing.NONE
    can = case.powers.stripe_key and case.fresh and upgrade.session is not None
    if rule is Rule.AWAITING_PAYMENT or not can:
        # A wish to take it back that is no longer held must not stand when it ends by itself one day.
        kept = replace(upgrade, closing=Closing.NONE) if case.fresh and closing is Closing.NONE else None
        return Step(Rule.AWAITING_PAYMENT, kept, None, look_at, about)
    marked = replace(upgrade, closing=closing)
    if now < upgrade.stripe_after:
        return Step(rule, marked, None, min(look_at, upgrade.stripe_after), about)
    assert upgrade.session is not None
    return Step(rule, marked, ExpireSession(upgrade.id, upgrade.session), look_at, about)
