"""Safety: what must hold after every step, checked against what really happened in the outside world."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import takewhile

from tests.simulation.kernel import Kernel
from tests.simulation.outside import Call, Outside, Payable
from worker.core.facts import Fact, OperatorAction, OperatorFact
from worker.core.journal import NoteKind
from worker.core.policy import Mode, Policy
from worker.core.tenant import HISTORY, Tenant
from worker.core.times import HOUR, MINUTE
from worker.core.upgrade import MOVES, Closing, State
from worker.store.interface import Commit

MOST_ASKS = 4
"""One ask and three more, says the design."""

CLOCK_STEPS = 11 * MINUTE
"""By how much the store's clock may have gone forward meanwhile, and what a claim is older than its call."""

LINK_LIVES = 24 * HOUR


class Violation(BaseException):
    """An invariant does not hold. No ``except Exception`` of the code under test gets to hide it."""


def demand(holds: object, what: str) -> None:
    if not holds:
        raise Violation(what)


@dataclass(slots=True)
class Ledger:
    """What really happened: facts accepted, calls made, decisions of operators, and every state seen."""

    kernel: Kernel
    outside: Outside
    policy: Policy
    can_ask: bool = False
    facts: dict[str, dict[str, Fact]] = field(default_factory=dict)
    claims: set[tuple[str, str]] = field(default_factory=set)
    decisions: dict[str, set[OperatorAction]] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    upgrade_of: dict[str, str] = field(default_factory=dict)
    records: dict[str, Tenant] = field(default_factory=dict)
    keys: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)
    moves: Counter[tuple[State | None, State]] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    doubled: int = 0

    def accept(self, tenant: str, fact: Fact) -> None:
        """A fact is about to be given to the store until it is accepted."""
        known = self.facts.setdefault(tenant, {})
        self.accepted += fact.id not in known
        known[fact.id] = fact
        if isinstance(fact, OperatorFact):
            self.decisions.setdefault(fact.upgrade, set()).add(fact.action)

    def go_back(self, records: dict[str, Tenant]) -> None:
        """A replica has taken over, and has these records: some saves were lost that nobody was to rely on."""
        self.records = dict(records)
        for record in records.values():
            self.states.update({one.id: one.state for one in record.upgrades})
        self.keys.clear()

    # -- what is saved --------------------------------------------------------------------------------------------

    def committed(self, commit: Commit, changed: bool) -> None:
        """A record was written, or an attempt at it came to nothing."""
        self.seen["commit saved" if changed else "commit in vain"] += 1
        if not changed:
            return
        after = commit.tenant
        before = self.records.get(after.id, Tenant(after.id))
        self.records[after.id] = after
        self._upgrades(before, after)
        self._moves(commit)
        self._rosters(after.id, commit)
        self._bounds(after)
        if after.decision is not None:
            self.seen[f"rule {after.decision.rule}"] += 1
        for alert in after.outbox[-5:]:
            self.seen[f"alert {alert.kind} {alert.phase}"] += 1
        if commit.durable:
            upgrade = after.open_upgrade
            demand(upgrade is not None and upgrade.claim is not None, "a purchase was saved without its claim")
            assert upgrade is not None
            assert upgrade.claim is not None
            self.claims.add((upgrade.id, upgrade.claim))

    def _upgrades(self, before: Tenant, after: Tenant) -> None:
        demand(sum(one.open for one in after.upgrades) <= 1, "two upgrades of one tenant are open")
        for upgrade in after.upgrades:
            was = before.find(upgrade.id)
            if was is not None and was.state is not upgrade.state:
                demand(_reachable(was.state, upgrade.state), f"{was.state} became {upgrade.state}")
            if upgrade.state is State.CONFIRMED and (was is None or was.state is not State.CONFIRMED):
                known = self.outside.subscriptions[after.id]
                demand(known.most >= upgrade.new_capacity, "confirmed without the capacity")
            if was is not None:
                demand(was.paid_at is None or upgrade.paid_at is not None, "a payment was forgotten")
                demand(upgrade.new_capacity == was.new_capacity or not was.called, "a size changed after the call")
            self.states[upgrade.id] = upgrade.state
            if upgrade.closing:
                self.seen[f"closing {upgrade.closing}"] += 1
            if upgrade.checkout is not None and upgrade.checkout.url and upgrade.state is State.AWAITING_PAYMENT:
                self.outside.hand_out(upgrade.session or "")
            if upgrade.session:
                self.upgrade_of[upgrade.session] = upgrade.id
        asked = 0
        for upgrade in reversed(after.upgrades):
            if upgrade.state not in (State.EXPIRED, State.FAILED) or upgrade.retried_at is not None:
                break
            asked += upgrade.counts_as_ask
        demand(asked <= MOST_ASKS, "asked too often in a row")

    def _moves(self, commit: Commit) -> None:
        for note in commit.notes:
            if note.kind is NoteKind.UPGRADE:
                before, after = note.data["before"], State(str(note.data["after"]))
                self.moves[None if before is None else State(str(before)), after] += 1
            self.seen[f"note {note.kind}"] += 1
            demand("pay.example" not in str(note.data), "a link stands in the journal")

    def _rosters(self, tenant: str, commit: Commit) -> None:
        keys = self.keys.setdefault(tenant, {})
        for user, entry in commit.changes.items():
            demand(entry is None or entry.key >= keys.get(user, (-1, "")), f"an older word about {user} won")
            if entry is not None:
                keys[user] = entry.key

    def _bounds(self, tenant: Tenant) -> None:
        closed = [one for one in tenant.upgrades if not one.open]
        demand(len(closed) <= HISTORY, "the history grows")
        demand(len(tenant.payments_seen) <= 50, "payments_seen grows")
        demand(len(tenant.early) <= 20, "early payments grow")
        demand(len(tenant.outbox) <= 100, "the outbox grows")

    # -- what is called -------------------------------------------------------------------------------------------

    def sent(self, call: Call) -> None:
        """A checkout call leaves a process."""
        mine = (call.upgrade, call.claim)
        demand(mine in self.claims, "a call was made whose claim was not saved first")
        # A call that provably never left is not among these.
        if any(other.upgrade == call.upgrade for other in self.outside.calls if other is not call):
            self.doubled += 1
            raise Violation(f"a second call for upgrade {call.upgrade}")
        policy, record = self.policy, self.records[call.tenant]
        demand(policy.mode is not Mode.ALERT, "bought although only alerts are wanted")
        demand(policy.cap is None or call.capacity <= policy.cap, "bought beyond the cap")
        if policy.mode is Mode.APPROVAL:
            approved = self.decisions.get(call.upgrade, set())
            renewed = any(OperatorAction.RETRY in self.decisions.get(one.id, ()) for one in record.upgrades)
            demand(OperatorAction.APPROVE in approved or renewed, "bought without an operator's approval")
        for other in self.outside.calls:
            closing = next((one.closing for one in record.upgrades if one.id == other.upgrade), None)
            if other.tenant == call.tenant and closing is Closing.HOLD_OVER:
                held = call.at - other.at + CLOCK_STEPS
                demand(held >= policy.ambiguous_hold, f"the hold of {other.upgrade} was not kept")
        for payable in self.outside.payables:
            if payable.tenant == call.tenant and self._is_still_payable(payable):
                self.doubled += 1
                raise Violation(f"asked again while {payable.session} can be paid")

    def _is_still_payable(self, payable: Payable) -> bool:
        """Whether somebody may pay this one, and neither an operator nor the capacity itself has made up for it."""
        if payable.held is None or payable.state == "expired" or payable.money in ("paid", "failed"):
            return False
        upgrade = self.upgrade_of.get(payable.session) or self._invoiced(payable)
        if self.states.get(upgrade or "") is State.CONFIRMED:
            return False
        if OperatorAction.RETRY in self.decisions.get(upgrade or "", ()):
            return False
        if payable.money == "processing" and self.kernel.now >= payable.created + LINK_LIVES:
            known = self.records[payable.tenant].find(upgrade or "")
            told = known is not None and known.completed_at is not None
            return told or self.can_ask  # else nobody has been told, and there is nobody to ask
        closing = next((one.closing for one in self.records[payable.tenant].upgrades if one.id == upgrade), None)
        if closing is Closing.HOLD_OVER and self._was_unknown(payable, upgrade):
            return False  # the answer was lost, and the hold is over: another may be asked for
        return payable.invoice or payable.money == "processing" or self.kernel.now < payable.created + LINK_LIVES

    def _was_unknown(self, payable: Payable, upgrade: str | None) -> bool:
        """Whether the worker could know neither the link, nor by then that the tenant is billed by invoices."""
        if not payable.invoice:
            return self.outside.webhooks
        earlier = takewhile(lambda one: one.id != upgrade, self.records[payable.tenant].upgrades)
        return not any(one.invoiced for one in earlier)

    def _invoiced(self, payable: Payable) -> str | None:
        return next((call.upgrade for call in self.outside.calls if call.payable is payable), None)


def _reachable(before: State, after: State) -> bool:
    reached = {before}
    while more := {to for state in reached for to in MOVES[state]} - reached:
        reached |= more
    return after in reached
