"""Fold: bring a tenant's record and roster up to date with the facts in its inbox.

Pure and total: any facts, in any order and number, give a record. Newest facts win, repeats are no news, and a fact
about an upgrade moves it along a legal move or not at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from worker.core import roster as rosters
from worker.core.checkout import Checkout
from worker.core.credits import Credits
from worker.core.facts import (
    AllocateFact,
    CallOutcome,
    CheckoutFact,
    CreditsFact,
    Fact,
    HintFact,
    Membership,
    OperatorAction,
    OperatorFact,
    PaymentEvent,
    PaymentFact,
    RosterFact,
    SessionFact,
    UserFact,
)
from worker.core.journal import Json, Note, NoteKind
from worker.core.roster import Roster
from worker.core.tenant import Tenant, TroubleKind
from worker.core.times import MINUTE, SECOND
from worker.core.upgrade import (
    PAID_DEADLINE,
    PURPOSE,
    Closing,
    State,
    Upgrade,
    answer,
    apply_payment,
    expire,
    is_proration_of,
    is_session_of,
    may_be_of,
    move,
)

_SIGNS = {Membership.ADDED: "+", Membership.REMOVED: "-"}
PAYMENTS_REMEMBERED = 50
EARLY_REMEMBERED = 20
NOTED_USERS = 200
NOTED_POOLS = 50
FIRST_RETRY = 2 * SECOND
LAST_RETRY = 5 * MINUTE


@dataclass(slots=True)
class Folded:
    """The record and roster after a fold, and what to write in the journal about it."""

    tenant: Tenant
    roster: Roster
    notes: list[Note] = field(default_factory=list)

    def note(self, kind: NoteKind, **data: Json) -> None:
        self.notes.append(Note(kind, data))

    def put(self, old: Upgrade, new: Upgrade, why: str) -> None:
        """Put a changed upgrade in place, and journal the move if its state changed."""
        self.tenant = self.tenant.with_upgrade(new)
        if new.state is not old.state:
            self.note(NoteKind.UPGRADE, id=new.id, before=old.state.value, after=new.state.value, why=why)


def fold(tenant: Tenant, roster: Roster, facts: Iterable[Fact], now: int, *, first_look: bool = False) -> Folded:
    """Apply ``facts`` in the order they were accepted.

    ``first_look`` says that Crovver's list of this tenant had never been read before this pass.
    """
    folded = Folded(tenant, roster)
    user_events: list[Json] = []
    too_old: list[Json] = []
    if tenant.waiting_roster is not None and _can_be_judged(tenant):
        folded.tenant = replace(tenant, waiting_roster=None)
        _snapshot(folded, tenant.waiting_roster, first_look=True)
    for fact in facts:
        match fact:
            case UserFact():
                applied = rosters.apply_user(roster, fact)
                sign = _SIGNS[fact.membership]
                user_events.append([sign, fact.user, fact.at, fact.id, applied])
                if not applied and roster.is_behind_horizon(fact.user, (fact.at, fact.id)):
                    too_old.append([sign, fact.user, fact.at, fact.id])
            case RosterFact():
                _snapshot(folded, fact, first_look=first_look)
            case PaymentFact():
                _payment(folded, fact, now)
            case OperatorFact():
                _operator(folded, fact, now)
            case HintFact():
                folded.note(NoteKind.HINT, source=fact.source)
                if fact.credits:
                    wanted = replace(folded.tenant.credits or Credits(), tried_at=0)
                    folded.tenant = replace(folded.tenant, credits=wanted)
            case CheckoutFact():
                _checkout(folded, fact, now)
            case SessionFact():
                _session(folded, fact, now)
            case AllocateFact():
                _allocate(folded, fact, now)
            case CreditsFact():
                _credits(folded, fact, now)
    for payment in folded.tenant.early:
        if match_payment(folded.tenant, payment, exact=True) is not None:
            _payment(folded, payment, now)
    for start in range(0, len(user_events), NOTED_USERS):
        folded.note(NoteKind.FACTS, events=user_events[start : start + NOTED_USERS])
    _too_old(folded, too_old)
    folded.tenant = replace(folded.tenant, floor=roster.floor)
    return folded


def _too_old(folded: Folded, events: list[Json]) -> None:
    """Say of what users were told that counts for nothing, because it is behind the horizon."""
    if events:
        folded.note(NoteKind.TOO_OLD, count=len(events), events=events[:NOTED_USERS])


def _can_be_judged(tenant: Tenant) -> bool:
    """Whether it is known what a full list of users would change: Crovver has been read, or has nothing to tell."""
    return tenant.look is not None or (
        tenant.trouble is not None and tenant.trouble.kind is TroubleKind.NO_SUBSCRIPTION
    )


def _snapshot(folded: Folded, fact: RosterFact, *, first_look: bool) -> None:
    roster, waiting = folded.roster, folded.tenant.waiting_roster
    if not fact.forced and not _can_be_judged(folded.tenant):
        if waiting is None or (fact.at, fact.id) > (waiting.at, waiting.id):
            folded.tenant = replace(folded.tenant, waiting_roster=fact)
        return
    removed = len(rosters.removed_by(roster, fact)) if (fact.at, fact.id) > roster.floor else 0
    about: dict[str, Json] = {"id": fact.id, "users": len(fact.users), "removed": removed, "as_of_at": fact.at}
    # Whether it is too drastic was asked where it was accepted; only of a tenant that nobody had looked at yet it could
    # not be. Nothing is bought then until a list comes that can be believed.
    if first_look and not fact.forced and rosters.is_drastic(removed, roster.counts().needed):
        folded.tenant = replace(folded.tenant, refused_roster=(removed, roster.counts().needed))
        folded.note(NoteKind.ROSTER, applied=False, refused=True, **about)
        return
    folded.tenant = replace(folded.tenant, refused_roster=None)
    key = (fact.at, fact.id)
    _too_old(folded, [["+", one.user, *key] for one in fact.users if roster.is_behind_horizon(one.user, key)])
    folded.note(NoteKind.ROSTER, applied=rosters.apply_snapshot(roster, fact), refused=False, **about)


def _payment(folded: Folded, fact: PaymentFact, now: int) -> None:
    tenant = folded.tenant
    early = next((known for known in tenant.early if known.id == fact.id), None)
    if fact.id in tenant.payments_seen and early is None:
        return
    seen = (*tenant.payments_seen, fact.id)[-PAYMENTS_REMEMBERED:] if early is None else tenant.payments_seen
    others = tuple(known for known in tenant.early if known is not early)
    tenant = replace(tenant, payments_seen=seen, early=others)
    folded.tenant = tenant
    about: dict[str, Json] = {"event": fact.event.value, "id": fact.id, "status": fact.payment_status}
    upgrade = None if fact.foreign else match_payment(tenant, fact)
    if upgrade is None:
        if not fact.foreign and fact.purpose in (None, PURPOSE):
            folded.tenant = replace(tenant, early=(*others, fact)[-EARLY_REMEMBERED:])
        if early is None:
            folded.note(NoteKind.PAYMENT, upgrade=None, foreign=fact.foreign, **about)
        return
    folded.note(NoteKind.PAYMENT, upgrade=upgrade.id, foreign=False, **about)
    changed = apply_payment(upgrade, fact, now)
    if changed.state is State.PAID and not upgrade.open:
        rival = tenant.open_upgrade
        if rival is not None and not rival.called:
            folded.put(rival, move(rival, State.CANCELLED, now, closing=Closing.NEED_GONE), "an earlier one was paid")
        elif rival is not None:
            # Two open upgrades are never allowed, not even for money that came late: the look that this event causes
            # finds the capacity, and the journal says whose money it was.
            changed = replace(upgrade, session=changed.session, paid_at=now, session_over=True)
            folded.note(NoteKind.HINT, source=f"upgrade {upgrade.id} was paid after it had closed")
    folded.put(upgrade, changed, f"Stripe: {fact.event.value}")


def match_payment(tenant: Tenant, fact: PaymentFact, *, exact: bool = False) -> Upgrade | None:
    """The upgrade a payment event is about; None where there is none.

    The session decides, then the proration, then, unless it is to be ``exact``, the tenant; of several upgrades that
    fit the open one, then the newest.
    """
    candidates = sorted(reversed(tenant.upgrades), key=lambda upgrade: not upgrade.open)
    for fits in (is_session_of, is_proration_of) if exact else (is_session_of, is_proration_of, may_be_of(tenant.id)):
        for upgrade in candidates:
            if fits(upgrade, fact):
                return upgrade
    return None


def _operator(folded: Folded, fact: OperatorFact, now: int) -> None:
    upgrade = folded.tenant.find(fact.upgrade)
    fits = upgrade is not None and allowed(folded.tenant, upgrade, fact.action, now)
    changed = _decided(upgrade, fact.action, now) if upgrade is not None and fits else None
    folded.note(NoteKind.OPERATOR, action=fact.action.value, upgrade=fact.upgrade, applied=changed is not None)
    if upgrade is not None and changed is not None:
        folded.put(upgrade, changed, f"operator: {fact.action.value}")


def allowed(tenant: Tenant, upgrade: Upgrade, action: OperatorAction, now: int) -> bool:
    """Whether an operator may take this action on an upgrade of a tenant as things stand."""
    current = tenant.upgrade
    if action is OperatorAction.RETRY and current is not None and current.id != upgrade.id:
        return False  # another one has taken its place
    return _decided(upgrade, action, now) is not None


def _overdue(upgrade: Upgrade, now: int) -> bool:
    """Whether money has come, or is on its way, and nothing has come of it for so long that an operator may give up."""
    if upgrade.state is State.AWAITING_PAYMENT:
        return upgrade.completed_at is not None
    return upgrade.state is State.PAID and upgrade.paid_at is not None and now >= upgrade.paid_at + PAID_DEADLINE


def _decided(upgrade: Upgrade, action: OperatorAction, now: int) -> Upgrade | None:
    """The upgrade after an operator's decision; None where the decision does not fit its state."""
    state = upgrade.state
    match action:
        case OperatorAction.APPROVE:
            if state is State.AWAITING_APPROVAL and upgrade.approved_at is None:
                return replace(upgrade, approved_at=now)
        case OperatorAction.CANCEL:
            waits = state is State.REQUESTING and upgrade.claim is None
            if waits or state in (State.AWAITING_APPROVAL, State.UNKNOWN, State.INVOICED):
                return move(upgrade, State.CANCELLED, now, closing=Closing.OPERATOR)
            if state is State.AWAITING_PAYMENT and upgrade.completed_at is None:
                return replace(upgrade, closing=Closing.OPERATOR, stripe_after=0)
            if _overdue(upgrade, now):
                return move(upgrade, State.CANCELLED, now, closing=Closing.OPERATOR)
        case OperatorAction.RETRY:
            if state is State.UNKNOWN or _overdue(upgrade, now):
                given_up = move(upgrade, State.FAILED, now, closing=Closing.OPERATOR)
                return replace(given_up, reason="given up by an operator", retried_at=now)
            if state in (State.EXPIRED, State.FAILED, State.CANCELLED) and upgrade.retried_at is None:
                return replace(upgrade, retried_at=now)
            if state is State.REQUESTING and upgrade.claim is None:
                return replace(upgrade, retry_at=now)
    return None


