"""A small world for the engine: a model Crovver and Stripe, the in-memory store, and a clock that only tests move."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from worker.core.allocation import Allocation, Summary
from worker.core.checkout import Checkout
from worker.core.credits import CreditPool
from worker.core.facts import (
    Fact,
    HintFact,
    Membership,
    OperatorAction,
    OperatorFact,
    PaymentEvent,
    PaymentFact,
    RosterUser,
    UserFact,
)
from worker.core.policy import Policy, Powers
from worker.core.tenant import Tenant
from worker.core.times import SECOND
from worker.core.upgrade import State, Upgrade
from worker.crovver.errors import CrovverError, NotSent, OutcomeUnknown, Refused, Transient
from worker.crovver.results import AllocationsPage, BulkAllocation
from worker.engine.ports import Pace, Ports
from worker.engine.reconcile import Reconciler
from worker.payments.errors import StripeUnavailable
from worker.payments.sessions import ExpireOutcome, SessionState
from worker.store.interface import Loaded
from worker.store.matching import deliver
from worker.store.memory import MemoryStore

START = 1_780_000_000 * SECOND
Fault = Literal["not_sent", "refused", "unknown_before", "unknown_after", "transient"]
T = TypeVar("T")


@dataclass(slots=True)
class Subscription:
    """One tenant's subscription, as Crovver has it."""

    capacity: int
    seats: dict[str, tuple[bool, int]] = field(default_factory=dict)
    invoices: bool = False

    @property
    def active(self) -> int:
        return sum(active for active, _ in self.seats.values())


@dataclass(slots=True)
class Payable:
    """A checkout or invoice that exists in the outside world, whether the worker knows it or not."""

    tenant: str
    capacity: int
    session: str
    proration: str
    state: Literal["open", "complete", "expired"] = "open"


def error(kind: type[CrovverError], status: int | None = None, **extra: Any) -> CrovverError:
    return kind(tenant="t", endpoint="model", message="a fault of the model", status=status, **extra)


