"""One run: the processes of a deployment in a world that fails, from a seed to its end."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from unittest import mock

import structlog

from tests.simulation import expected
from tests.simulation.kernel import START, Kernel, Process, pause, stream
from tests.simulation.ledger import Ledger, Violation, demand
from tests.simulation.outside import Line, Outside, Payable, Subscription
from tests.simulation.scenario import USERS, Action, Scenario
from tests.simulation.storage import Connection, Server
from tests.simulation.weather import Key, Weather
from worker.core.facts import (
    Fact,
    HintFact,
    Membership,
    OperatorAction,
    OperatorFact,
    PaymentEvent,
    PaymentFact,
    RosterFact,
    RosterUser,
    UserFact,
)
from worker.core.tenant import Rule
from worker.core.times import DAY, HOUR, MINUTE, SECOND
from worker.core.upgrade import State
from worker.engine.ports import Pace, Ports
from worker.engine.rate import FleetRate
from worker.engine.reconcile import MOST_PASSES, Reconciler
from worker.store.errors import StoreError
from worker.store.interface import Wake
from worker.store.matching import deliver, redeliver

LEASE = 20 * SECOND
CONVERGES_WITHIN = 5 * DAY
"""Links live a day, debits take two, and each is waited for before the next is asked for."""

FOLDED_WITHIN = 14 * MINUTE
"""Once faults have ended, every fact is folded in by then: a lease ends, a pass or two; and the store's clock may have
gone back by ten minutes meanwhile."""

MOST_STEPS = 400_000
"""A run that takes more is spinning."""

WANTS_RETRY = {Rule.ASKED_TOO_OFTEN, Rule.OUTCOME_LOST, Rule.OPERATOR_CANCELLED, Rule.OLD_LINK_PAYABLE}


@dataclass(slots=True)
class Result:
    """How a run ended. ``failure`` is None where every invariant held."""

    seed: int
    failure: str | None
    steps: int
    accepted: int
    doubled: int
    reached: Counter[str]
    struck: dict[Key, str]
    moves: Counter[tuple[State | None, State]]
    pairs: Counter[tuple[str, str]]
    between: Counter[tuple[str, str, str]]
    trace: list[str] = field(repr=False, default_factory=list)
    journal: list[str] = field(repr=False, default_factory=list)


class Worker:
    """A worker process: it takes wake-ups off the queue, as many at once as it has slots."""

    def __init__(self, run: "Simulation", process: Process) -> None:
        self.run, self.process = run, process
        self.busy = 0
        connection = run.connect(process)
        rate = FleetRate(connection, 50, 1.0, run.sleep)  # type: ignore[arg-type]
        line = Line(run.outside, process, rate)
        ahead = stream(run.scenario.seed, process.name, "monotonic").randint(0, DAY)
        self.reconciler = Reconciler(
            Ports(
                store=connection,  # type: ignore[arg-type]
                crovver=line,
                policy=run.scenario.policy,
                powers=run.scenario.powers,
                sleep=run.sleep,
                monotonic=lambda: (run.kernel.now * process.drift + ahead) / SECOND,
                new_id=run.new_id,
                sessions=line if run.scenario.powers.stripe_key else None,
                pace=Pace(trust_look=run.scenario.trust_look),
            )
        )

    def take(self, wake: Wake) -> None:
        self.busy += 1
        number = next(self.run.wakes[wake.tenant])
        name = f"{self.process.name} {wake.tenant} {number}"
        self.run.kernel.spawn(self.process, name, self._work(wake, name), 1000)

    async def _work(self, wake: Wake, name: str) -> None:
        run = self.run
        keeper = run.kernel.spawn(self.process, f"{name} lease", self._keep(wake), LEASE // 3)
        try:
            done = await self.reconciler.reconcile(wake)
            run.ledger.seen["reconciled" if done.verdict else "contended"] += 1
            demand(done.passes <= MOST_PASSES, "a pass too many")
        except StoreError:
            run.ledger.seen["put off"] += 1
        finally:
            run.kernel.cancel(keeper)
            self.busy -= 1
        run.pump()

    async def _keep(self, wake: Wake) -> None:
        for _ in range(45):
            with contextlib.suppress(StoreError):
                if not await self.reconciler.ports.store.renew(wake, LEASE):
                    return
            await pause(LEASE // 3)


class Simulation:
    """Everything of one run."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        mended: frozenset[Key] = frozenset(),
        skipped: frozenset[int] = frozenset(),
        tracing: bool = False,
    ) -> None:
        seed = scenario.seed
        self.scenario, self.skipped, self.tracing = scenario, skipped, tracing
        self.kernel = kernel = Kernel(seed)
        self.weather = Weather.of(kernel, seed, mended)
        self.server = Server(kernel)
        self.outside = Outside(kernel, self.weather, seed, webhooks=scenario.powers.stripe_webhooks)
        self.ledger = Ledger(kernel, self.outside, scenario.policy, scenario.powers.stripe_key)
        self.server.on_commit = self.ledger.committed
        self.server.on_fail_over = self._failed_over
        self.outside.on_sent = self._sent
        self.outside.deliver = self._stripe_posts
        self.chance = stream(seed, "people")
        self.ids = itertools.count(1)
        self.wakes = {tenant: itertools.count(1) for tenant in scenario.tenants}
        self.queue: list[Wake] = []
        self.told: dict[str, list[UserFact]] = {tenant: [] for tenant in scenario.tenants}
        self.host_ahead = self.chance.choice([0, 0, self.chance.randint(-600, 300) * SECOND])
        self.loses_messages = self.chance.choice([0.0, 0.0, 0.1])
        self.doubles_messages = self.chance.choice([0.0, 0.02, 0.3])
        self.trace: list[str] = []
        self.people = Process("people")
        self.web = Process("web")
        self.workers = [self._process(f"worker{number}", works=True) for number in range(scenario.workers)]
        self.by_process: dict[Process, Worker] = {}
        self.schedulers = [self._process(f"scheduler{number}") for number in range(scenario.schedulers)]
        kernel.on_crash = self._crashed

    # -- the deployment -------------------------------------------------------------------------------------------

    def _process(self, name: str, *, works: bool = False) -> Process:
        drift = stream(self.scenario.seed, name).choice([1.0, 0.999, 1.001])
        return Process(name, drift=drift, mortal=True, works=works)

    def connect(self, process: Process) -> Connection:
        clustered = self.scenario.clustered
        return Connection(self.server, process, self.kernel, self.weather, self.outside.net, clustered=clustered)

    async def sleep(self, seconds: float) -> None:
        await pause(round(seconds * SECOND))

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self.ids):05}"

    def begin(self) -> None:
        for tenant in self.scenario.tenants:
            self._subscribe(tenant)
        for process in self.workers:
            self.by_process[process] = Worker(self, process)
        for process in self.schedulers:
            self._begin_scheduler(process)
        for action in self.scenario.actions:
            if action.number not in self.skipped:
                self.kernel.spawn(self.people, f"action {action.number}", self._carry_out(action), action.at - START)

    def _subscribe(self, tenant: str) -> None:
        chance = stream(self.scenario.seed, tenant)
        if chance.random() < 0.1:
            return
        capacity = chance.randint(1, 5)
        seats = {user: (True, START - 1000) for user in USERS[: chance.randint(0, capacity)]}
        invoices = chance.random() < 0.2
        self.outside.subscriptions[tenant] = Subscription(capacity, seats, invoices, True, capacity)

    def _begin_scheduler(self, process: Process) -> None:
        life = process.lives
        self.kernel.spawn(process, f"{process.name} wakes {life}", self._wake_due(process))
        self.kernel.spawn(process, f"{process.name} matches {life}", self._match_parked(process))

    async def _wake_due(self, process: Process) -> None:
        store = self.connect(process)
        while True:
            try:
                claimed = await store.claim_due(100, LEASE)  # type: ignore[attr-defined]
            except StoreError:
                await pause(SECOND // 2)
                continue
            for wake in claimed.wakes:
                await pause(200)
                self._enqueue(wake)
            if not claimed.wakes:
                await store.wait_bell(DAY / SECOND if claimed.next_in is None else claimed.next_in / SECOND)

    def _enqueue(self, wake: Wake) -> None:
        """Put a message on the queue, which may lose it, or bring it twice."""
        chance = self.chance.random()
        if self.weather.calm or chance >= self.loses_messages:
            self.queue.append(wake)
            if chance > 1 - self.doubles_messages:
                self.queue.append(wake)
            self.pump()

    def pump(self) -> None:
        """Hand messages to workers that have a free slot."""
        while self.queue:
            free = [
                self.by_process[process]
                for process in self.workers
                if process.alive and self.by_process[process].busy < self.scenario.slots
            ]
            if not free:
                return
            self.chance.choice(free).take(self.queue.pop(0))

    async def _match_parked(self, process: Process) -> None:
        store, wait = self.connect(process), 10 * SECOND
        while True:
            if not self.server._parked:
                wait = 10 * SECOND
                await self.server.letters.wait(DAY)
            await pause(wait)
            wait = min(wait * 2, HOUR)  # in earnest always 10 s; what matches nothing for long costs fewer steps so
            with contextlib.suppress(StoreError):
                for parked in await store.parked(200):  # type: ignore[attr-defined]
                    await redeliver(store, parked.fact)  # type: ignore[arg-type]

    def _crashed(self, process: Process) -> None:
        self.ledger.seen["crash"] += 1
        self.note(f"{process.name} is gone")
        wait = self.chance.choice([100_000, SECOND, 30 * SECOND, 10 * MINUTE])
        self.kernel.spawn(self.people, f"restart of {process.name} {process.lives}", self._restart(process), wait)

    async def _restart(self, process: Process) -> None:
        process.alive, process.stopped_until = True, 0
        process.lives += 1
        if process in self.by_process:
            self.by_process[process] = Worker(self, process)
            self.pump()
        else:
            self._begin_scheduler(process)
        await pause(0)

    # -- what happens ---------------------------------------------------------------------------------------------

    async def _carry_out(self, action: Action) -> None:
        self.note(str(action))
        self.ledger.seen[f"action {action.kind}"] += 1
        kind, tenant, chance = action.kind, action.tenant, stream(self.scenario.seed, "action", action.number)
        now, outside = self.kernel.now, self.outside
        known = outside.subscriptions.get(tenant)
        at = now + self.host_ahead
        match kind:
            case "join" | "leave" | "old news":
                if kind == "old news":
                    at -= chance.choice([SECOND, MINUTE, HOUR])
                joins = kind == "join" or (kind == "old news" and chance.random() < 0.5)
                membership = Membership.ADDED if joins else Membership.REMOVED
                fact = UserFact(chance.choice(USERS), membership, at, f"evt_{action.number:04}")
                self.told[tenant].append(fact)
                await self.give(tenant, fact)
            case "again" if self.told[tenant]:
                await self.give(tenant, chance.choice(self.told[tenant]))
            case "snapshot":
                users = tuple(RosterUser(user) for user in USERS if chance.random() < 0.6)
                await self.give(tenant, RosterFact(users, at, f"ros_{action.number:04}"))
            case "hint" | "credits":
                await self.give(tenant, HintFact("test", at, f"hint_{action.number}", kind == "credits"))
            case "approve" | "cancel" | "retry":
                await self._decide(tenant, OperatorAction(kind), action.number, chance.random())
            case "stale webhook" | "foreign webhook":
                mine = [one for one in outside.payables if one.tenant == tenant and _true_of(one)]
                if mine:
                    one = chance.choice(mine)
                    event, status = chance.choice(_true_of(one))
                    outside.tell(one, event, status, foreign=kind == "foreign webhook")
            case "expire":
                mine = [one for one in outside.payables if one.tenant == tenant and not one.invoice]
                if mine:
                    outside.expire(chance.choice(mine))
            case "seat in Crovver" | "unseat in Crovver" if known is not None:
                known.seats[chance.choice(USERS)] = (kind == "seat in Crovver", now + outside.crovver_ahead)
            case "capacity up" if known is not None:
                known.capacity += chance.randint(1, 3)
                known.most = max(known.most, known.capacity)
            case "capacity down" if known is not None:
                known.capacity = max(1, known.capacity - 1)
            case "unsubscribe" if known is not None:
                known.active = False
            case "crash":
                self.kernel.crash(chance.choice([*self.workers, *self.schedulers]))
            case "stop":
                wait = chance.choice([SECOND, 30 * SECOND, 2 * MINUTE, 20 * MINUTE])
                process = chance.choice([*self.workers, *self.schedulers])
                process.stopped_until = max(process.stopped_until, now + wait)
            case "store down":
                self.server.down_until = now + chance.choice([SECOND, 20 * SECOND, 3 * MINUTE])
            case "store freezes":
                self.server.frozen_until = now + chance.choice([2 * SECOND, 15 * SECOND])
            case "store clock":
                self.server.ahead = chance.choice([-5, 0, 5]) * MINUTE
            case "store fails over":
                self.server.fail_over()
            case "crovver down":
                outside.crovver_down_until = now + chance.choice([5 * SECOND, 2 * MINUTE, HOUR])
            case "stripe down":
                outside.stripe_down_until = now + chance.choice([5 * SECOND, HOUR])
            case "lost messages":
                self.queue.clear()
            case "unleased wake":
                self.queue += [Wake(tenant, "")] * chance.choice([1, 3])
                self.pump()
            case _:
                pass

    async def give(self, tenant: str, fact: Fact) -> None:
        """Give a fact to the door until it is accepted."""
        self.ledger.accept(tenant, fact)
        store = self.connect(self.web)
        while True:
            try:
                await store.append({tenant: [fact]}, settle=self.scenario.settle)  # type: ignore[attr-defined]
            except StoreError:
                await pause(SECOND)
            else:
                return

    async def _decide(self, tenant: str, action: OperatorAction, number: int, luck: float) -> None:
        record = self.ledger.records.get(tenant)
        if record is not None and record.upgrades:
            upgrade = record.upgrade if luck < 0.8 else record.upgrades[int(luck * 1000) % len(record.upgrades)]
            assert upgrade is not None
            await self.give(tenant, OperatorFact(action, upgrade.id, self.kernel.now, f"op_{number}"))

    def _stripe_posts(self, fact: PaymentFact, name: str) -> None:
        self.kernel.spawn(self.web, f"web {name}", self._receive(fact))

    async def _receive(self, fact: PaymentFact) -> None:
        """The door for Stripe, which sends again for as long as it is not answered with 200."""
        store, wait = self.connect(self.web), MINUTE
        while True:
            try:
                became = await deliver(store, fact)  # type: ignore[arg-type]
            except StoreError:
                await pause(wait)
                wait = min(wait * 4, 8 * HOUR)
            else:
                self.ledger.seen[f"webhook {became}"] += 1
                self.outside.by_session(fact.session).told |= fact.settles and not fact.foreign
                return

    def _sent(self, call: object) -> None:
        self.ledger.sent(self.outside.calls[-1])

    def _failed_over(self) -> None:
        self.ledger.go_back({tenant: kept.record for tenant, kept in self.server._kept.items()})

    def note(self, line: str) -> None:
        if self.tracing:
            self.trace.append(f"{(self.kernel.now - START) / SECOND:12.3f} s  {line}")

    # -- the end --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live through the scenario, then let faults end and see that everything comes right.

        Raises:
            Violation: an invariant does not hold.
        """
        self.begin()
        self._until(self.scenario.calm_at)
        self._calm()
        self._until(self.kernel.now + FOLDED_WITHIN)
        for tenant in self.scenario.tenants:
            kept = self.server._kept.get(tenant)
            demand(kept is None or not kept.inbox, f"facts of {tenant} were left lying")
        end = self.kernel.now + CONVERGES_WITHIN
        while problems := self._problems():
            if self.kernel.now >= end:
                raise Violation("it never came right: " + "; ".join(problems))
            self._help()
            self._until(self.kernel.now + 10 * MINUTE)
        self._account()

    def _until(self, at: int) -> None:
        self.kernel.run(at)
        demand(self.kernel.ran < MOST_STEPS, "the processes spin")

    def _calm(self) -> None:
        """Faults end: everybody is up and reachable, and what was paid for is granted."""
        self.note("faults end")
        self.weather.calm = True
        self.server.down_until = self.server.frozen_until = 0
        self.outside.crovver_down_until = self.outside.stripe_down_until = 0
        for process in [*self.workers, *self.schedulers]:
            self.kernel.go_on(process)
            if not process.alive:
                self.kernel.spawn(self.people, f"last restart of {process.name}", self._restart(process))
        for tenant in self.scenario.tenants:
            known = self.outside.subscriptions.setdefault(tenant, Subscription(1, most=1))
            known.active = True
            self.kernel.spawn(self.people, f"last look at {tenant}", self._look(tenant))

    async def _look(self, tenant: str) -> None:
        await self.give(tenant, HintFact("test", self.kernel.now, f"last_{tenant}"))

    def _help(self) -> None:
        """People do what is asked of them: pay what can be paid, approve, and try again what has come to nothing."""
        for payable in self.outside.payables:
            if payable.held is not None and payable.state == "open":
                self.outside.pay(payable)
            if payable.money == "paid" and not payable.applied:
                self.outside.apply(payable)
        for tenant in self.scenario.tenants:
            record = self.ledger.records.get(tenant)
            upgrade = record.upgrade if record is not None else None
            if record is None or upgrade is None or record.decision is None:
                continue
            stale = upgrade.state is State.PAID and self.kernel.now > (upgrade.paid_at or 0) + HOUR
            stale |= upgrade.state is State.AWAITING_PAYMENT and self._has_failed(upgrade.session)
            if upgrade.state is State.INVOICED and self._was_granted(upgrade.id):
                self._click(tenant, OperatorAction.CANCEL, upgrade.id)
            elif upgrade.state is State.AWAITING_APPROVAL:
                self._click(tenant, OperatorAction.APPROVE, upgrade.id)
            elif record.decision.rule in WANTS_RETRY or stale:
                self._click(tenant, OperatorAction.RETRY, upgrade.id)

    def _was_granted(self, upgrade: str) -> bool:
        """Whether an invoice was paid and its seats granted, an hour ago and more: they were given back since."""
        calls = [call for call in self.outside.calls if call.upgrade == upgrade and call.at < self.kernel.now - HOUR]
        return any(call.payable is not None and call.payable.applied for call in calls)

    def _has_failed(self, session: str | None) -> bool:
        """Whether the debit of a checkout came back; the event that told so may be lost."""
        return session is not None and self.outside.by_session(session).money == "failed"

    def _click(self, tenant: str, action: OperatorAction, upgrade: str) -> None:
        fact = OperatorFact(action, upgrade, self.kernel.now, self.new_id("op"))
        self.kernel.spawn(self.people, f"{action} of {upgrade} {fact.id}", self.give(tenant, fact))

    def _problems(self) -> list[str]:
        """What is not yet as the model says."""
        found = []
        for tenant in self.scenario.tenants:
            known, kept = self.outside.subscriptions[tenant], self.server._kept.get(tenant)
            if kept is None or kept.record.look is None:
                found.append(f"{tenant} was never looked at")
                continue
            record, policy = kept.record, self.scenario.policy
            needed = expected.seats_needed(list(self.ledger.facts.get(tenant, {}).values()), known.seats)
            mine = {user for user, entry in kept.roster.items() if entry.needs}
            if kept.inbox:
                found.append(f"{tenant} has facts in its inbox")
            if mine != needed:
                found.append(f"{tenant} needs {sorted(needed)}, and the roster says {sorted(mine)}")
            if not expected.has_room(policy, len(needed), known.capacity):
                rule = record.decision.rule if record.decision else None
                found.append(f"{tenant} needs {len(needed)} of {known.capacity} seats, and the rule is {rule}")
            elif record.look is not None and record.look.summary.capacity_units != known.capacity:
                found.append(f"{tenant} has {known.capacity} seats, and that was not seen")
            if record.open_upgrade is not None:
                found.append(f"{tenant} has an upgrade that is {record.open_upgrade.state}")
        return found

    def _account(self) -> None:
        """Money that came is on record, and what people were told fits what is."""
        parked = {one.fact.session for one in self.server._parked.values()}
        for payable in self.outside.payables:
            if payable.told:
                record = self.server._kept[payable.tenant].record
                upgrade = next((one for one in record.upgrades if one.session == payable.session), None)
                early = any(fact.session == payable.session for fact in record.early)
                lost = upgrade is None and not early and payable.session not in parked
                lost = lost and self.ledger.upgrade_of.get(payable.session) in {one.id for one in record.upgrades}
                demand(not lost, f"nobody knows of the payment of {payable.session}")
                known = upgrade is None or upgrade.paid_at is not None
                demand(known, f"{payable.session} was paid, and is not known to be")


def _true_of(payable: Payable) -> list[tuple[PaymentEvent, str]]:
    """What Stripe could truly say of a checkout once more, however late."""
    if payable.state == "expired":
        return [(PaymentEvent.EXPIRED, "unpaid")]
    if payable.money == "paid":
        return [(PaymentEvent.COMPLETED, "paid"), (PaymentEvent.ASYNC_SUCCEEDED, "paid")]
    if payable.money in ("processing", "failed"):
        return [(PaymentEvent.COMPLETED, "unpaid")]
    return []


@contextlib.contextmanager
def small_sizes(scenario: Scenario) -> Iterator[None]:
    """Limits so small that a handful of users crosses them."""
    with (
        mock.patch("worker.crovver.walk.PAGE_SIZE", scenario.page_size),
        mock.patch("worker.engine.look.PAGE_SIZE", scenario.page_size),
        mock.patch("worker.store.memory.SMALL_ROSTER", scenario.whole_rosters),
        mock.patch("worker.store.memory.FACTS_AT_ONCE", scenario.facts_at_once),
    ):
        yield


def quiet() -> None:
    """Log nothing: a run makes thousands of lines, and its trace says more."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), logger_factory=structlog.ReturnLoggerFactory()
    )


def simulate(
    seed: int,
    *,
    mended: frozenset[Key] = frozenset(),
    skipped: frozenset[int] = frozenset(),
    tracing: bool = False,
) -> Result:
    """Run one seed to its end. ``mended`` faults and ``skipped`` actions are left out."""
    scenario = Scenario.of(seed)
    failure = None
    with small_sizes(scenario):
        run = Simulation(scenario, mended=mended, skipped=skipped, tracing=tracing)
        try:
            run.run()
        except (Exception, Violation) as error:
            failure = str(error) if isinstance(error, Violation) else f"{type(error).__name__}: {error}"
        run.kernel.close()
    journal = [
        f"{tenant}: {note}" for tenant, kept in sorted(run.server._kept.items()) for _, note in kept.journal
    ] if tracing else []  # fmt: skip
    return Result(
        seed, failure, run.kernel.ran, run.ledger.accepted, run.ledger.doubled, run.ledger.seen, run.weather.struck,
        run.ledger.moves, run.weather.pairs, run.weather.between, run.trace, journal,
    )  # fmt: skip
