"""What the engine needs from outside, handed in so that a simulator can hand in its own."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from worker.core.checkout import Checkout
from worker.core.credits import CreditPool
from worker.core.facts import RosterUser
from worker.core.policy import Policy, Powers
from worker.core.times import HOUR, SECOND
from worker.core.upgrade import State
from worker.crovver.results import AllocationsPage, BulkAllocation
from worker.crovver.walk import Together, one_after_another
from worker.payments.sessions import ExpireOutcome, SessionState
from worker.store.interface import Store


class Crovver(Protocol):
    """The calls of ``CrovverClient`` that reconciling needs; errors are those of ``worker.crovver.errors``."""

    def allocations_page(
        self, tenant: str, *, page: int, limit: int, status: Literal["active", "removed", "all"]
    ) -> Coroutine[Any, Any, AllocationsPage]: ...

    async def proration_checkout(
        self,
        tenant: str,
        new_capacity: int,
        *,
        plan_id: str | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        still_wanted: Callable[[], bool] | None = None,
    ) -> Checkout: ...

    async def credits_balance(self, tenant: str) -> Mapping[str, CreditPool]: ...

    async def bulk_allocate(
        self, tenant: str, users: Sequence[RosterUser], metadata: Mapping[str, object] | None = None
    ) -> BulkAllocation: ...


class Sessions(Protocol):
    """The calls of ``StripeSessions`` that reconciling needs; errors are those of ``worker.payments.errors``."""

    async def get(self, session: str) -> SessionState: ...

    async def expire(self, session: str) -> ExpireOutcome: ...

    async def find(self, references: set[str], created_after: int) -> tuple[SessionState, ...]: ...


class Observer(Protocol):
    """Is told what happens, for metrics. It must neither wait nor raise."""

    def decided(self, lags: Sequence[int], traces: Sequence[str]) -> None:
        """A decision was saved. ``lags`` says how long ago each fact from outside it took in was accepted, ``traces``
        which requests brought them."""

    def moved(self, state: State) -> None:
        """An upgrade entered a state."""


class NoObserver:
    """Does not care."""

    def decided(self, lags: Sequence[int], traces: Sequence[str]) -> None: ...

    def moved(self, state: State) -> None: ...


class Guard(Protocol):
    """Tells whether the state may be believed that there is no other purchase."""

    async def lost_at(self) -> int | None:
        """When the state was lost, while nothing may be bought because of that; None where purchases may be made.

        Raises:
            StoreError: that can't be known just now.
        """


class NoGuard:
    """Believes it."""

    async def lost_at(self) -> int | None:
        return None


@dataclass(frozen=True, slots=True)
class CheckoutOptions:
    """What every checkout call carries besides the tenant and the capacity."""

    plan_id: str | None = None
    success_url: str | None = None
    cancel_url: str | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient the engine is. Durations with a unit in their name are seconds, the others microseconds.

    ``trust_look`` is for how long a look at Crovver serves decisions that leave room.
    """

    lease: int = 20 * SECOND
    walk_every: int = 6 * HOUR
    trust_look: int = 30 * SECOND
    claim_use_seconds: float = 45.0
    save_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a reconcile reads from or acts upon.

    ``together`` reads several pages of one tenant, at the same time where it can. ``monotonic`` is in seconds;
    ``new_id`` makes an identifier nobody has used, with the given prefix.
    """

    store: Store
    crovver: Crovver
    policy: Policy
    powers: Powers
    sleep: Callable[[float], Awaitable[None]]
    monotonic: Callable[[], float]
    new_id: Callable[[str], str]
    sessions: Sessions | None = None
    checkout: CheckoutOptions = field(default_factory=CheckoutOptions)
    pace: Pace = field(default_factory=Pace)
    observer: Observer = field(default_factory=NoObserver)
    guard: Guard = field(default_factory=NoGuard)
    together: Together = one_after_another
