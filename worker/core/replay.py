"""Replay: a tenant's past played once more through the same core. What it assumes stands in ``worker.core.what_if``.

Each pass is what the engine does in one: fold what has come, look, decide, act. Only the upgrades, and the capacity
that comes of them, are imagined.
"""

import heapq
from dataclasses import dataclass, replace
from itertools import count

from worker.core.alerts import Phase
from worker.core.allocation import Summary
from worker.core.case import Case, Verdict
from worker.core.decide import decide
from worker.core.effects import CheckSession, ExpireSession, FindSession, StartCheckout
from worker.core.facts import CallOutcome, CheckoutFact, Fact, OperatorAction, OperatorFact, PaymentFact, SessionFact
from worker.core.figures import Figures, Meter
from worker.core.fold import fold
from worker.core.history import (
    Answer,
    Fate,
    Found,
    Granted,
    History,
    Instant,
    Said,
    What,
    imaginary_checkout,
    imaginary_session,
)
from worker.core.policy import Policy, Powers
from worker.core.roster import Counts, Roster
from worker.core.tenant import Look, Tenant, Trouble
from worker.core.times import DAY, HOUR, SECOND
from worker.core.upgrade import CHECKOUT_LIFETIME, State

PATIENT_PASSES = 100
"""So many passes in a row at which nothing happened are made when the core asks for them, which reaches some four hours
beyond a checkout; then only every ``RESTS``, and when the checkout or its hold ends."""

RESTS = 6 * HOUR

THREE_TRIES = 5 * SECOND
"""Whatever has failed for so long has failed three times: the tries are 1, 2, then 4 seconds apart."""


@dataclass(frozen=True, slots=True)
class _Due:
    """What happens to an imagined upgrade. ``claim`` is that of the call an answer is to."""

    upgrade: str
    what: Answer | What | SessionFact
    claim: str = ""


