"""A stateful search over core, engine and store: any interleaving of what can happen, and what must never."""

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.engine.world import Fault, Payable, World
from worker.core.alerts import AlertKind, Phase
from worker.core.facts import Membership, OperatorAction, PaymentEvent, RosterFact, RosterUser, UserFact
from worker.core.policy import Mode, Policy, Powers
from worker.core.tenant import is_exceeded
from worker.core.times import SECOND
from worker.core.upgrade import CLOSED, MOVES, State

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "60"))
STEPS = int(os.environ.get("MACHINE_STEPS", "40"))
USERS = [f"user_{number}" for number in range(1, 10)]
MOMENTS = (
    AlertKind.PAYMENT_CONFIRMED,
    AlertKind.FOREIGN_PAYMENT,
    AlertKind.UNREADABLE_FACTS,
    AlertKind.TOO_OLD_FACTS,
)
FAULTS: list[Fault] = ["not_sent", "refused", "unknown_before", "unknown_after"]


class SeatMachine(RuleBasedStateMachine):
    """One tenant, its users, its payer, its operator, and a Crovver that fails."""

    @initialize(
        mode=st.sampled_from(Mode),
        block=st.integers(1, 3),
        headroom=st.integers(0, 2),
        cap=st.none() | st.integers(4, 8),
        webhooks=st.booleans(),
        key=st.booleans(),
        capacity=st.integers(1, 6),
        invoices=st.booleans(),
    )
    def begin(
        self,
        mode: Mode,
        block: int,
        headroom: int,
        cap: int | None,
        webhooks: bool,
        key: bool,
        capacity: int,
        invoices: bool,
    ) -> None:
        self.world = World(Policy(mode, block, headroom, cap), Powers(webhooks, key))
        self.world.subscribe("t", capacity, min(capacity, 2), invoices=invoices)
        self.newest: dict[str, tuple[int, str, bool]] = {
            user: (at, "", active) for user, (active, at) in self.world.crovver.subscriptions["t"].seats.items()
        }
        self.seen: dict[str, State] = {}
        self.told: list[UserFact] = []

    @rule(user=st.sampled_from(USERS), joins=st.booleans(), earlier=st.integers(0, 600))
    def event(self, user: str, joins: bool, earlier: int) -> None:
        at, ident = self.world.at - earlier * SECOND, f"evt_{next(self.world.ids):05}"
        if (at, ident) > self.newest.get(user, (-1, "", False))[:2]:
            self.newest[user] = (at, ident, joins)
        fact = UserFact(user, Membership.ADDED if joins else Membership.REMOVED, at, ident)
        self.told.append(fact)
        self.world.give("t", fact)

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def the_same_event_again(self, data: st.DataObject) -> None:
        self.world.give("t", data.draw(st.sampled_from(self.told)))

    @rule(users=st.lists(st.sampled_from(USERS), unique=True))
    def snapshot(self, users: list[str]) -> None:
        at, ident = self.world.at, f"ros_{next(self.world.ids):05}"
        for user in USERS:
            if (at, ident) > self.newest.get(user, (-1, "", False))[:2]:
                self.newest[user] = (at, ident, user in users)
        named = tuple(RosterUser(user) for user in users)
        self.world.give("t", RosterFact(named, at, ident, forced=True))

    @rule()
    def workers_work(self) -> None:
        self.world.run()

    @rule(seconds=st.sampled_from([1, 30, 100, 2000, 100_000]))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(fault=st.sampled_from(FAULTS))
    def the_next_checkout_goes_wrong(self, fault: Fault) -> None:
        self.world.crovver.checkout_faults.append(fault)

    @rule()
    def crovver_is_unreachable_for_a_while(self) -> None:
        self.world.crovver.read_faults.extend(["transient"] * 3)

    @rule(data=st.data(), apply=st.booleans(), told=st.booleans(), named=st.booleans())
    def someone_pays(self, data: st.DataObject, apply: bool, told: bool, named: bool) -> None:
        payable = self._payable(data)
        if payable is None or payable.state != "open":
            return
        payable.state = "complete"
        if apply:
            self.world.crovver.apply(payable)
        if told:
            references = (payable.tenant,) if named else ()
            self.world.webhook(self.world.stripe(payable, PaymentEvent.COMPLETED, references=references))

    @rule(data=st.data())
    def a_payment_is_applied_late(self, data: st.DataObject) -> None:
        payable = self._payable(data)
        if payable is not None and payable.state == "complete":
            self.world.crovver.apply(payable)

    @rule(data=st.data(), event=st.sampled_from(PaymentEvent), status=st.sampled_from(["paid", "unpaid"]))
    def stripe_says_something_true_and_late(self, data: st.DataObject, event: PaymentEvent, status: str) -> None:
        payable = self._payable(data)
        if payable is None:
            return
        if event is PaymentEvent.EXPIRED and payable.state == "open":
            payable.state = "expired"
        says_paid = event is PaymentEvent.ASYNC_SUCCEEDED or (event is PaymentEvent.COMPLETED and status == "paid")
        if says_paid == (payable.state == "complete"):
            ident = f"{payable.session}:{event}:{status}"
            self.world.webhook(self.world.stripe(payable, event, status, ident=ident))

    @precondition(lambda self: self.world.tenant().upgrades)
    @rule(data=st.data(), action=st.sampled_from(OperatorAction))
    def an_operator_decides(self, data: st.DataObject, action: OperatorAction) -> None:
        upgrade = data.draw(st.sampled_from(self.world.tenant().upgrades))
        self.world.operator("t", action, upgrade.id)

    @rule(user=st.sampled_from(USERS))
    def someone_allocates_a_seat_in_crovver(self, user: str) -> None:
        known = self.world.crovver.subscriptions["t"]
        known.seats[user] = (True, self.world.at)
        if (self.world.at, "") >= self.newest.get(user, (-1, "", False))[:2]:
            self.newest[user] = (self.world.at, "", True)

    def _payable(self, data: st.DataObject) -> Payable | None:
        payables = self.world.crovver.payables
        return data.draw(st.sampled_from(payables)) if payables else None

    @invariant()
    def at_most_one_upgrade_is_open(self) -> None:
        if hasattr(self, "world"):
            assert sum(upgrade.open for upgrade in self.world.tenant().upgrades) <= 1

    @invariant()
    def there_is_one_call_for_each_upgrade_that_reached_crovver(self) -> None:
        if hasattr(self, "world"):
            called = [upgrade for upgrade in self.world.tenant().upgrades if upgrade.attempts]
            assert len(self.world.crovver.checkout_calls) <= len(called) + self._forgotten()

    @invariant()
    def states_only_move_forward(self) -> None:
        if not hasattr(self, "world"):
            return
        for upgrade in self.world.tenant().upgrades:
            before = self.seen.get(upgrade.id, upgrade.state)
            reachable = {before}
            while more := {to for state in reachable for to in MOVES[state]} - reachable:
                reachable |= more
            assert upgrade.state in reachable, f"{before} became {upgrade.state}"
            self.seen[upgrade.id] = upgrade.state

    @invariant()
    def confirmed_only_with_the_capacity(self) -> None:
        if not hasattr(self, "world"):
            return
        capacity = self.world.crovver.subscriptions["t"].capacity
        for upgrade in self.world.tenant().upgrades:
            assert upgrade.state is not State.CONFIRMED or capacity >= upgrade.new_capacity

    @invariant()
    def every_end_that_is_told_follows_a_beginning(self) -> None:
        if hasattr(self, "world"):
            self._active_as_told()

    def _active_as_told(self) -> set[tuple[AlertKind, str]]:
        """The alerts that are not over, going by what people were told."""
        rows, _ = self.world.do(self.world.store.alerts(None, 10_000))
        active: set[tuple[AlertKind, str]] = set()
        for alert in (row.alert for row in reversed(rows)):
            if alert.kind in MOMENTS:
                continue
            if alert.phase is Phase.RESOLVED:
                assert (alert.kind, alert.key) in active, f"{alert.kind} is over and never began"
                active.remove((alert.kind, alert.key))
            else:
                active.add((alert.kind, alert.key))
        return active

    def _forgotten(self) -> int:
        """Upgrades that have left the record's history."""
        return len(self.seen) - len(self.world.tenant().upgrades) if len(self.seen) > 20 else 0

    def teardown(self) -> None:
        """Faults end: within a few hours the seats are those of a simple model, and nobody who should wait acts."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.crovver.checkout_faults.clear()
        world.crovver.read_faults.clear()
        world.look("t")
        world.wait(3 * 3600)
        tenant = world.tenant()
        active = {one.name for one in tenant.alerts if one.told}
        told = self._active_as_told()
        assert active <= told
        # That a payment was confirmed is word enough of what it ended.
        ended = {(AlertKind.UPGRADE_STARTED, ""), (AlertKind.CAPACITY_EXCEEDED, "")}
        assert told - active <= (ended if any(one.state is State.CONFIRMED for one in tenant.upgrades) else set())
        assert tenant.look is not None
        exceeded = is_exceeded(tenant, world.loaded().counts)
        assert ((AlertKind.CAPACITY_EXCEEDED, "") in active) == exceeded
        paid = tenant.open_upgrade is not None and tenant.open_upgrade.state is State.PAID
        assert ((AlertKind.PAID_NOT_APPLIED, "") in active) == paid
        needed = sum(needs for _, _, needs in self.newest.values())
        assert world.loaded().counts.needed == needed
        assert world.loaded().pending == 0
        open_upgrade = world.tenant().open_upgrade
        if open_upgrade is not None:
            assert open_upgrade.state not in (State.REQUESTING, State.UNKNOWN)
        assert all(upgrade.state in CLOSED or upgrade is open_upgrade for upgrade in world.tenant().upgrades)


TestSeatMachine = SeatMachine.TestCase
TestSeatMachine.settings = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None)