class ModelCrovver:
    """Crovver and the Stripe behind it. ``faults`` holds what goes wrong with the next calls, by kind of call."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.subscriptions: dict[str, Subscription] = {}
        self.payables: list[Payable] = []
        self.checkout_calls: list[tuple[str, int]] = []
        self.reads = 0
        self.credits_reads = 0
        self.credits_faults: list[Fault] = []
        self.pools: dict[str, dict[str, CreditPool]] = {}
        self.read_faults: list[Fault] = []
        self.checkout_faults: list[Fault] = []
        self.stripe_faults: list[Fault] = []
        self.before_checkout_is_sent: Callable[[], Awaitable[None]] | None = None
        self.before_checkout_answers: Callable[[Payable], Awaitable[None]] | None = None

    async def allocations_page(self, tenant: str, *, page: int, limit: int, status: str) -> AllocationsPage:
        self.reads += 1
        await asyncio.sleep(0)
        if self.read_faults:
            raise error(Transient if self.read_faults.pop(0) == "transient" else Refused, 403)
        known = self.subscriptions.get(tenant)
        if known is None:
            raise Refused(
                tenant=tenant,
                endpoint="allocations",
                status=404,
                message="No active subscription found for this tenant",
            )
        rows = [Allocation(user, active, at) for user, (active, at) in known.seats.items()]
        shown = tuple(rows[(page - 1) * limit : page * limit])
        pages = -(-len(rows) // limit)
        summary = Summary(known.active, known.capacity, known.active > known.capacity, len(rows))
        return AllocationsPage(shown, summary, page, pages, page < pages)

    async def proration_checkout(
        self,
        tenant: str,
        new_capacity: int,
        *,
        plan_id: str | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        still_wanted: Callable[[], bool] | None = None,
    ) -> Checkout:
        if self.before_checkout_is_sent is not None:
            await self.before_checkout_is_sent()
        if still_wanted is not None and not still_wanted():
            raise error(NotSent)
        fault = self.checkout_faults.pop(0) if self.checkout_faults else None
        if fault == "not_sent":
            raise error(NotSent)
        self.checkout_calls.append((tenant, new_capacity))
        await asyncio.sleep(0)
        if fault == "refused":
            raise error(Refused, 400)
        if fault == "unknown_before":
            raise error(OutcomeUnknown, 502)
        known = self.subscriptions[tenant]
        assert new_capacity > known.capacity, "Crovver refuses to sell fewer seats than there are"
        number = len(self.payables) + 1
        payable = Payable(tenant, new_capacity, f"cs_test_{number}", f"proration-{number}")
        self.payables.append(payable)
        if self.before_checkout_answers is not None:
            await self.before_checkout_answers(payable)
        if fault == "unknown_after":
            raise error(OutcomeUnknown)
        if known.invoices:
            return Checkout(payable.proration, None, requires_payment=False)
        return Checkout(payable.proration, f"https://pay.example/c/{payable.session}", True, 1750)

    async def credits_balance(self, tenant: str) -> Mapping[str, CreditPool]:
        self.credits_reads += 1
        await asyncio.sleep(0)
        if self.credits_faults:
            raise error(Transient if self.credits_faults.pop(0) == "transient" else Refused, 403)
        return self.pools.get(tenant, {})

    async def bulk_allocate(
        self, tenant: str, users: Sequence[RosterUser], metadata: Mapping[str, object] | None = None
    ) -> BulkAllocation:
        known = self.subscriptions[tenant]
        done: list[str] = []
        for user in users:
            if known.active < known.capacity:
                known.seats[user.user] = (True, self.clock())
                done.append(user.user)
        rejected = tuple(user.user for user in users if user.user not in done)
        return BulkAllocation(tuple(done), (), rejected)

    async def get(self, session: str) -> SessionState:
        self._stripe_works()
        return self._session(next(payable for payable in self.payables if payable.session == session))

    async def expire(self, session: str) -> ExpireOutcome:
        self._stripe_works()
        payable = next(payable for payable in self.payables if payable.session == session)
        if payable.state == "complete":
            return ExpireOutcome.NOT_OPEN
        payable.state = "expired"
        return ExpireOutcome.EXPIRED

    async def find(self, references: set[str], created_after: int) -> tuple[SessionState, ...]:
        self._stripe_works()
        return tuple(self._session(payable) for payable in reversed(self.payables) if payable.tenant in references)

    def apply(self, payable: Payable) -> None:
        """Crovver grants what was paid for."""
        known = self.subscriptions[payable.tenant]
        known.capacity = max(known.capacity, payable.capacity)

    def _session(self, payable: Payable) -> SessionState:
        paid = "paid" if payable.state == "complete" else "unpaid"
        url = f"https://pay.example/c/{payable.session}" if payable.state == "open" else None
        return SessionState(payable.session, payable.state, paid, (payable.tenant,), 0, "seat_proration", url)

    def _stripe_works(self) -> None:
        if self.stripe_faults:
            self.stripe_faults.pop(0)
            raise StripeUnavailable("answer", "a fault of the model")


class Killed(BaseException):
    """What a SIGKILL is to the code it ends: nothing in it gets to react."""


class World:
    """Everything together. ``run`` reconciles whatever is due at the present instant, until nothing is."""

    def __init__(self, policy: Policy | None = None, powers: Powers | None = None) -> None:
        self.at = START
        self.ids = itertools.count(1)
        self.crovver = ModelCrovver(lambda: self.at)
        self.store = MemoryStore(lambda: self.at)
        powers = powers or Powers(stripe_webhooks=True)
        self.ports = Ports(
            store=self.store,
            crovver=self.crovver,
            policy=policy or Policy(),
            powers=powers,
            sleep=lambda seconds: asyncio.sleep(0),
            monotonic=lambda: self.at / SECOND,
            new_id=lambda prefix: f"{prefix}_{next(self.ids):04}",
            sessions=self.crovver if powers.stripe_key else None,
            pace=Pace(trust_look=0),
        )

    def set_policy(self, policy: Policy) -> None:
        self.ports = replace(self.ports, policy=policy)

    def subscribe(self, tenant: str, capacity: int, taken: int, *, invoices: bool = False) -> Subscription:
        seats = {f"user_{number}": (True, START - 1000) for number in range(1, taken + 1)}
        self.crovver.subscriptions[tenant] = Subscription(capacity, seats, invoices)
        return self.crovver.subscriptions[tenant]

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)

    def give(self, tenant: str, *facts: Fact) -> None:
        self.do(self.store.append({tenant: list(facts)}))

    def event(self, tenant: str, user: str, membership: Membership = Membership.ADDED) -> None:
        ident = f"evt_{next(self.ids):05}"
        self.give(tenant, UserFact(user, membership, self.at, ident))

    def join(self, tenant: str, *users: str) -> None:
        for user in users:
            self.event(tenant, user)

    def leave(self, tenant: str, *users: str) -> None:
        for user in users:
            self.event(tenant, user, Membership.REMOVED)

    def look(self, tenant: str) -> None:
        self.give(tenant, HintFact("test", self.at, "hint"))

    def operator(self, tenant: str, action: OperatorAction, upgrade: str) -> None:
        self.give(tenant, OperatorFact(action, upgrade, self.at, f"op_{next(self.ids)}"))

    def stripe(
        self,
        payable: Payable,
        event: PaymentEvent,
        status: str = "paid",
        *,
        references: tuple[str, ...] = (),
        ident: str | None = None,
    ) -> PaymentFact:
        ident = ident or f"evt_stripe_{next(self.ids)}"
        return PaymentFact(event, payable.session, self.at, ident, status, False, "seat_proration", references)

    def webhook(self, fact: PaymentFact) -> None:
        """Deliver a Stripe event the way the door does."""
        self.do(deliver(self.store, fact))

    def pay(self, payable: Payable, *, apply: bool = True) -> None:
        payable.state = "complete"
        if apply:
            self.crovver.apply(payable)
        self.webhook(self.stripe(payable, PaymentEvent.COMPLETED, references=(payable.tenant,)))

    def run(self, rounds: int = 50) -> None:
        async def main() -> None:
            reconciler = Reconciler(self.ports)
            for _ in range(rounds):
                claimed = await self.store.claim_due(100, 20 * SECOND)
                if not claimed.wakes:
                    return
                await asyncio.gather(*(reconciler.reconcile(wake) for wake in claimed.wakes))
            raise AssertionError("tenants stay due at one and the same instant: the engine spins")

        self.do(main())

    def wait(self, seconds: float) -> None:
        """Let time pass, reconciling what becomes due on the way."""
        until = self.at + round(seconds * SECOND)
        while True:
            self.run()
            next_in = self.do(self.store.claim_due(0, 1)).next_in
            if next_in is None or self.at + next_in > until:
                self.at = until
                self.run()
                return
            self.at += max(next_in, 1)

    def die_in_the_next_call(self) -> None:
        """Run until a checkout call is under way, and end whoever makes it there."""

        async def die(payable: Payable) -> None:
            raise Killed

        self.crovver.before_checkout_answers = die
        try:
            self.run()
        except Killed:
            self.crovver.before_checkout_answers = None
        else:
            raise AssertionError("no call was made")

    def loaded(self, tenant: str = "t") -> Loaded:
        return self.do(self.store.load(tenant))

    def tenant(self, tenant: str = "t") -> Tenant:
        return self.loaded(tenant).tenant

    def upgrade(self, tenant: str = "t") -> Upgrade:
        upgrade = self.tenant(tenant).upgrade
        assert upgrade is not None
        return upgrade

    def states(self, tenant: str = "t") -> list[State]:
        return [upgrade.state for upgrade in self.tenant(tenant).upgrades]