class Replay:
    """One tenant's past under a policy; ``present`` is the one that the alerts at its start rest on."""

    def __init__(self, history: History, policy: Policy, present: Policy, powers: Powers) -> None:
        self._history, self._powers = history, powers
        self._policy, self._present = _unhurried(policy), _unhurried(present)
        self._now = history.start
        self._instant = history.instants[0]
        self._capacity = self._instant.capacity
        self._tenant: Tenant = history.tenant
        self._due: list[tuple[int, bool, int, _Due]] = []
        self._serial = count(1)
        self._answers: dict[str, list[Answer]] = {}
        self._asked: set[str] = set()
        self._fates, self._approvals = iter(history.fates), iter(history.approvals)
        self._checkouts = self._seats = self._idle = 0
        self._alerts: list[str] = []
        self._meter = Meter(history.start)
        for upgrade, fate in history.carried.items():
            self._promise(upgrade, fate, _called_at(history, upgrade))

    def play(self) -> Figures:
        """Play it from its start to its end."""
        self._remember_alerts()
        wake: int | None = None
        instants = list(reversed(self._history.instants))
        while True:
            times = [instants[-1].at] if instants else []
            times += [self._due[0][0]] if self._due else []
            times += [wake] if wake is not None else []
            if not times or min(times) > self._history.until:
                break
            self._now = min(times)
            self._meter.run(self._now)
            due, instant = None, None
            if wake is None or wake > self._now:
                # One at a time: what is imagined to happen within no time would otherwise not be seen in between.
                due = heapq.heappop(self._due)[3] if self._due and self._due[0][0] <= self._now else None
                # Seats that were granted may have been seen together with others, and no decision came in between.
                if instants and instants[-1].at <= self._now and (due is None or isinstance(due.what, Granted)):
                    instant = instants.pop()
            verdict = self._pass(due, instant)
            self._meter.stand(self._instant.needed, self._capacity)
            wake = self._wake(verdict)
        self._meter.run(self._history.until)
        return self._meter.figures(self._checkouts, self._seats, self._alerts)

    def _remember_alerts(self) -> None:
        """Have the alerts known that had been raised before the start, so that they are not raised again."""
        told_then = {(raised.kind, raised.key) for raised in self._history.raised if raised.at == self._history.start}
        tenant = self._looked(self._tenant, self._capacity)
        book = decide(self._case(tenant, self._present, fresh=False)).tenant.alerts
        known = tuple(active for active in book if (active.kind.value, active.key) not in told_then)
        self._tenant = replace(self._tenant, alerts=known)

    def _take(self, instant: Instant) -> None:
        """Take over what was known next. A capacity that changed by itself changes here by as much."""
        before = self._instant.capacity
        if self._capacity is None or before is None:
            self._capacity = instant.capacity
        elif instant.capacity is not None:
            self._capacity = max(0, self._capacity + instant.capacity - before - instant.bought)
        # A capacity that was not known for a while is compared with the last that was.
        self._instant = instant if instant.capacity is not None else replace(instant, capacity=before)

    def _pass(self, due: _Due | None, instant: Instant | None) -> Verdict:
        """What the engine does in one pass: fold what has come, look, decide, and act as imagined."""
        fact = self._fact(due) if due is not None else None
        folded = fold(self._tenant, Roster(), [fact] if fact is not None else [], self._now)
        upgrade = folded.tenant.find(due.upgrade) if due is not None and isinstance(due.what, Granted) else None
        if upgrade is not None and upgrade.open and self._capacity is not None:
            gained = max(0, upgrade.new_capacity - self._capacity)
            self._capacity += gained
            self._seats += gained
        if instant is not None:
            self._take(instant)
        tenant = self._looked(folded.tenant, self._capacity)
        fresh = tenant.trouble is None and tenant.look is not None
        verdict = decide(replace(self._case(tenant, self._policy, fresh=fresh), happened=tuple(folded.notes)))
        self._tenant = verdict.tenant
        quiet = due is None and instant is None and not verdict.notes
        self._idle = self._idle + 1 if quiet else 0
        self._alerts += [alert.kind.value for alert in verdict.alerts if alert.phase is Phase.RAISED]
        self._act(verdict)
        self._ask()
        return verdict

    def _case(self, tenant: Tenant, policy: Policy, *, fresh: bool) -> Case:
        known = self._instant
        counts = Counts(seated=max(0, known.needed - known.missing), missing=known.missing, orphaned=known.orphaned)
        number = next(self._serial)
        return Case(
            tenant, counts, self._now, policy, self._powers, fresh=fresh, new_upgrade=f"replay-{number}",
            claim=f"claim-{number}",
        )  # fmt: skip

    def _looked(self, tenant: Tenant, capacity: int | None) -> Tenant:
        """The record after a look at the imagined Crovver."""
        known, look, trouble = self._instant, tenant.look, None
        if known.trouble is not None:
            thrice = self._now >= known.trouble_since + THREE_TRIES
            retry_at = self._now + DAY if thrice else known.trouble_since + THREE_TRIES
            trouble = Trouble(known.trouble, "as it was", known.trouble_since, 3 if thrice else 1, retry_at)
        elif capacity is not None:
            look = Look(self._now, Summary(known.active, capacity, known.active > capacity, known.active), self._now)
        return replace(tenant, look=look, trouble=trouble, refused_roster=known.refused)

    def _act(self, verdict: Verdict) -> None:
        match verdict.effect:
            case StartCheckout(upgrade, claim, _):
                if upgrade not in self._answers:
                    fate = next(self._fates, self._history.usual)
                    self._checkouts += 1
                    self._answers[upgrade] = list(fate.answers)
                    self._answer(upgrade, claim)
                    self._promise(upgrade, fate, self._now)
                else:
                    self._answer(upgrade, claim)
            case ExpireSession(upgrade, _):
                self._schedule(self._now, _Due(upgrade, SessionFact(upgrade, self._now, self._id(), open=False)))
            case CheckSession(upgrade, _) | FindSession(upgrade, _):
                self._schedule(self._now, _Due(upgrade, SessionFact(upgrade, self._now, self._id())))
            case _:
                pass

    def _answer(self, upgrade: str, claim: str) -> None:
        left = self._answers[upgrade]
        answer = left.pop(0) if left else Answer()
        if answer.outcome is not None:
            self._schedule(self._now + answer.after, _Due(upgrade, answer, claim))

    def _promise(self, upgrade: str, fate: Fate, called_at: int) -> None:
        for happening in fate.happenings:
            if called_at + happening.after >= self._history.start:
                self._schedule(called_at + happening.after, _Due(upgrade, happening.what))

    def _ask(self) -> None:
        """Have an operator answer, in time, where one is asked."""
        upgrade = self._tenant.open_upgrade
        if upgrade is None or upgrade.state is not State.AWAITING_APPROVAL or upgrade.id in self._asked:
            return
        self._asked.add(upgrade.id)
        approval = next(self._approvals, self._history.usual_approval)
        if approval.action is not None and upgrade.approved_at is None:
            self._schedule(max(self._now, upgrade.created_at + approval.after), _Due(upgrade.id, approval.action))
            for happening in approval.later:
                self._schedule(max(self._now, upgrade.created_at + happening.after), _Due(upgrade.id, happening.what))

    def _schedule(self, at: int, due: _Due) -> None:
        # A call's answer comes before what it led to.
        heapq.heappush(self._due, (at, not isinstance(due.what, Answer), next(self._serial), due))

    def _fact(self, due: _Due) -> Fact | None:
        """What the inbox would hold of it, if anything."""
        now, ident = self._now, self._id()
        match due.what:
            case Answer(_, outcome, invoice, reason):
                assert outcome is not None
                started = outcome is CallOutcome.STARTED
                checkout = imaginary_checkout(due.upgrade, invoice=invoice) if started else None
                return CheckoutFact(due.upgrade, due.claim, outcome, now, ident, checkout, reason)
            case Said(event, status):
                known, session = self._tenant.find(due.upgrade), imaginary_session(due.upgrade)
                if known is not None and known.session_over and not known.open:
                    return None  # taken back, or expired: nobody can have paid it
                return PaymentFact(event, session, now, ident, status, references=(self._tenant.id,))
            case Found(open_):
                session = imaginary_session(due.upgrade)
                url = imaginary_checkout(due.upgrade, invoice=False).url
                return SessionFact(due.upgrade, now, ident, open=open_, session=session, url=url)
            case OperatorAction():
                return OperatorFact(due.what, due.upgrade, now, ident)
            case SessionFact():
                return due.what
            case _:
                return None

    def _id(self) -> str:
        return f"replay-{next(self._serial)}"

    def _wake(self, verdict: Verdict) -> int | None:
        """When to look again: as the core asks, and once a day, as what it forecasts changes with the day."""
        at = verdict.look_at
        upgrade = self._tenant.open_upgrade
        if self._idle > PATIENT_PASSES:
            lasts = (CHECKOUT_LIFETIME, self._policy.ambiguous_hold)
            ends = [upgrade.requested_at + last for last in lasts] if upgrade and upgrade.requested_at else []
            at = min([max(at, self._now + RESTS), *(end for end in ends if end > self._now)])
        at = min(at, (self._now // DAY + 1) * DAY)
        return at if at > self._now else None


def _unhurried(policy: Policy) -> Policy:
    """The same without what only makes it look more often, or does what changes no seats."""
    return replace(policy, sweep_every=DAY, credits_every=None, repair=False)


def _called_at(history: History, upgrade: str) -> int:
    known = history.tenant.find(upgrade)
    return history.start if known is None or known.requested_at is None else known.requested_at
