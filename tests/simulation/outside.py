"""The outside world: a model Crovver, the Stripe behind it, and the people who pay.

What the provider does is apart from what its caller learns of it: a request that is on its way arrives whether or not
its caller still lives, and an answer may be lost, late, or find nobody.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.simulation.kernel import Crash, Kernel, Process, Task, pause, stream
from tests.simulation.weather import LONGEST_APPLY, Fault, Weather
from worker.core.allocation import Allocation, Summary
from worker.core.checkout import Checkout
from worker.core.credits import CreditPool, LimitBehavior
from worker.core.facts import PaymentEvent, PaymentFact, RosterUser
from worker.core.times import DAY, HOUR, MINUTE, SECOND
from worker.core.upgrade import PURPOSE
from worker.crovver.errors import CrovverError, NotSent, OutcomeUnknown, Refused, Transient
from worker.crovver.results import AllocationsPage, BulkAllocation
from worker.engine.rate import FleetRate
from worker.payments.errors import StripeUnavailable
from worker.payments.sessions import ExpireOutcome, SessionState

PATIENCE = 20 * SECOND
"""How long a caller waits for an answer."""

LINK = "https://pay.example/c/"
POOLS = {"messages": CreditPool("messages", "Messages", 5, 0, 5, 100, LimitBehavior.HARD, None, 95.0)}


@dataclass(slots=True)
class Subscription:
    """A tenant's subscription as Crovver has it: its seats, each active or removed since an instant."""

    capacity: int
    seats: dict[str, tuple[bool, int]] = field(default_factory=dict)
    invoices: bool = False
    active: bool = True
    most: int = 0

    @property
    def taken(self) -> int:
        return sum(active for active, _ in self.seats.values())


@dataclass(eq=False, slots=True)
class Payable:
    """A checkout or invoice that exists in the outside world, whether the worker knows of it or not.

    ``held`` is since when somebody has its link (None: nobody ever did). ``money`` is what Stripe knows of the payment.
    """

    tenant: str
    capacity: int
    session: str
    proration: str
    created: int
    invoice: bool
    state: Literal["open", "complete", "expired"] = "open"
    money: Literal["none", "processing", "paid", "failed"] = "none"
    held: int | None = None
    applied: bool = False
    told: bool = False


@dataclass(eq=False, slots=True)
class Call:
    """A checkout call that has left its caller. ``reached`` is None while that is open."""

    tenant: str
    capacity: int
    upgrade: str
    claim: str
    at: int
    reached: bool | None = None
    payable: Payable | None = None


def fault(kind: type[CrovverError], endpoint: str, status: int | None = None, message: str = "a fault") -> CrovverError:
    return kind(tenant="t", endpoint=endpoint, message=message, status=status)