def retry_delay(attempts: int) -> int:
    """How long to wait after the given number of failed attempts: doubled each time, within bounds (microseconds)."""
    return min(LAST_RETRY, FIRST_RETRY << min(max(attempts - 1, 0), 20))


def _checkout(folded: Folded, fact: CheckoutFact, now: int) -> None:
    upgrade = folded.tenant.find(fact.upgrade)
    known = upgrade is not None and upgrade.claim == fact.claim
    folded.note(NoteKind.OUTCOME, upgrade=fact.upgrade, outcome=fact.outcome.value, reason=fact.reason, applied=known)
    if upgrade is None or not known:
        return
    requesting, why = upgrade.state is State.REQUESTING, "Crovver's answer"
    waits = requesting or upgrade.state is State.UNKNOWN
    match fact.outcome:
        case CallOutcome.STARTED:
            assert fact.checkout is not None
            folded.put(upgrade, answer(upgrade, fact.checkout, now), why)
        case CallOutcome.REFUSED if waits:
            refused = move(upgrade, State.FAILED, now, closing=Closing.REFUSED, reason=fact.reason, claim=None)
            folded.put(upgrade, refused, why)
        case CallOutcome.UNKNOWN if requesting:
            folded.put(upgrade, move(upgrade, State.UNKNOWN, now, reason=fact.reason), "no known outcome")
        case CallOutcome.NOT_SENT if requesting:
            wait = max(fact.retry_after or 0, retry_delay(upgrade.attempts))
            released = replace(
                upgrade, claim=None, claimed_at=None, requested_at=None, retry_at=now + wait, reason=fact.reason
            )
            folded.put(upgrade, released, "the call did not reach Crovver")
        case CallOutcome.NOT_SENT if waits:
            closed = move(upgrade, State.FAILED, now, closing=Closing.NOT_SENT, reason=fact.reason, claim=None)
            folded.put(upgrade, closed, "the call did not reach Crovver")
        case _:
            pass


