"""``python -m tests.storm.worker``: a worker that ends or stops itself at a named point around a checkout call.

The product knows nothing of this: what its engine is handed, the store and the client of Crovver, is wrapped. Killing
from outside could not hit the moment between two awaits. A worker or a scheduler may also be started in a hurry, so
that a test need not wait for as long as they would.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from enum import StrEnum
from typing import Any, cast

from worker.actors import process, scheduler, wiring
from worker.actors.observing import Observing
from worker.cli.main import main
from worker.core import pursue
from worker.core.checkout import Checkout
from worker.core.facts import CheckoutFact, Fact
from worker.core.times import SECOND
from worker.crovver.client import CrovverClient
from worker.crovver.transport import DEFAULT_TIMEOUTS, Timeouts
from worker.engine.ports import Crovver, Pace, Ports
from worker.settings import Settings
from worker.store.interface import Commit, Ending, Store
from worker.store.redis_store import RedisStore


class Point(StrEnum):
    """Where a worker may meet its end, in the order in which it comes by."""

    BEFORE_CLAIM = "before_claim"
    """The purchase is decided, its claim not saved."""
    AFTER_CLAIM = "after_claim"
    """The claim is saved, nothing sent."""
    BEFORE_SEND = "before_send"
    """The claim was found fresh for the last time; the next thing is the call."""
    AFTER_CALL = "after_call"
    """Crovver's answer is read, and known to nobody else."""
    AFTER_OUTCOME = "after_outcome"
    """The outcome is in the inbox, not in the record."""


class Failpoints:
    """Strikes once, at one point."""

    def __init__(self, at: Point | None, strike: signal.Signals) -> None:
        self._at = at
        self._strike = strike

    def reached(self, point: Point) -> None:
        if point is self._at:
            self._at = None
            # To this very thread: a signal to the process would let it go on for a moment.
            signal.pthread_kill(threading.get_ident(), self._strike)


class _Wrapped:
    """Everything that is not said otherwise goes to what is wrapped."""

    def __init__(self, inner: object, failpoints: Failpoints) -> None:
        self._inner = cast(Any, inner)
        self._failpoints = failpoints

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Store(_Wrapped):
    async def commit(self, commit: Commit, ending: Ending | None = None) -> bool:
        if not commit.durable:
            return bool(await self._inner.commit(commit, ending))
        self._failpoints.reached(Point.BEFORE_CLAIM)
        saved = bool(await self._inner.commit(commit, ending))
        if saved:
            self._failpoints.reached(Point.AFTER_CLAIM)
        return saved

    async def append(self, facts: Mapping[str, Sequence[Fact]], **options: Any) -> None:
        await self._inner.append(facts, **options)
        if any(isinstance(fact, CheckoutFact) for several in facts.values() for fact in several):
            self._failpoints.reached(Point.AFTER_OUTCOME)


class _Crovver(_Wrapped):
    async def proration_checkout(
        self, tenant: str, new_capacity: int, *, still_wanted: Callable[[], bool], **options: Any
    ) -> Checkout:
        def wanted() -> bool:
            if not still_wanted():
                return False
            self._failpoints.reached(Point.BEFORE_SEND)
            return True

        checkout = await self._inner.proration_checkout(tenant, new_capacity, still_wanted=wanted, **options)
        self._failpoints.reached(Point.AFTER_CALL)
        return cast(Checkout, checkout)


def _hurry(times: float, least_hold: float) -> Pace:
    """Have this process be so many times less patient with answers, claims and leases, all in proportion."""
    shorter = Timeouts(**{field.name: getattr(DEFAULT_TIMEOUTS, field.name) / times for field in fields(Timeouts)})

    def client(**options: Any) -> CrovverClient:
        return CrovverClient(**options, timeouts=shorter)

    setattr(wiring, "CrovverClient", client)  # noqa: B010
    scheduler.LEASE = round(scheduler.LEASE / times)
    pursue.CLAIM_TIMEOUT = round(pursue.CLAIM_TIMEOUT / times)
    pursue.LEAST_HOLD_ABANDONED = round(least_hold * SECOND)
    return Pace(lease=scheduler.LEASE, claim_use_seconds=Pace().claim_use_seconds / times)


def _arm(failpoints: Failpoints, pace: Pace) -> None:
    """Have the engine of this process be handed the wrapped ports."""

    def ports_of(settings: Settings, store: RedisStore, observing: Observing, *, concurrency: int) -> Ports:
        ports = wiring.ports_of(settings, store, observing, concurrency=concurrency)
        return replace(
            ports,
            store=cast(Store, _Store(ports.store, failpoints)),
            crovver=cast(Crovver, _Crovver(ports.crovver, failpoints)),
            pace=replace(ports.pace, lease=pace.lease, claim_use_seconds=pace.claim_use_seconds),
        )

    setattr(process, "ports_of", ports_of)  # noqa: B010


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["worker", "scheduler"])
    parser.add_argument("--failpoint", type=Point)
    parser.add_argument("--then", choices=["kill", "stop"], default="kill")
    parser.add_argument("--hurry", type=float, default=1.0)
    parser.add_argument("--least-hold", type=float, default=600.0)
    arguments = parser.parse_args()
    strike = signal.SIGKILL if arguments.then == "kill" else signal.SIGSTOP
    _arm(Failpoints(arguments.failpoint, strike), _hurry(arguments.hurry, arguments.least_hold))
    sys.exit(main([arguments.command]))
