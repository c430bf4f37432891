"""Decide: what should happen next for a tenant, from what is known. Pure: the same inputs give the same verdict.

A verdict carries at most one effect. An effect that costs money is only ever decided on a look at Crovver that was
taken after the last fact (``fresh``), and its claim is part of the record that is saved before anything is called.
"""

from dataclasses import replace

from worker.core import alert_rules, forecast, pursue
from worker.core.alert_book import Advanced, advance
from worker.core.alerts import Alert
from worker.core.case import Case, Step, Verdict
from worker.core.effects import Allocate, Effect, StartCheckout
from worker.core.journal import Note, NoteKind
from worker.core.policy import Mode
from worker.core.tenant import Decision, Inputs, Rule, Tenant, TroubleKind, asks_in_a_row, credits_at
from worker.core.times import HOUR, MINUTE
from worker.core.upgrade import Closing, State, Upgrade

MOST_ASKS = 4
"""One ask and three more; then an operator decides."""

ALLOCATE_AT_ONCE = 100
OUTBOX_LIMIT = 100

RETRY_COUNTS_FOR = HOUR
"""How long an operator's wish to ask again stands for an approval of the same size."""


def decide(case: Case) -> Verdict:
    """The verdict on one tenant."""
    tenant, notes = case.tenant, []
    upgrade = tenant.open_upgrade
    if upgrade is not None:
        settled, why = pursue.settle(case, upgrade)
        if settled is not upgrade:
            tenant = tenant.with_upgrade(settled)
            if settled.state is not upgrade.state:
                notes.append(_moved(upgrade, settled, why))
        upgrade = tenant.open_upgrade
    current = replace(case, tenant=tenant)
    step = pursue.pursue(current, upgrade) if upgrade is not None else consider(current)
    if isinstance(step.effect, StartCheckout) and case.lost_at is not None:
        # Somebody may hold a link that the lost state knew of.
        step = Step(Rule.WAITS_FOR_SWEEP, inputs={"size": step.effect.new_capacity, "lost_at": case.lost_at})
    if step.upgrade is not None:
        before = tenant.find(step.upgrade.id)
        tenant = tenant.with_upgrade(step.upgrade)
        if before is None or before.state is not step.upgrade.state:
            notes.append(_moved(before, step.upgrade, step.rule.value))
    effect = step.effect or _repair(current)
    decision = Decision(step.rule, case.now, {**_numbers(current), **step.inputs})
    if case.tenant.decision is None or _differs(case.tenant.decision, decision):
        notes.append(Note(NoteKind.DECISION, {"rule": decision.rule.value, **decision.inputs}))
    else:
        decision = case.tenant.decision
    decided = replace(current, tenant=_kept_up(replace(tenant, decision=decision), case))
    told = _alerts(decided, [*case.happened, *notes])
    notes.extend(_alert_note(alert) for alert in told.alerts)
    serial = told.alerts[-1].serial if told.alerts else tenant.alert_serial
    outbox = (*tenant.outbox, *told.alerts)[-OUTBOX_LIMIT:]
    saved = replace(decided.tenant, alerts=told.book, alert_serial=serial, outbox=outbox)
    later = (
        step.look_at,
        told.look_at,
        alert_rules.next_change(replace(decided, tenant=saved)),
        _repair_at(case),
        _credits_at(decided),
    )
    look_at = min([case.now + case.policy.sweep_every, *(at for at in later if at is not None)])
    return Verdict(saved, effect, max(look_at, case.now), tuple(notes), told.alerts)


def _kept_up(tenant: Tenant, case: Case) -> Tenant:
    """The record with what it keeps over time brought up to date: how need grows, and since when there is drift."""
    if tenant.look is None:
        return tenant
    # Users who have to wait for seats to be bought are no drift.
    full = case.counts.needed > tenant.look.summary.capacity_units
    drifts = case.counts.orphaned > 0 or (case.counts.missing > 0 and not full)
    since = tenant.drift_since if tenant.drift_since is not None else case.now
    return replace(
        tenant,
        growth=forecast.remember(tenant.growth, case.counts.needed, case.now),
        drift_since=since if drifts else None,
    )


def _alerts(case: Case, notes: list[Note]) -> Advanced:
    """What there is to tell people, and the book of what they have been told."""
    tenant = case.tenant
    moments = alert_rules.moments(tenant, notes)
    return advance(
        tenant.alerts,
        alert_rules.conditions(case),
        moments,
        tenant=tenant.id,
        serial=tenant.alert_serial,
        now=case.now,
        surely=alert_rules.surely_over(case),
        wordless=alert_rules.told_otherwise(case, moments),
    )


def _alert_note(alert: Alert) -> Note:
    words = {"alert": alert.kind.value, "severity": alert.severity.value, "phase": alert.phase.value}
    return Note(NoteKind.ALERT, {**words, "key": alert.key})


def _credits_at(case: Case) -> int | None:
    """When to wake up for the credit balances; those that are due already are read before this wake-up ends."""
    at = credits_at(case.tenant, case.policy)
    return at if at is not None and at > case.now else None