def _session(folded: Folded, fact: SessionFact, now: int) -> None:
    upgrade = folded.tenant.find(fact.upgrade)
    if upgrade is None:
        return
    state = "unknown" if fact.open is None else ("open" if fact.open else "expired")
    folded.note(NoteKind.OUTCOME, upgrade=fact.upgrade, outcome=f"stripe session {state}", reason=None, applied=True)
    wait = fact.retry_after if fact.retry_after is not None else MINUTE
    changed = replace(upgrade, stripe_after=now + wait)
    if fact.open is True and upgrade.state is State.UNKNOWN and fact.session is not None:
        found = Checkout(proration_id=None, url=fact.url, requires_payment=True)
        changed = replace(answer(changed, found, now), session=fact.session)
    elif (
        fact.open is False and upgrade.completed_at is None and upgrade.state in (State.UNKNOWN, State.AWAITING_PAYMENT)
    ):
        changed = expire(replace(changed, session=upgrade.session or fact.session), now)
    folded.put(upgrade, changed, f"Stripe's session is {state}")


def _allocate(folded: Folded, fact: AllocateFact, now: int) -> None:
    for user in fact.seated:
        rosters.apply_seated(folded.roster, user)
    # The roster has now what Crovver said of its own accord, no longer what the page said that was seen last.
    look = folded.tenant.look
    folded.tenant = replace(folded.tenant, look=None if look is None else replace(look, page=""))
    # Crovver may say "seated" and still not list the user, under another spelling of its id, say.
    folded.tenant = replace(folded.tenant, repair_after=0 if fact.complete else now + MINUTE)
    folded.note(
        NoteKind.OUTCOME, outcome=f"allocate {fact.outcome.value}", seated=len(fact.seated),
        rejected=len(fact.rejected), reason=fact.reason,
    )  # fmt: skip


def _credits(folded: Folded, fact: CreditsFact, now: int) -> None:
    known = folded.tenant.credits or Credits()
    if fact.pools is None:
        credits = replace(known, tried_at=now, trouble=fact.reason)
    elif known.at is not None and fact.at < known.at:
        credits = replace(known, tried_at=now)  # clocks went back; what is known is newer
    else:
        credits = Credits(fact.pools, fact.at, now)
        if known.at is None or known.pools != fact.pools:
            folded.note(NoteKind.CREDITS, pools={pool.key: pool.total for pool in fact.pools[:NOTED_POOLS]})
    folded.tenant = replace(folded.tenant, credits=credits)


def payment_of_session(session: str, paid: bool, at: int, tenant: str) -> PaymentFact:
    """What a completed session found at Stripe says, in the words of the webhook that has not come."""
    status = "paid" if paid else "unpaid"
    return PaymentFact(PaymentEvent.COMPLETED, session, at, f"lookup:{session}:{status}", status, references=(tenant,))
