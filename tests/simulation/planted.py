"""Bugs to be planted one at a time: a simulator that does not find them proves nothing."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

from worker.core import decide, fold, pursue, roster, upgrade
from worker.core.case import Case
from worker.core.facts import (
    CallOutcome,
    CheckoutFact,
    Fact,
    Membership,
    PaymentEvent,
    PaymentFact,
    RosterFact,
    UserFact,
)
from worker.core.policy import Mode, Policy
from worker.core.roster import Roster
from worker.core.upgrade import Closing, State, Upgrade
from worker.engine import act, reconcile
from worker.store import memory
from worker.store.interface import Commit, Wake

Plant = Callable[[], AbstractContextManager[Any]]
BUGS: dict[str, Plant] = {}


def bug(name: str) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    def keep(plant: Callable[[], Iterator[None]]) -> Plant:
        BUGS[name] = contextlib.contextmanager(plant)
        return BUGS[name]

    return keep


@bug("the call is made before its claim is saved")
def _call_first() -> Iterator[None]:
    async def save_nothing(self: Any, write: Callable[[], Awaitable[Any]]) -> Any:
        commit: Commit | None = next(
            (cell.cell_contents for cell in write.__closure__ or () if isinstance(cell.cell_contents, Commit)), None
        )
        return True if commit is not None and commit.durable else await saved(self, write)

    saved = reconcile.Reconciler._through_absence
    with mock.patch.object(reconcile.Reconciler, "_through_absence", save_nothing):
        yield


@bug("saving does not look at the version")
def _no_version_check() -> Iterator[None]:
    commit = memory.MemoryStore.commit

    async def overwrite(self: Any, one: Commit) -> bool:
        return await commit(self, replace(one, version=self._tenant(one.tenant.id).version, after=None, digest=""))

    with mock.patch.object(memory.MemoryStore, "commit", overwrite):
        yield


@bug("an older fact about a user wins")
def _older_wins() -> Iterator[None]:
    def apply(known: Roster, fact: UserFact) -> bool:
        before = known.get(fact.user) or roster.Entry(None)
        said = fact.membership is Membership.ADDED
        known.put(fact.user, before._replace(said=said, at=fact.at, id=fact.id))
        return True

    with mock.patch.object(roster, "apply_user", apply):
        yield


@bug("an older roster is taken for the newest word")
def _older_roster_wins() -> Iterator[None]:
    apply = roster.apply_snapshot

    def overrule(known: Roster, fact: RosterFact) -> bool:
        known.floor = min(known.floor, (fact.at - 1, ""))
        return apply(known, fact)

    with mock.patch.object(roster, "apply_snapshot", overrule):
        yield


def _forcing(to: State) -> Callable[..., Upgrade]:
    def force(one: Upgrade, now: int) -> Upgrade:
        return replace(one, state=to, closed_at=now, closing=Closing.SESSION_EXPIRED, session_over=True)

    return force


@bug("a late `expired` undoes what is further along")
def _late_expired() -> Iterator[None]:
    applied = upgrade.apply_payment

    def apply(one: Upgrade, payment: PaymentFact, now: int) -> Upgrade:
        if payment.event is PaymentEvent.EXPIRED and one.state in (State.PAID, State.CONFIRMED):
            return _forcing(State.EXPIRED)(replace(one, session=payment.session), now)
        return applied(one, payment, now)

    with mock.patch.object(fold, "apply_payment", apply):
        yield


@bug("a webhook alone confirms")
def _webhook_confirms() -> Iterator[None]:
    applied = upgrade.apply_payment

    def apply(one: Upgrade, payment: PaymentFact, now: int) -> Upgrade:
        changed = applied(one, payment, now)
        return replace(changed, state=State.CONFIRMED, confirmed_at=now) if changed.state is State.PAID else changed

    with mock.patch.object(fold, "apply_payment", apply):
        yield


@bug("a call without an answer counts as not made")
def _unknown_is_not_sent() -> Iterator[None]:
    start = act._start_checkout

    async def guess(*args: Any) -> CheckoutFact:
        fact = await start(*args)
        return replace(fact, outcome=CallOutcome.NOT_SENT) if fact.outcome is CallOutcome.UNKNOWN else fact

    with mock.patch.object(act, "_start_checkout", guess):
        yield


@bug("a claim that ran out is claimed again")
def _claims_are_taken_over() -> Iterator[None]:
    settled = pursue.settle

    def settle(case: Case, one: Upgrade) -> tuple[Upgrade, str]:
        if one.state is State.REQUESTING and one.claimed_at and case.now > one.claimed_at + pursue.CLAIM_TIMEOUT:
            return replace(one, claim=None, claimed_at=None, requested_at=None), "taken over"
        return settled(case, one)

    with mock.patch.object(pursue, "settle", settle):
        yield


@bug("a call whose outcome is unknown is asked again at once")
def _no_hold() -> Iterator[None]:
    with mock.patch.object(pursue, "hold", return_value=0):
        yield


@bug("facts that come during a pass are dropped with those it folded")
def _inbox_is_emptied() -> Iterator[None]:
    commit = memory.MemoryStore.commit

    async def empty(self: Any, one: Commit) -> bool:
        everything = len(self._tenant(one.tenant.id).inbox)
        return await commit(self, replace(one, folded=everything, unless_newer=False, digest=""))

    with mock.patch.object(memory.MemoryStore, "commit", empty):
        yield


@bug("a tenant that became due during its pass is not woken for it")
def _lost_wake() -> Iterator[None]:
    finish = memory.MemoryStore.finish

    async def forget(self: Any, wake: Wake, *args: Any, **options: Any) -> None:
        self._again.pop(wake.tenant, None)
        await finish(self, wake, *args, **options)

    with mock.patch.object(memory.MemoryStore, "finish", forget):
        yield


@bug("a lease that ended is never looked at again")
def _leases_last() -> Iterator[None]:
    claim = memory.MemoryStore.claim_due

    async def keep(self: Any, limit: int, lease: int) -> Any:
        return await claim(self, limit, lease * 1_000_000)

    with mock.patch.object(memory.MemoryStore, "claim_due", keep):
        yield


@bug("a payment that came early is forgotten")
def _early_is_forgotten() -> Iterator[None]:
    with mock.patch.object(memory.MemoryStore, "parked_for", _nothing), mock.patch.object(
        memory.MemoryStore, "parked", _nothing
    ):  # fmt: skip
        yield


async def _nothing(self: Any, *args: Any) -> list[Fact]:
    return []


@bug("money for an upgrade that is over is not put down")
def _late_money() -> Iterator[None]:
    applied = upgrade.apply_payment

    def apply(one: Upgrade, payment: PaymentFact, now: int) -> Upgrade:
        return applied(one, payment, now) if one.open else one

    with mock.patch.object(fold, "apply_payment", apply):
        yield


@bug("an old link that may be paid does not bar a new one")
def _old_links() -> Iterator[None]:
    with mock.patch.object(Upgrade, "payable", return_value=False):
        yield


@bug("the cap is not kept")
def _no_cap() -> Iterator[None]:
    with mock.patch.object(Policy, "size", lambda self, needed: needed + self.headroom), mock.patch.object(
        Policy, "beyond_cap", return_value=False
    ):  # fmt: skip
        yield


@bug("it asks again for ever")
def _asks_for_ever() -> Iterator[None]:
    with mock.patch.object(decide, "MOST_ASKS", 1000):
        yield


@bug("an approval is not waited for")
def _no_approval() -> Iterator[None]:
    started = decide._start

    def start(case: Case, size: int) -> Any:
        return started(replace(case, policy=replace(case.policy, mode=Mode.AUTO)), size)

    with mock.patch.object(decide, "_start", start):
        yield


@bug("a claim never grows too old to be used")
def _stale_claims() -> Iterator[None]:
    made = reconcile.Reconciler.__init__

    def patient(self: Any, ports: Any) -> None:
        made(self, replace(ports, pace=replace(ports.pace, claim_use_seconds=1e9)))

    with mock.patch.object(reconcile.Reconciler, "__init__", patient):
        yield


@bug("some other session of Stripe's is taken for the lost one")
def _any_session() -> Iterator[None]:
    fits = upgrade.is_session_of

    def any_of(one: Upgrade, payment: PaymentFact) -> bool:
        return fits(one, payment) or one.open

    with mock.patch.object(fold, "is_session_of", any_of):
        yield


@bug("a pass breaks when the roster moves while it is read")
def _rosters_move() -> Iterator[None]:
    with mock.patch.object(reconcile, "RosterMoved", ZeroDivisionError):
        yield


@bug("a checkout that outlived its day is given up without asking Stripe")
def _nobody_asks() -> Iterator[None]:
    with mock.patch.object(pursue, "asks_how_it_ended", return_value=False):
        yield