def consider(case: Case) -> Step:
    """Whether a tenant without an open upgrade should get one."""
    tenant, policy, needed = case.tenant, case.policy, case.counts.needed
    trouble = tenant.trouble
    if trouble is not None:
        rule = Rule.NO_SUBSCRIPTION if trouble.kind is TroubleKind.NO_SUBSCRIPTION else Rule.UNREACHABLE
        rule = Rule.LOOK_INCOMPLETE if trouble.kind is TroubleKind.UNSETTLED else rule
        return Step(rule, look_at=trouble.retry_at, inputs={"trouble": trouble.message})
    if tenant.look is None:
        return Step(Rule.NOT_LOOKED, look_at=case.now)
    capacity = tenant.look.summary.capacity_units
    if not policy.lacks_room(needed, capacity):
        return Step(Rule.ENOUGH)
    if policy.mode is Mode.ALERT:
        return Step(Rule.ALERT_ONLY)
    if policy.beyond_cap(needed):
        return Step(Rule.BEYOND_CAP, inputs={"cap": policy.cap})
    size = policy.size(needed)
    if size <= capacity:
        return Step(Rule.CAP_REACHED, inputs={"cap": policy.cap})
    if not case.fresh:
        return Step(Rule.LOOK_INCOMPLETE, look_at=case.now)
    if tenant.refused_roster is not None:
        removed, of = tenant.refused_roster
        return Step(Rule.ROSTER_REFUSED, inputs={"removed": removed, "of": of})
    return _barred(case) or _start(case, size)


def _barred(case: Case) -> Step | None:
    """What an earlier upgrade that came to nothing says against a new one; None where nothing does."""
    last = case.tenant.upgrades[-1] if case.tenant.upgrades else None
    if last is None or last.retried_at is not None or last.state is State.CONFIRMED:
        return None
    if last.state is State.CANCELLED and last.closing is Closing.OPERATOR and case.counts.needed <= last.needed:
        return Step(Rule.OPERATOR_CANCELLED, inputs={"upgrade": last.id})
    if last.payable(case.now):
        return Step(Rule.OLD_LINK_PAYABLE, inputs={"upgrade": last.id})
    invoices = any(known.invoiced for known in case.tenant.upgrades)
    if last.closing is Closing.HOLD_OVER and (invoices or not case.powers.stripe_webhooks):
        return Step(Rule.OUTCOME_LOST, inputs={"upgrade": last.id})
    asks = asks_in_a_row(case.tenant)
    if asks >= MOST_ASKS:
        return Step(Rule.ASKED_TOO_OFTEN, inputs={"asks": asks, "upgrade": last.id})
    ready_at = _ready_at(last, asks)
    if case.now < ready_at:
        inputs = {"upgrade": last.id, "reason": last.reason, "ready_at": ready_at}
        return Step(Rule.WAITS_TO_ASK_AGAIN, look_at=ready_at, inputs=inputs)
    return None


def _ready_at(last: Upgrade, asks: int) -> int:
    """A refusal or a failed payment would repeat at once: wait 1, 4, then 16 minutes. Anything else need not wait."""
    if last.closing not in (Closing.REFUSED, Closing.PAYMENT_FAILED) or last.closed_at is None:
        return 0
    return last.closed_at + (MINUTE << 2 * max(asks - 1, 0))


def _start(case: Case, size: int) -> Step:
    """A new upgrade: asked for at once, or put before an operator."""
    tenant = case.tenant
    assert tenant.look is not None
    assert tenant.open_upgrade is None
    last = tenant.upgrades[-1] if tenant.upgrades else None
    upgrade = Upgrade(
        id=case.new_upgrade,
        state=State.AWAITING_APPROVAL,
        new_capacity=size,
        from_capacity=tenant.look.summary.capacity_units,
        needed=case.counts.needed,
        created_at=case.now,
    )
    inputs: Inputs = {"upgrade": upgrade.id, "size": size}
    recently = case.now - RETRY_COUNTS_FOR
    renewed = last is not None and (last.retried_at or 0) > recently and size <= last.new_capacity
    if case.policy.mode is Mode.APPROVAL and not renewed:
        return Step(Rule.WANTS_APPROVAL, upgrade, inputs=inputs)
    approved_at = case.now if renewed else None
    claimed = pursue.claim(replace(upgrade, state=State.REQUESTING, approved_at=approved_at), case)
    effect = StartCheckout(claimed.id, case.claim, size)
    return Step(Rule.STARTED, claimed, effect, look_at=case.now + pursue.CLAIM_TIMEOUT, inputs=inputs)


def _repair_at(case: Case) -> int | None:
    """When a repair that was put off may go on."""
    put_off = case.policy.repair and bool(case.missing) and case.tenant.repair_after > case.now
    return case.tenant.repair_after if put_off else None


def _repair(case: Case) -> Effect | None:
    """Record missing users in Crovver where that is wanted and there is room."""
    look = case.tenant.look
    if not case.policy.repair or not case.fresh or look is None or case.now < case.tenant.repair_after:
        return None
    room = look.summary.capacity_units - look.summary.active_count
    users = case.missing[: min(max(room, 0), ALLOCATE_AT_ONCE)]
    return Allocate(users) if users else None


def _numbers(case: Case) -> Inputs:
    """The numbers every decision rests on."""
    look = case.tenant.look
    return {
        "needed": case.counts.needed,
        "active": look.summary.active_count if look else None,
        "capacity": look.summary.capacity_units if look else None,
        "missing": case.counts.missing,
        "orphaned": case.counts.orphaned,
        "headroom": case.policy.headroom,
        "block": case.policy.block,
    }


def _differs(old: Decision, new: Decision) -> bool:
    return old.rule is not new.rule or dict(old.inputs) != dict(new.inputs)


def _moved(before: Upgrade | None, after: Upgrade, why: str) -> Note:
    return Note(
        NoteKind.UPGRADE,
        {
            "id": after.id,
            "before": before.state.value if before else None,
            "after": after.state.value,
            "why": why,
            "new_capacity": after.new_capacity,
        },
    )