class Outside:
    """Crovver and Stripe themselves. They do not fail; the ways to them do."""

    def __init__(self, kernel: Kernel, weather: Weather, seed: int, *, webhooks: bool) -> None:
        chance = stream(seed, "outside")
        self.kernel, self.weather, self.seed = kernel, weather, seed
        self.net = Process("net")
        self.crovver_ahead = chance.choice([0, 0, chance.randint(-600, 600) * SECOND])
        self.stripe_ahead = chance.choice([0, 0, chance.randint(-600, 600) * SECOND])
        self.references = chance.choice(["all", "all", "tenant", "proration", "none", "none"])
        self.webhooks = webhooks
        self.loses_webhooks = chance.choice([0.0, 0.1, 0.6])
        self.links_live = chance.choice([DAY, DAY, 30 * MINUTE])
        self.shows_links = chance.random() < 0.2
        self.bills_by_stripe = chance.random() < 0.3
        self.generous = chance.choice([0.95, 0.8, 0.0])
        self.subscriptions: dict[str, Subscription] = {}
        self.payables: list[Payable] = []
        self.calls: list[Call] = []
        self.crovver_down_until = 0
        self.stripe_down_until = 0
        self.events = 0
        self.deliver: Callable[[PaymentFact, str], None] = lambda fact, name: None
        self.on_sent: Callable[[Call], None] = lambda call: None
        self.on_delivered: Callable[[PaymentFact], None] = lambda fact: None

    def arrive(self, call: Call) -> Checkout | CrovverError:
        """A checkout call has reached Crovver: what it does, and what it answers."""
        call.reached = True
        known = self.subscriptions.get(call.tenant)
        if known is None or not known.active:
            return fault(Refused, "proration-checkout", 404, "Tenant not found")
        if call.capacity <= known.capacity:
            return fault(Refused, "proration-checkout", 400, "newCapacity must be greater")
        number = len(self.payables) + 1
        payable = Payable(
            call.tenant, call.capacity, f"cs_test_{number}", f"proration-{number}", self.kernel.now, known.invoices
        )
        self.payables.append(payable)
        call.payable = payable
        if payable.invoice:
            payable.held = self.kernel.now
            self._begin_paying(payable)
            return Checkout(payable.proration, None, requires_payment=False)
        if self.shows_links:  # on a page of its own
            self.hand_out(payable.session)
        self.kernel.spawn(self.net, f"end of {payable.session}", self._end(payable), self.links_live)
        return Checkout(payable.proration, LINK + payable.session, True, 1750)

    def hand_out(self, session: str) -> None:
        """Somebody has the link of a checkout from now on, and may pay."""
        payable = self.by_session(session)
        if payable.held is None:
            payable.held = self.kernel.now
            self._begin_paying(payable)

    def by_session(self, session: str) -> Payable:
        return self.payables[int(session.removeprefix("cs_test_")) - 1]

    def apply(self, payable: Payable) -> None:
        """Crovver grants what was paid for."""
        known = self.subscriptions[payable.tenant]
        known.capacity = max(known.capacity, payable.capacity)
        known.most = max(known.most, known.capacity)
        payable.applied = True

    def pay(self, payable: Payable, *, debit: bool = False, fails: bool = False) -> None:
        """Somebody pays an open checkout: at once, or by a debit that takes days."""
        if payable.state != "open":
            return
        payable.state = "complete"
        if debit:
            payable.money = "processing"
            self.tell(payable, PaymentEvent.COMPLETED, "unpaid")
            waits = [MINUTE, MINUTE, HOUR, 6 * HOUR, 30 * HOUR, 30 * HOUR]
            wait = stream(self.seed, payable.session, "debit").choice(waits)
            self.kernel.spawn(self.net, f"debit of {payable.session}", self._debit(payable, fails), wait)
            return
        self._settled(payable)
        self.tell(payable, PaymentEvent.COMPLETED, "paid")

    def expire(self, payable: Payable) -> None:
        """Stripe ends an open checkout, because it was asked to or because its time is over."""
        if payable.state == "open":
            payable.state = "expired"
            self.tell(payable, PaymentEvent.EXPIRED, "unpaid")

    def tell(self, payable: Payable, event: PaymentEvent, status: str, *, foreign: bool = False) -> None:
        """Stripe sends an event: once, more than once, late, or never."""
        if not self.webhooks or (payable.invoice and not self.bills_by_stripe):
            return
        self.events += 1
        references = {
            "all": (payable.proration, payable.tenant),
            "tenant": (payable.tenant,),
            "proration": (payable.proration,),
            "none": (),
        }[self.references]
        ident = f"evt_stripe_{payable.session}_{event}_{status}{'_foreign' if foreign else ''}"
        at = self.kernel.now + self.stripe_ahead
        fact = PaymentFact(event, payable.session, at, ident, status, False, PURPOSE, references, foreign)
        chance = stream(self.seed, ident)
        if chance.random() < self.loses_webhooks and not self.weather.calm:
            return
        for copy in range(chance.choice([1, 1, 1, 2, 3])):
            wait = chance.choice([0, 10_000, SECOND, 5 * SECOND, 2 * MINUTE, HOUR, 30 * HOUR])
            self.kernel.spawn(self.net, f"{ident} #{copy}", self._post(fact, f"{ident} #{copy}"), wait)

    async def _post(self, fact: PaymentFact, name: str) -> None:
        self.deliver(fact, name)
        await pause(0)

    def _begin_paying(self, payable: Payable) -> None:
        chance = stream(self.seed, payable.session, "payer")
        if chance.random() >= self.generous or (f"payer of {payable.session}", 1) in self.weather.mended:
            return
        wait = chance.choice([SECOND, SECOND, 30 * SECOND, 30 * SECOND, 10 * MINUTE, 10 * MINUTE, 5 * HOUR, 23 * HOUR])
        debit, fails = chance.random() < 0.35 and not payable.invoice, chance.random() < 0.4
        self.kernel.spawn(self.net, f"payer of {payable.session}", self._pay(payable, debit, fails), wait)

    async def _pay(self, payable: Payable, debit: bool, fails: bool) -> None:
        self.weather.struck[f"payer of {payable.session}", 1] = f"{payable.session} is paid"
        self.pay(payable, debit=debit, fails=fails)
        await pause(0)

    async def _end(self, payable: Payable) -> None:
        self.expire(payable)
        await pause(0)

    async def _debit(self, payable: Payable, fails: bool) -> None:
        if fails:
            payable.money = "failed"
            self.tell(payable, PaymentEvent.ASYNC_FAILED, "unpaid")
        else:
            self._settled(payable)
            self.tell(payable, PaymentEvent.ASYNC_SUCCEEDED, "paid")
        await pause(0)

    def _settled(self, payable: Payable) -> None:
        payable.money = "paid"
        chance = stream(self.seed, payable.session, "apply")
        wait = chance.choice([0, 1000, SECOND, MINUTE, 20 * MINUTE, LONGEST_APPLY, None])
        if wait is not None or self.weather.calm:
            self.kernel.spawn(self.net, f"grant of {payable.session}", self._apply(payable), wait or 0)

    async def _apply(self, payable: Payable) -> None:
        self.apply(payable)
        await pause(0)


class Line:
    """One process's way to Crovver and Stripe: implements the engine's ``Crovver`` and ``Sessions``."""

    def __init__(self, outside: Outside, process: Process, rate: FleetRate) -> None:
        self.outside, self.process, self.rate = outside, process, rate
        self.kernel, self.weather = outside.kernel, outside.weather

    async def allocations_page(self, tenant: str, *, page: int, limit: int, status: str) -> AllocationsPage:
        assert status == "all"
        await self._ask("allocations_page", self.outside.crovver_down_until, Transient)
        known = self.outside.subscriptions.get(tenant)
        if known is None or not known.active:
            raise fault(Refused, "allocations", 404, "No active subscription found for this tenant")
        rows = [Allocation(user, active, at) for user, (active, at) in known.seats.items()]
        shown = tuple(rows[(page - 1) * limit : page * limit])
        pages = -(-len(rows) // limit)
        summary = Summary(known.taken, known.capacity, known.taken > known.capacity, len(rows))
        await pause(self.weather.slow(self._task))
        return AllocationsPage(shown, summary, page, pages, page < pages)

    async def credits_balance(self, tenant: str) -> Mapping[str, CreditPool]:
        await self._ask("credits_balance", self.outside.crovver_down_until, Transient)
        return POOLS if tenant in self.outside.subscriptions else {}

    async def bulk_allocate(
        self, tenant: str, users: Sequence[RosterUser], metadata: Mapping[str, object] | None = None
    ) -> BulkAllocation:
        struck = await self._ask("bulk_allocate", self.outside.crovver_down_until, NotSent)
        known = self.outside.subscriptions.get(tenant)
        if known is None or not known.active:
            raise fault(Refused, "bulk-allocate", 404)
        at = self.kernel.now + self.outside.crovver_ahead
        skipped = tuple(user.user for user in users if known.seats.get(user.user, (False, 0))[0])
        done = []
        for user in users:
            if user.user not in skipped and known.taken < known.capacity:
                known.seats[user.user] = (True, at)
                done.append(user.user)
        await self._answer(struck, OutcomeUnknown)
        rejected = tuple(user.user for user in users if user.user not in (*done, *skipped))
        return BulkAllocation(tuple(done), skipped, rejected)

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
        outside, kernel, task = self.outside, self.kernel, self._task
        struck = await self._ask("proration_checkout", outside.crovver_down_until, NotSent)
        if struck is None and not self.weather.calm and task.chance.random() < self.weather.rate:
            raise fault(Refused, "proration-checkout", 400, "a documented refusal")
        if still_wanted is not None and not still_wanted():
            raise fault(NotSent, "proration-checkout")
        upgrade, claim = task.about.get("claim", ("", ""))
        call = Call(tenant, new_capacity, upgrade, claim, kernel.now)
        outside.calls.append(call)
        outside.on_sent(call)
        answers: list[Checkout | CrovverError] = []
        late = struck is Fault.LATE
        # Bytes that are on their way arrive, whatever becomes of who sent them. Seldom they do not.
        if struck is Fault.LOST and task.chance.random() < 0.4:
            call.reached = False
        else:
            wait = PATIENCE + self.weather.late_by(task) if late else self.weather.slow(task)
            kernel.spawn(outside.net, f"{task.name} arrives", self._arrive(call, answers), wait)
        await self._answer(struck, OutcomeUnknown)
        for _ in range(200):
            if answers:
                break
            await pause(SECOND // 10)
        else:
            raise fault(OutcomeUnknown, "proration-checkout")
        if isinstance(answers[0], CrovverError):
            raise answers[0]
        return answers[0]

    async def _arrive(self, call: Call, answers: list[Checkout | CrovverError]) -> None:
        answers.append(self.outside.arrive(call))
        await pause(0)

    async def get(self, session: str) -> SessionState:
        await self._ask("stripe get", self.outside.stripe_down_until, None)
        return self._session(self.outside.by_session(session))

    async def expire(self, session: str) -> ExpireOutcome:
        struck = await self._ask("stripe expire", self.outside.stripe_down_until, None)
        payable = self.outside.by_session(session)
        outcome = {"open": ExpireOutcome.EXPIRED, "expired": ExpireOutcome.ALREADY_EXPIRED}.get(
            payable.state, ExpireOutcome.NOT_OPEN
        )
        self.outside.expire(payable)
        await self._answer(struck, None)
        return outcome

    async def find(self, references: set[str], created_after: int) -> tuple[SessionState, ...]:
        await self._ask("stripe find", self.outside.stripe_down_until, None)
        found = [self._session(payable) for payable in self.outside.payables if not payable.invoice]
        return tuple(
            one for one in reversed(found) if references.intersection(one.references) and one.created >= created_after
        )

    def _session(self, payable: Payable) -> SessionState:
        at = payable.created + self.outside.stripe_ahead
        url = LINK + payable.session if payable.state == "open" else None
        paid = "paid" if payable.money == "paid" else "unpaid"
        references = {"all": (payable.proration, payable.tenant), "tenant": (payable.tenant,)}.get(
            self.outside.references, (payable.proration,) if self.outside.references == "proration" else ()
        )
        return SessionState(payable.session, payable.state, paid, references, at, PURPOSE, url)

    @property
    def _task(self) -> Task:
        assert self.kernel.current is not None
        return self.kernel.current

    async def _ask(self, operation: str, down_until: int, kind: type[CrovverError] | None) -> Fault | None:
        """Send a request, up to the moment at which it is carried out; what is to become of its answer."""
        task = self._task
        struck = self.weather.strikes(task, operation)
        if kind is not None:
            await self.rate.acquire()
            task.last = operation
        if struck is Fault.CRASH_BEFORE:
            raise Crash
        if struck is Fault.STALL_BEFORE:
            self.weather.stall(task)
        await pause(self.weather.slow(task))
        reads = kind is Transient
        if self.kernel.now < down_until or struck is Fault.REFUSED or (reads and struck in (Fault.LOST, Fault.LATE)):
            raise fault(kind, operation, 503 if reads else None) if kind else StripeUnavailable("answer", "a fault")
        return struck

    async def _answer(self, struck: Fault | None, kind: type[CrovverError] | None) -> None:
        """Have the answer, or not."""
        task = self._task
        if struck in (Fault.LOST, Fault.LATE):
            await pause(PATIENCE)
            raise fault(kind, "call") if kind else StripeUnavailable("answer", "a fault")
        await pause(self.weather.slow(task))
        if struck is Fault.CRASH_AFTER:
            raise Crash
        if struck is Fault.STALL_AFTER:
            self.weather.stall(task)
            await pause(0)
